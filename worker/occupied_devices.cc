// See occupied_devices.h.
#include "worker/occupied_devices.h"

#include <spdlog/spdlog.h>

#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "coordinator/log/log.h"
#include "proto/base/counted.h"
#include "worker/process_tree.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kBetweenLooks = absl::Seconds(1);  // a look reads the whole of /proc

// Those that are still there. A trainer counts until it can be reaped: its first thread may have ended while another
// has not.
std::set<pid_t> FindAndReap(Remains& remains) {
  std::set<pid_t> found;
  for (LeftTrainer& trainer : remains.trainers) {
    if (!trainer.reaped) trainer.reaped = ReapTrainer(trainer.pid);
    if (!trainer.reaped) found.insert(trainer.pid);
    for (pid_t pid : ProcessesOfRun(remains.marker, trainer.pid)) found.insert(pid);
  }
  return found;
}

}  // namespace

OccupiedDevices::~OccupiedDevices() {
  absl::MutexLock lock(&mutex_);
  for (const Held& held : held_) {
    for (const LeftTrainer& trainer : held.remains.trainers) {
      if (!trainer.reaped) ForgetTrainer(trainer.pid);
    }
  }
}

void OccupiedDevices::Hold(Remains remains, std::unique_ptr<DevicePool::Claim> claim) {
  const std::set<pid_t> pids = FindAndReap(remains);
  if (pids.empty()) return;  // they have died since
  const LogScope scope(remains.lease.job_id(), remains.lease.lease_id());
  spdlog::error(
      "job {}: attempt {} has left processes that do not die of SIGKILL (pid {}): {} kept from other jobs "
      "until they are gone",
      remains.lease.job_id(), remains.lease.attempt(), absl::StrJoin(pids, ", "),
      Counted(claim->size(), "device is", "devices are"));
  absl::MutexLock lock(&mutex_);
  held_.push_back({std::move(remains), std::move(claim)});
}

void OccupiedDevices::Check(absl::Duration now) {
  absl::MutexLock lock(&mutex_);
  if (held_.empty() || now < look_from_) return;
  look_from_ = now + kBetweenLooks;
  std::erase_if(held_, [](Held& held) {
    if (!FindAndReap(held.remains).empty()) return false;
    const v1::LeaseRef& lease = held.remains.lease;
    const LogScope scope(lease.job_id(), lease.lease_id());
    spdlog::info("job {}: what attempt {} had left is gone: {} free again", lease.job_id(), lease.attempt(),
                 Counted(held.claim->size(), "device is", "devices are"));
    return true;
  });
}

}  // namespace sink::worker
