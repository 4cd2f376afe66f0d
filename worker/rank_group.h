// The trainers that one attempt runs on this machine: a single one, or, where the grant names a gang, one a device,
// each a rank of a job that may span several workers. Owned by the attempt's JobRunner, whose thread waits in RunRanks;
// there every rank has a thread of its own, because a trainer must not outlive the thread that created it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "proto/pipe/events.h"
#include "sink/v1/worker.pb.h"
#include "worker/control_group.h"
#include "worker/devices.h"
#include "worker/outcome.h"
#include "worker/run_folder.h"
#include "worker/stop_control.h"
#include "worker/trainer_supervisor.h"
#include "worker/trainer_user.h"

namespace sink::worker {

struct Rank {
  int number = 0;      // within the whole job; rank 0 speaks for all
  std::string prefix;  // of its messages: "rank 3: "; "" in a job of one process
  RunFolder folder;
  std::string device;                    // "cpu" or "cuda:0"
  std::vector<std::string> environment;  // NAME=value, complete but for what TrainerProcess adds
};

// The ranks that the grant gives to this worker. `environment`: the part of the daemon's that trainers may see. A
// rank of a gang finds SINK_RANK, SINK_WORLD_SIZE, SINK_RENDEZVOUS (host:port) and SINK_RENDEZVOUS_TOKEN_FILE in its
// own, and sees one device; the trainer of a job without a gang sees every claimed device and none of these
// variables.
std::vector<Rank> PlanRanks(const v1::Grant& grant, const RunFolder& folder, const DevicePool::Claim& claim,
                            const std::vector<std::string>& environment);

// As SupervisionHooks, but called from all ranks' threads at once.
struct RankHooks {
  v1::LeaseRef lease;  // what the threads log is about
  std::function<void(const Rank& rank, std::string_view line, const pipe::Event& event)> on_event;
  std::function<void(const Rank& rank, std::string_view level, std::string_view text)> on_log;
  std::function<void(absl::Duration now)> on_tick;
};

// Runs `trainer` (absolute path) once for each rank, as `user` (null: as this process) and in a group of `groups`
// (null: in this process's), until none of them nor a process that they started is left, but such as do not die, which
// the reports tell. A rank that ends without success requests StopReason::kRankLost for the rest, unless it was asked
// to stop: then the ranks have agreed on a step, and the others are about to save and end as well. The limits `stall`
// and `idle` hold for rank 0.
std::vector<RankReport> RunRanks(const std::vector<Rank>& ranks, const std::string& trainer, const TrainerUser* user,
                                 ControlGroups* groups, const SupervisionLimits& limits, StopControl& control,
                                 const RankHooks& hooks);

}  // namespace sink::worker
