// The daemon's own folder: a lock, so that two daemons never share it, and the worker's lasting identity. Owned by the
// daemon's main; not shared between threads.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/files/descriptor.h"

namespace sink::worker {

class DataFolder {
 public:
  // Creates what is missing and takes the lock. FailedPrecondition naming the other process when another daemon has it;
  // PermissionDenied or ResourceExhausted when it cannot be written.
  static absl::StatusOr<DataFolder> Open(const std::string& path);

  const std::string& path() const { return path_; }            // absolute
  const std::string& worker_id() const { return worker_id_; }  // 32 hex digits, the same at every start

 private:
  std::string path_;
  std::string worker_id_;
  files::Fd lock_;  // held as long as the process lives
};

}  // namespace sink::worker
