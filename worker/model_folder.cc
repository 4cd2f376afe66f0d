// See model_folder.h.
#include "worker/model_folder.h"

#include <spdlog/spdlog.h>

#include <cerrno>
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
#include "proto/files/shell_word.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/model_gap.h"
#include "worker/content_check.h"
#include "worker/incomplete_copy.h"
#include "worker/valid_utf8.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxRevisionBytes = 128;
constexpr size_t kMaxModels = 1000;
constexpr int kMaxEntries = 20'000;  // of all folders that are looked through
constexpr int kMaxFilesOfModel = 10'000;
constexpr absl::Duration kLookAgain = absl::Seconds(2);
constexpr absl::Duration kLookThoroughly = absl::Minutes(1);
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

struct ModelFolder {
  std::string name, path;
};

// All that may be models, whole or not; one name may be that of several.
std::vector<ModelFolder> FindFolders(const std::string& root) {
  std::vector<ModelFolder> found;
  if (root.empty()) return found;
  const auto add = [&](const std::string& name, const fs::path& folder) {
    if (IsHubName(name)) found.push_back({name, folder.string()});
  };
  int entries = kMaxEntries;
  for (const std::string& name : Folders(root, &entries)) {
    const fs::path folder = fs::path(root) / name;
    if (IsModel(folder)) {
      add(name, folder);
    } else if (absl::StartsWith(name, kCachePrefix)) {
      if (const std::string snapshot = CachedSnapshot(folder); !snapshot.empty() && IsModel(snapshot))
        add(absl::StrReplaceAll(absl::StripPrefix(name, kCachePrefix), {{"--", "/"}}), snapshot);
    } else {
      for (const std::string& inner : Folders(folder, &entries))
        if (IsModel(folder / inner)) add(absl::StrCat(name, "/", inner), folder / inner);
    }
  }
  return found;
}

// What changes with any file of the folder. A copy that goes on changes it, and the folder's own times do not.
std::string StampsIn(const std::string& folder) {
  std::string stamps;
  std::error_code error;
  int entries = kMaxFilesOfModel;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end && entries > 0;
       entry.increment(error), --entries)
    absl::StrAppend(&stamps, entry->path().filename().string(), " ", StampOf(entry->path().string()), "\n");
  return stamps;
}

}  // namespace

absl::StatusOr<std::string> FindModel(const std::string& root, const std::string& model, bool reads_texts) {
  if (root.empty()) {
    return absl::NotFoundError(absl::StrCat("model ", model, " not found: this worker has no models; start it ",
                                            "with --models and the folder that holds them"));
  }
  const fs::path whole = fs::path(root) / model;
  const fs::path name = fs::path(root) / whole.filename();
  const fs::path cache = fs::path(root) / absl::StrCat(kCachePrefix, absl::StrReplaceAll(model, {{"/", "--"}}));
  absl::Status lacks;
  for (const std::string& folder : {whole.string(), name.string(), CachedSnapshot(cache)}) {
    if (folder.empty() || !IsModel(folder)) continue;
    auto gap = run::FindModelGap(folder);
    if (!gap && reads_texts) gap = run::FindTokenizerGap(folder);
    if (!gap) return folder;
    lacks.Update(absl::FailedPreconditionError(absl::StrCat("model ", model, " is not whole: ", gap.message())));
  }
  if (!lacks.ok()) return lacks;
  return absl::NotFoundError(absl::StrCat(
      "model ", model, " not found: no config.json in ", whole.string(), ", ", name.string(), " or ", cache.string(),
      "; get it with: huggingface-cli download ", model, " --local-dir ", files::ShellWord(whole.string())));
}

void ModelList::Look(const std::string& name, const std::string& folder, bool thorough, Known* known) const {
  std::string stamp = absl::StrCat(StampOf(folder), " ", StampOf(absl::StrCat(folder, "/config.json")));
  if (stamp == known->stamp && known->gap.text.empty() && !thorough) return;
  known->stamp = std::move(stamp);
  std::string files = StampsIn(folder);  // before they are read: of one that changes meanwhile it is not the last
  if (files == known->files) return;
  const files::FileError weights = run::FindModelGap(folder);
  const files::FileError found = weights ? weights : run::FindTokenizerGap(folder);
  // What could not be read, of which no time of a file tells, is tried again at the next look.
  const bool read = !found || found.code() == files::kDamaged || found.code() == ENOENT;
  known->files = read ? std::move(files) : "";
  const Gap before = std::exchange(
      known->gap, Gap{found.message(), !weights && found ? v1::COPY_WITHOUT_TOKENIZER : v1::COPY_FOR_NO_JOB});
  const Gap& gap = known->gap;
  if (!gap.text.empty() && (before.text.empty() || before.use != gap.use))
    spdlog::warn("model {} is not whole, and this worker takes no jobs {}for it: {}", name,
                 gap.use == v1::COPY_WITHOUT_TOKENIZER ? "that read texts " : "", LogText(gap.text));
  if (!before.text.empty() && gap.text.empty()) spdlog::info("model {} is whole", name);
}

const OpenModels& ModelList::Get(absl::Duration now) {
  if (now - read_at_ < kLookAgain) return models_;
  read_at_ = now;
  const bool thorough = now - thorough_at_ >= kLookThoroughly;
  if (thorough) thorough_at_ = now;
  std::map<std::string, Known> found;
  std::map<std::string, Gap> gaps;  // by name, of the copy that serves best
  for (const ModelFolder& folder : FindFolders(root_)) {
    Known& known = found[folder.path];
    if (const auto before = known_.find(folder.path); before != known_.end()) known = std::move(before->second);
    Look(folder.name, folder.path, thorough, &known);
    const auto [entry, added] = gaps.try_emplace(folder.name, known.gap);
    if (known.gap.text.empty() || (!entry->second.text.empty() && known.gap.use > entry->second.use))
      entry->second = known.gap;
  }
  known_ = std::move(found);
  models_ = {};
  for (const auto& [name, gap] : gaps) {
    if (gap.text.empty() && models_.whole.size() < kMaxModels) models_.whole.push_back(name);
    if (!gap.text.empty() && models_.incomplete.size() < size_t{kMaxIncomplete})
      models_.incomplete.push_back(IncompleteCopyOf(root_, name, gap.text, gap.use));
  }
  return models_;
}

}  // namespace sink::worker
