// Devices that stay taken although their attempt has ended, because a process of it does not die of SIGKILL: it waits
// in the kernel for a disk or a driver, and what it holds of a GPU is not given back before it is gone. Nobody needs to
// wait for that: it makes no further call, and the one that it is in can write only to a file of its own run folder
// which has yet to become part of a checkpoint. A later attempt has another folder, and takes from others nothing but
// checkpoints whose files have the hashes that the coordinator knows. So it is looked for from time to time.
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "sink/v1/worker.pb.h"
#include "worker/devices.h"

namespace sink::worker {

// One that has not ended, or has left processes behind that have not.
struct LeftTrainer {
  pid_t pid = 0;  // and session
  bool reaped = false;
};

// Of one attempt.
struct Remains {
  v1::LeaseRef lease;
  std::string marker;  // of its processes (process_tree.h)
  std::vector<LeftTrainer> trainers;
};

class OccupiedDevices {
 public:
  OccupiedDevices() = default;
  // Gives the claims back; the processes are left to whoever adopts them.
  ~OccupiedDevices() ABSL_LOCKS_EXCLUDED(mutex_);
  OccupiedDevices(const OccupiedDevices&) = delete;
  OccupiedDevices& operator=(const OccupiedDevices&) = delete;

  // Keeps the claim until Check finds that none of the processes is left; the log says so now and then. Where none is
  // left by now, the claim ends here.
  void Hold(Remains remains, std::unique_ptr<DevicePool::Claim> claim) ABSL_LOCKS_EXCLUDED(mutex_);
  // Gives back the claims of which all processes are gone, and reaps those that were trainers. Looks once a second at
  // most (`now`: boot clock), and never waits.
  void Check(absl::Duration now) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Held {
    Remains remains;
    std::unique_ptr<DevicePool::Claim> claim;
  };

  absl::Mutex mutex_;
  std::vector<Held> held_ ABSL_GUARDED_BY(mutex_);
  absl::Duration look_from_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

}  // namespace sink::worker
