#include "model/train/run/checkpoint_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "model/train/link/train_error.h"
#include "model/train/run/files.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr char kManifest[] = "manifest.json";
constexpr size_t kMaxManifestBytes = 1 << 20;

std::string FolderName(int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "step-%09lld", static_cast<long long>(step));
  return name;
}

// The step of a complete checkpoint's folder name; nothing for any other name.
std::optional<int64_t> StepOf(const std::string& name) {
  long long step = 0;
  if (std::sscanf(name.c_str(), "step-%18lld", &step) != 1 || step < 0 || FolderName(step) != name) return std::nullopt;
  return step;
}

// Steps of the complete checkpoints, newest first.
std::vector<int64_t> Steps(const fs::path& root) {
  std::vector<int64_t> steps;
  for (const fs::directory_entry& entry : fs::directory_iterator(root))
    if (const std::optional<int64_t> step = StepOf(entry.path().filename().string())) steps.push_back(*step);
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

void WriteManifest(const fs::path& folder, int64_t step) {
  Json files = Json::array();
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    SyncFile(entry.path());
    const Digest digest = HashFile(entry.path());
    files.push_back({{"name", entry.path().filename().string()}, {"size", digest.size}, {"xxh3", digest.xxh3}});
  }
  std::sort(files.begin(), files.end(), [](const Json& a, const Json& b) { return a["name"] < b["name"]; });
  WriteFile(folder / kManifest, Json{{"step", step}, {"files", files}}.dump(1) + "\n");
}

// Throws std::exception with the reason unless every byte is as the manifest says.
void Verify(const fs::path& folder, int64_t step) {
  const Json manifest = Json::parse(ReadFile(folder / kManifest, kMaxManifestBytes));
  if (manifest.at("step").get<int64_t>() != step) throw std::runtime_error("its manifest is of another step");
  for (const Json& file : manifest.at("files")) {
    const std::string name = file.at("name").get<std::string>();
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos)
      throw std::runtime_error("its manifest names a file outside the folder");
    const Digest expected{file.at("size").get<uint64_t>(), file.at("xxh3").get<std::string>()};
    const Digest actual = HashFile(folder / name);
    if (actual.size != expected.size)
      throw std::runtime_error(name + " has " + std::to_string(actual.size) + " bytes instead of " +
                               std::to_string(expected.size));
    if (actual != expected) throw std::runtime_error(name + " does not match its checksum");
  }
}

fs::path SetAside(const fs::path& path) {
  for (int k = 1;; ++k) {
    const fs::path aside = path.string() + ".corrupt-" + std::to_string(k);
    if (fs::exists(aside)) continue;
    fs::rename(path, aside);
    return aside;
  }
}

}  // namespace

CheckpointFolder::CheckpointFolder(fs::path root) : root_(std::move(root)) {
  fs::create_directories(root_);
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_))
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) fs::remove_all(leftover);
}

CheckpointRef CheckpointFolder::Save(int64_t step, const std::function<void(const fs::path&)>& write) const {
  const fs::path path = root_ / FolderName(step);
  const fs::path temporary = path.string() + ".tmp-" + std::to_string(getpid());
  try {
    fs::create_directory(temporary);
    write(temporary);
    WriteManifest(temporary, step);
    SyncFolder(temporary);
    fs::rename(temporary, path);
    SyncFolder(root_);
    return {step, path, HashFile(path / kManifest).xxh3};
  } catch (const std::exception& e) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw InfraError("cannot save the checkpoint of step " + std::to_string(step) + ": " + e.what() +
                     "; earlier checkpoints are intact");
  }
}

std::optional<CheckpointRef> CheckpointFolder::FindNewest(const std::function<void(const std::string&)>& warn) const {
  for (const int64_t step : Steps(root_)) {
    const fs::path path = root_ / FolderName(step);
    try {
      Verify(path, step);
      return CheckpointRef{step, path, HashFile(path / kManifest).xxh3};
    } catch (const std::exception& e) {
      warn("checkpoint of step " + std::to_string(step) + " is damaged: " + e.what() + "; set aside as " +
           SetAside(path).string() + ", the one before it is used");
    }
  }
  return std::nullopt;
}

void CheckpointFolder::Prune(int64_t keep) const {
  const std::vector<int64_t> steps = Steps(root_);
  for (size_t i = static_cast<size_t>(std::max<int64_t>(keep, 2)); i < steps.size(); ++i) {
    // Renamed first, so that a delete cut short never leaves half a checkpoint under a complete one's name.
    const fs::path path = root_ / FolderName(steps[i]);
    const fs::path doomed = path.string() + ".tmp-" + std::to_string(getpid());
    fs::rename(path, doomed);
    fs::remove_all(doomed);
  }
}

}  // namespace sink::train
