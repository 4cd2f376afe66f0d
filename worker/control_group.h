// A control group for each trainer, where this process may make them (proto/files/control_group.h): whatever the
// trainer starts is in it, and one write ends all of it, however fast it forks. The kernel also keeps a group within
// its memory and number of tasks, if that is asked for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/files/descriptor.h"

namespace sink::worker {

// 0: as much as there is.
struct ControlGroupLimits {
  int64_t memory_bytes = 0;
  int64_t tasks = 0;  // processes and threads
};

// One group. Owned by the thread that watches its trainer.
class ControlGroup {
 public:
  ~ControlGroup();  // ends who is in it, and removes it if they are gone
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  // A process that writes "0" here is in the group, and so is what it starts.
  int join_fd() const { return join_.get(); }
  // SIGKILL to all of them at once. False when some outlive `timeout`: they are in an uninterruptible system call.
  bool Kill(absl::Duration timeout);
  // How many of them the kernel has killed for want of memory; 0 where it does not say.
  int64_t OutOfMemoryKills() const;

 private:
  friend class ControlGroups;
  explicit ControlGroup(std::string folder) : folder_(std::move(folder)) {}

  const std::string folder_;
  files::Fd join_;
};

// All groups of a daemon. Any thread may call Make.
class ControlGroups {
 public:
  // Makes groups in `parent`, with names that begin with `prefix`, which are this worker's alone: those that a former
  // daemon has left are ended and removed. Limits need a parent in which nobody else is; this process moves into a
  // group of its own there. FAILED_PRECONDITION says what is missing.
  static absl::StatusOr<std::shared_ptr<ControlGroups>> Open(const std::string& parent, const std::string& prefix,
                                                             const ControlGroupLimits& limits);

  absl::StatusOr<std::unique_ptr<ControlGroup>> Make();
  // Whether a trainer must be in one, to be kept within limits.
  bool needed() const { return limits_.memory_bytes > 0 || limits_.tasks > 0; }

 private:
  ControlGroups(std::string parent, std::string prefix, const ControlGroupLimits& limits)
      : parent_(std::move(parent)), prefix_(std::move(prefix)), limits_(limits) {}
  void RemoveLeftovers() const;
  absl::Status TakeControllers() const;

  const std::string parent_, prefix_;
  const ControlGroupLimits limits_;
  std::atomic<int> made_ = 0;
};

}  // namespace sink::worker
