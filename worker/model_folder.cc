// See model_folder.h.
#include "worker/model_folder.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "proto/config/names.h"
#include "proto/files/files.h"
#include "proto/run/checkpoint_names.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxRevisionBytes = 128;
constexpr size_t kMaxModels = 1000;
constexpr int kMaxEntries = 20'000;  // of all folders that are looked through
constexpr absl::Duration kLookAgain = absl::Seconds(2);
constexpr char kCachePrefix[] = "models--";

// The snapshot that a cache's refs/main names; "" where there is none, or where it would lead out of the cache.
std::string CachedSnapshot(const fs::path& cache) {
  const fs::path main = cache / "refs" / "main";
  std::error_code ignored;
  if (!fs::is_regular_file(main, ignored)) return "";  // a pipe would keep the daemon waiting
  const auto text = files::ReadFile(main.string(), kMaxRevisionBytes);
  if (!text.ok()) return "";
  const std::string revision(absl::StripSuffix(*text, "\n"));
  return run::IsCheckpointFileName(revision) ? (cache / "snapshots" / revision).string() : "";
}

bool IsModel(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "config.json", ignored);
}

// Names of the folders in `folder`, as far as `*entries` more entries reach.
std::vector<std::string> Folders(const fs::path& folder, int* entries) {
  std::vector<std::string> names;
  std::error_code error, ignored;
  fs::directory_iterator entry(folder, error), end;
  for (; !error && entry != end && *entries > 0; entry.increment(error), --*entries)
    if (entry->is_directory(ignored)) names.push_back(entry->path().filename().string());
  return names;
}

}  // namespace

absl::StatusOr<std::string> FindModel(const std::string& root, const std::string& model) {
  if (root.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("model ", model, " not found: this worker has no models; start it ",
                                                   "with --models and the folder that holds them"));
  }
  const fs::path whole = fs::path(root) / model;
  const fs::path name = fs::path(root) / whole.filename();
  const fs::path cache = fs::path(root) / absl::StrCat(kCachePrefix, absl::StrReplaceAll(model, {{"/", "--"}}));
  for (const std::string& folder : {whole.string(), name.string(), CachedSnapshot(cache)}) {
    if (!folder.empty() && IsModel(folder)) return folder;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "model ", model, " not found: no config.json in ", whole.string(), ", ", name.string(), " or ", cache.string(),
      "; get it with: huggingface-cli download ", model, " --local-dir ", whole.string(), "; then sinkctl retry"));
}

std::vector<std::string> FindModels(const std::string& root) {
  std::vector<std::string> models;
  if (root.empty()) return models;
  const auto add = [&](const std::string& name) {
    if (models.size() < kMaxModels && IsHubName(name)) models.push_back(name);
  };
  int entries = kMaxEntries;
  for (const std::string& name : Folders(root, &entries)) {
    const fs::path folder = fs::path(root) / name;
    if (IsModel(folder)) {
      add(name);
    } else if (absl::StartsWith(name, kCachePrefix)) {
      if (const std::string snapshot = CachedSnapshot(folder); !snapshot.empty() && IsModel(snapshot))
        add(absl::StrReplaceAll(absl::StripPrefix(name, kCachePrefix), {{"--", "/"}}));
    } else {
      for (const std::string& inner : Folders(folder, &entries))
        if (IsModel(folder / inner)) add(absl::StrCat(name, "/", inner));
    }
  }
  std::sort(models.begin(), models.end());
  models.erase(std::unique(models.begin(), models.end()), models.end());
  return models;
}

const std::vector<std::string>& ModelList::Get(absl::Duration now) {
  if (now - read_at_ >= kLookAgain) {
    models_ = FindModels(root_);
    read_at_ = now;
  }
  return models_;
}

}  // namespace sink::worker
