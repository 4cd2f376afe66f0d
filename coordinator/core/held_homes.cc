// See held_homes.h.
#include "coordinator/core/held_homes.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "coordinator/core/holds.h"
#include "coordinator/job/status_macros.h"

namespace sink {
namespace {

constexpr int kJobsAtOnce = 500;

// What a transaction has found out about sweeps, each read once.
class KnownSweeps {
 public:
  struct Known {
    bool held = false;  // by failures
    int64_t created_ms = 0;
  };

  explicit KnownSweeps(store::Snapshot* rows) : rows_(*rows) {}

  // One that is gone is not held.
  absl::StatusOr<Known> Of(const std::string& name) {
    if (const auto known = known_.find(name); known != known_.end()) return known->second;
    Known known;
    const absl::StatusOr<Sweep> sweep = rows_.GetSweep(name);
    if (!sweep.ok() && !absl::IsNotFound(sweep.status())) return sweep.status();
    if (sweep.ok()) {
      SINK_ASSIGN_OR_RETURN(const std::string why, WhyFailuresHold(rows_, *sweep));
      known = {!why.empty(), sweep->created_ms};
    }
    known_.emplace(name, known);
    return known;
  }

 private:
  store::Snapshot& rows_;
  absl::flat_hash_map<std::string, Known> known_;
};

// Where the job is to be at home; nothing: it stays, or is gone.
absl::StatusOr<std::optional<std::string>> OtherHome(store::Snapshot& rows, const std::string& id,
                                                     KnownSweeps* sweeps) {
  const absl::StatusOr<Job> job = rows.GetJob(id);
  if (absl::IsNotFound(job.status())) return std::nullopt;
  if (!job.ok()) return job.status();
  if (job->state != JobState::kQueued) return std::nullopt;
  SINK_ASSIGN_OR_RETURN(const KnownSweeps::Known home, sweeps->Of(job->home_sweep));
  if (!home.held) return std::nullopt;
  std::optional<std::pair<int64_t, std::string>> oldest;
  for (const Membership& place : job->sweeps) {
    if (place.withdrawn) continue;
    SINK_ASSIGN_OR_RETURN(const KnownSweeps::Known other, sweeps->Of(place.sweep));
    if (other.held) continue;
    const std::pair<int64_t, std::string> found(other.created_ms, place.sweep);
    oldest = oldest ? std::min(*oldest, found) : found;
  }
  if (!oldest) return std::nullopt;
  return oldest->second;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> HeldHomes::Look(store::Snapshot& rows) {
  KnownSweeps sweeps(&rows);
  std::vector<std::string> moving;
  if (round_.empty()) {
    SINK_ASSIGN_OR_RETURN(round_, rows.QueueHeads());
  }
  for (int looked = 0; looked < kJobsAtOnce && !round_.empty();) {
    SINK_ASSIGN_OR_RETURN(const KnownSweeps::Known home, sweeps.Of(round_.back().sweep));
    std::optional<store::QueueHead> next;
    if (home.held) {
      ++looked;
      SINK_ASSIGN_OR_RETURN(const std::optional<std::string> other, OtherHome(rows, round_.back().job_id, &sweeps));
      if (other) moving.push_back(round_.back().job_id);
      SINK_ASSIGN_OR_RETURN(next, rows.NextInQueue(round_.back()));
    }
    if (next)
      round_.back() = *std::move(next);
    else
      round_.pop_back();
  }
  return moving;
}

absl::Status HeldHomes::Move(store::Transaction& rows, const std::vector<std::string>& ids) {
  KnownSweeps sweeps(&rows);
  for (const std::string& id : ids) {
    SINK_ASSIGN_OR_RETURN(const std::optional<std::string> home, OtherHome(rows, id, &sweeps));
    if (home) SINK_RETURN_IF_ERROR(rows.SetHome(id, *home));
  }
  return absl::OkStatus();
}

}  // namespace sink
