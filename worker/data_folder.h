// The daemon's own folder: a lock, so that two daemons never share it, the worker's lasting identity, and how many
// daemons came before. Owned by the daemon's main; not shared between threads.
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
  // 32 hex digits. The first 16 are greater than those of every daemon before in this folder, so that the coordinator
  // knows a call of one that is gone, however late it comes; they are a time, so that a folder that was put back from a
  // copy is no exception.
  const std::string& session() const { return session_; }

 private:
  std::string path_;
  std::string worker_id_;
  std::string session_;
  files::Fd lock_;  // held as long as the process lives
};

}  // namespace sink::worker
