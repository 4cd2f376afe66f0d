#include "model/train/run/saved_checkpoints.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "model/base/or_throw.h"
#include "model/train/link/train_error.h"
#include "proto/files/files.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/manifest.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

// Steps of the complete checkpoints, newest first.
std::vector<int64_t> Steps(const fs::path& root) {
  std::vector<int64_t> steps;
  for (const fs::directory_entry& entry : fs::directory_iterator(root))
    if (const std::optional<int64_t> step = run::StepOfCheckpointFolder(entry.path().filename().string()))
      steps.push_back(*step);
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

// The manifest of a checkpoint whose every byte is as it says.
files::FileResult<run::Manifest> Verified(const fs::path& folder, int64_t step) {
  files::FileResult<run::Manifest> manifest = run::ReadManifest(folder);
  if (!manifest.ok()) return manifest.error();
  if (manifest->step != step) return files::FileError(files::kDamaged, "its manifest is of another step");
  if (files::FileError error = run::VerifyCheckpoint(folder, *manifest)) return error;
  return manifest;
}

// Whether it is known that something is wrong with the checkpoint. What the machine failed to read may be whole.
bool IsDamage(const files::FileError& error) {
  switch (error.code()) {
    case files::kDamaged:
    case ENOENT:  // of the manifest
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
    case EFBIG:
      return true;
    default:
      return false;
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

SavedCheckpoints::SavedCheckpoints(fs::path root) : root_(std::move(root)) {
  fs::create_directories(root_);
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(root_))
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) fs::remove_all(leftover);
}

CheckpointRef SavedCheckpoints::Save(int64_t step, const std::function<void(const fs::path&)>& write) const {
  const fs::path path = root_ / run::CheckpointFolderName(step);
  const fs::path temporary = path.string() + ".tmp-" + std::to_string(getpid());
  try {
    fs::create_directory(temporary);
    write(temporary);
    const run::Manifest manifest = OrThrow<InfraError>(run::WriteManifest(temporary, step));
    OrThrow<InfraError>(files::SyncFolder(temporary));
    OrThrow<InfraError>(files::RenameDurably(temporary, path));
    return {step, path, manifest.hash};
  } catch (const std::exception& e) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw InfraError("cannot save the checkpoint of step " + std::to_string(step) + ": " + e.what() +
                     "; earlier checkpoints are intact");
  }
}

std::optional<CheckpointRef> SavedCheckpoints::FindNewest(const std::function<void(const std::string&)>& warn) const {
  const std::vector<int64_t> steps = Steps(root_);
  for (const int64_t step : steps) {
    const fs::path path = root_ / run::CheckpointFolderName(step);
    const files::FileResult<run::Manifest> manifest = Verified(path, step);
    if (manifest.ok()) return CheckpointRef{step, path, manifest->hash};
    const std::string name = "checkpoint of step " + std::to_string(step), &why = manifest.error().message();
    if (!IsDamage(manifest.error())) throw InfraError(name + " could not be read: " + why + "; it stays where it is");
    warn(name + " is damaged: " + why + "; set aside as " + SetAside(path).string() +
         (step == steps.back() ? ", and there is none before it" : ", the one before it is used"));
  }
  return std::nullopt;
}

void SavedCheckpoints::Prune(int64_t keep) const {
  const std::vector<int64_t> steps = Steps(root_);
  for (size_t i = static_cast<size_t>(std::max<int64_t>(keep, 2)); i < steps.size(); ++i) {
    // Renamed first, so that a delete cut short never leaves half a checkpoint under a complete one's name.
    const fs::path path = root_ / run::CheckpointFolderName(steps[i]);
    const fs::path doomed = path.string() + ".tmp-" + std::to_string(getpid());
    fs::rename(path, doomed);
    fs::remove_all(doomed);
  }
}

}  // namespace sink::train
