// The coordinator's folder of checkpoints as its contract says (coordinator/service/checkpoint_repository.h), in
// memory: what is not synced is gone after a power cut, and bytes may be wrong. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/job.h"

namespace sink::simulator {

class CheckpointFiles {
 public:
  using Key = std::tuple<std::string, uint64_t, int64_t>;  // job, fence, step

  absl::StatusOr<std::vector<uint64_t>> Begin(const Key& key, const std::string& hash,
                                              const std::vector<uint64_t>& sizes) {
    Folder& folder = folders_[key];
    if (folder.complete && folder.hash != hash) return absl::InvalidArgumentError("already here, with other files");
    if (folder.hash != hash) folder = {hash, sizes, std::vector<uint64_t>(sizes.size()), {}, {}};
    return folder.here;
  }
  // `corrupted`: on their way.
  absl::Status Write(const Key& key, size_t file, uint64_t offset, uint64_t bytes, bool corrupted) {
    const auto found = folders_.find(key);
    if (found == folders_.end()) return absl::NotFoundError("nothing was begun");
    Folder& folder = found->second;
    if (folder.here[file] != offset) return absl::OutOfRangeError("the file ends elsewhere");
    folder.here[file] += bytes;
    if (corrupted) folder.corrupted.insert(file);
    return absl::OkStatus();
  }
  void Sync(const Key& key) { folders_[key].synced = folders_[key].here; }
  // `verify`: reads the bytes before they count. Files with wrong ones start over.
  absl::Status Commit(const Key& key, const std::string& hash, bool verify) {
    const auto found = folders_.find(key);
    if (found == folders_.end()) return absl::NotFoundError("nothing was begun");
    Folder& folder = found->second;
    if (folder.hash != hash) return absl::InvalidArgumentError("another manifest");
    if (folder.here != folder.sizes) return absl::FailedPreconditionError("bytes are missing");
    if (verify && !folder.complete && !folder.corrupted.empty()) {
      for (const size_t file : folder.corrupted) folder.here[file] = 0;
      folder.corrupted.clear();
      folder.synced = folder.here;
      return absl::AbortedError("bytes are wrong");
    }
    folder.synced = folder.here;
    folder.complete = true;
    return absl::OkStatus();
  }
  bool IsComplete(const Key& key) const {
    const auto found = folders_.find(key);
    return found != folders_.end() && found->second.complete;
  }
  // Whether it is there with the bytes that its trainer wrote.
  bool IsIntact(const Key& key) const { return IsComplete(key) && folders_.at(key).corrupted.empty(); }
  // Bytes that have been read and compared change. False when there are none.
  bool Damage(const Key& key) {
    if (!IsIntact(key)) return false;
    folders_[key].corrupted.insert(0);
    return true;
  }
  void KeepOnly(const Key& next, const std::vector<Checkpoint>& rows) {
    std::erase_if(folders_, [&](const auto& entry) {
      if (std::get<0>(entry.first) != std::get<0>(next) || !(entry.first < next)) return false;
      for (const Checkpoint& row : rows) {
        if (std::get<1>(entry.first) == row.fence && std::get<2>(entry.first) == row.step) return false;
      }
      return true;
    });
  }
  void CutPower() {
    for (auto& [key, folder] : folders_) {
      folder.synced.resize(folder.sizes.size());
      folder.here = folder.synced;
    }
  }

 private:
  struct Folder {
    std::string hash;
    std::vector<uint64_t> sizes, here, synced;
    std::set<size_t> corrupted;  // files
    bool complete = false;
  };
  std::map<Key, Folder> folders_;
};

}  // namespace sink::simulator
