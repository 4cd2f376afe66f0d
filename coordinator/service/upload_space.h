// How much of the coordinator's disk uploads of checkpoints may take. Each counts with what it has still to send, so
// that those that were begun first complete, and none takes what is left to the database, whatever else fills the
// disk. In memory: after a restart an upload counts as soon as it is begun again. Owned by CheckpointRepository; any
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/checkpoint.h"
#include "coordinator/job/mutex.h"

namespace sink {

class UploadSpace {
 public:
  // Of the disk that the folder is on, which is there before the first call that may refuse.
  using FreeBytes = std::function<absl::StatusOr<uint64_t>()>;
  static FreeBytes FreeBytesAt(std::string folder);

  UploadSpace(FreeBytes free_bytes, uint64_t reserve_bytes)
      : free_bytes_(std::move(free_bytes)), reserve_bytes_(reserve_bytes) {}

  // The upload has `bytes` still to come. RESOURCE_EXHAUSTED "disk full: ..." when they do not fit beside the reserve
  // and what other jobs' uploads that were begun before it have still to come: one that is new then counts for nothing,
  // one that was begun before keeps its place. An attempt sends one after the other, so of each job the newest counts.
  absl::Status Reserve(const CheckpointKey& upload, uint64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);

  // Before so many bytes of it are written. RESOURCE_EXHAUSTED when they would not leave the reserve. The disk is not
  // looked at each time: a quarter of the reserve may be written in between.
  absl::Status Take(const CheckpointKey& upload, uint64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);

  // It is complete, or what had come of it has been removed.
  void Release(const CheckpointKey& upload) ABSL_LOCKS_EXCLUDED(mutex_);

  std::set<std::string> Jobs() const ABSL_LOCKS_EXCLUDED(mutex_);  // that have uploads here

 private:
  struct Upload {
    uint64_t number = 0;  // in the order of beginning
    uint64_t to_come = 0;
  };

  const FreeBytes free_bytes_;
  const uint64_t reserve_bytes_;
  mutable Mutex mutex_;
  std::map<CheckpointKey, Upload> uploads_ ABSL_GUARDED_BY(mutex_);
  uint64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t unwatched_ ABSL_GUARDED_BY(mutex_) = 0;  // may be written before the disk is looked at again
};

}  // namespace sink
