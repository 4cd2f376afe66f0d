// The checkpoints of one run on disk, each a folder as proto/run/checkpoint_names.h calls it, complete by its name: its
// files and then manifest.json (proto/run/manifest.h) were written to step-N.tmp-<pid>, synced and renamed into place.
// Writes, finds, sets aside and prunes them; nothing here knows what the files mean. One trainer owns the folder
// (FolderLock); one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace sink::train {

struct CheckpointRef {
  int64_t step = 0;
  std::filesystem::path path;
  std::string manifest_hash;  // XXH3-128 of manifest.json, hex
};

class SavedCheckpoints {
 public:
  // Creates the folder where needed and removes what a killed writer left behind. std::filesystem_error.
  explicit SavedCheckpoints(std::filesystem::path root);

  // Runs write(temporary folder) and makes the result the checkpoint of `step`. All or nothing: whatever fails, in
  // `write` or here, the temporary folder is removed, earlier checkpoints are untouched, and InfraError says why.
  CheckpointRef Save(int64_t step, const std::function<void(const std::filesystem::path&)>& write) const;

  // The newest checkpoint whose every byte matches its manifest. Damaged ones above it are renamed to step-N.corrupt-K
  // and named to `warn`. Nothing when there is none. InfraError, and nothing renamed, when the machine cannot read one.
  std::optional<CheckpointRef> FindNewest(const std::function<void(const std::string&)>& warn) const;

  // Deletes all but the newest `keep` complete ones, and never the newest two: a damaged newest one needs a
  // predecessor.
  void Prune(int64_t keep) const;

 private:
  std::filesystem::path root_;
};

}  // namespace sink::train
