// See rank_group.h.
#include "worker/rank_group.h"

#include <spdlog/spdlog.h>

#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/log/log.h"
#include "worker/timing.h"
#include "worker/trainer_process.h"

namespace sink::worker {
namespace {

// Numbers of GPUs mean to a trainer what they mean to NVML; CUDA's own order has the fastest first.
constexpr char kDeviceOrder[] = "CUDA_DEVICE_ORDER=PCI_BUS_ID";

TrainerReport StartFailure(const absl::Status& status) {
  TrainerReport report;
  report.exit.code = pipe::kExitInfra;
  report.failed =
      pipe::Failed{pipe::FailureClass::kInfra, absl::StrCat("the trainer did not start: ", status.message())};
  report.ended_at = BootTime();
  return report;
}

TrainerReport RunRank(const Rank& rank, const std::string& trainer, const TrainerUser* user, ControlGroups* groups,
                      SupervisionLimits limits, StopControl& control, const RankHooks& hooks) {
  std::unique_ptr<ControlGroup> group;
  if (groups != nullptr) {
    auto made = groups->Make();
    if (!made.ok() && groups->needed()) return StartFailure(made.status());
    if (!made.ok()) spdlog::warn("{}: no control group: {}", rank.folder.marker(), made.status().ToString());
    if (made.ok()) group = *std::move(made);
  }
  auto process = TrainerProcess::Start({trainer, rank.folder.path(), rank.environment, rank.folder.marker(), user,
                                        group == nullptr ? -1 : group->join_fd()});
  if (!process.ok()) return StartFailure(process.status());
  const std::string& name = rank.folder.marker();
  spdlog::info("{}: trainer pid {} on {}", name, (*process)->pid(), rank.device);
  // The others learn of steps from rank 0 only; what they show of themselves is that they live.
  if (rank.number > 0) limits.stall = limits.idle = absl::InfiniteDuration();
  SupervisionHooks supervision;
  supervision.handlers.on_event = [&](std::string_view line, const pipe::Event& event) {
    hooks.on_event(rank, line, event);
  };
  supervision.handlers.on_log = [&](std::string_view level, std::string_view text) { hooks.on_log(rank, level, text); };
  supervision.on_tick = hooks.on_tick;
  TrainerReport report = Supervise(**process, name, limits, control, std::move(supervision), group.get());
  if (!report.trainer_gone) {
    hooks.on_log(rank, "error", DescribeUndead(report.pid));
    return report;
  }
  spdlog::info("{}: trainer ended ({})", name, DescribeExit(report.exit));
  if (!report.descendants_gone) {
    hooks.on_log(rank, "error",
                 "processes of the trainer do not die; this machine needs attention, and the devices stay out of use "
                 "until they are gone");
  }
  return report;
}

bool IsLoss(const TrainerReport& report) {
  const bool stopped = report.exit.signal == 0 && report.exit.code == pipe::kExitStopped;
  return !stopped && JudgeTrainer(report).state != v1::SUCCEEDED;
}

}  // namespace

std::vector<Rank> PlanRanks(const v1::Grant& grant, const RunFolder& folder, const DevicePool::Claim& claim,
                            const std::vector<std::string>& environment) {
  std::vector<Rank> ranks;
  if (!grant.has_gang()) {
    ranks.push_back({0, "", folder, claim.device(), environment});
    ranks.back().environment.push_back(kDeviceOrder);
    ranks.back().environment.push_back(absl::StrCat("CUDA_VISIBLE_DEVICES=", claim.visible_devices()));
    return ranks;
  }
  const v1::Gang& gang = grant.gang();
  for (int i = 0; i < claim.size(); ++i) {
    const int number = gang.first_rank() + i;
    ranks.push_back({number, absl::StrCat("rank ", number, ": "), folder.OfRank(number), claim.device(), environment});
    for (const std::string& entry :
         {std::string(kDeviceOrder), absl::StrCat("CUDA_VISIBLE_DEVICES=", claim.visible_device(i)),
          absl::StrCat("SINK_RANK=", number), absl::StrCat("SINK_WORLD_SIZE=", gang.world_size()),
          absl::StrCat("SINK_RENDEZVOUS=", gang.rendezvous()),
          absl::StrCat("SINK_RENDEZVOUS_TOKEN_FILE=", ranks.back().folder.token())}) {
      ranks.back().environment.push_back(entry);
    }
  }
  return ranks;
}

std::vector<RankReport> RunRanks(const std::vector<Rank>& ranks, const std::string& trainer, const TrainerUser* user,
                                 ControlGroups* groups, const SupervisionLimits& limits, StopControl& control,
                                 const RankHooks& hooks) {
  std::vector<RankReport> reports(ranks.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&, i] {
      const LogScope scope(hooks.lease.job_id(), hooks.lease.lease_id());
      reports[i] = {ranks[i].prefix, RunRank(ranks[i], trainer, user, groups, limits, control, hooks)};
      if (IsLoss(reports[i].trainer)) control.Request(StopReason::kRankLost);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return reports;
}

}  // namespace sink::worker
