// See core_context.h.
#include "coordinator/core/core_context.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace sink {

CoreContext::CoreContext(store::JobStore* store, CoreOptions options, JobEventListener* listener, uint64_t epoch)
    : store_(store),
      options_(std::move(options)),
      listener_(listener == nullptr ? &nobody_ : listener),
      next_fence_((epoch << 32) + 1) {}

absl::Status CoreContext::WriteBy(absl::Status (store::JobStore::*write)(const WriteBody&), const WriteBody& body) {
  store::Changes changes;
  const absl::Status status = (store_->*write)([&](store::Transaction& rows) {
    const absl::Status done = body(rows);
    changes = rows.changes();
    return done;
  });
  if (!status.ok()) return status;
  feed_.Publish(changes);
  changes_.Bump();
  if (changes.placement) placement_.Bump();
  return status;
}

void CoreContext::HearWorker(const std::string& id, int devices_free, Now now) {
  const LeaseClock::WorkerTimes before = clock_.HearWorker(id, devices_free, now.steady_ms, now.unix_ms);
  // A gang may have waited for its devices: they count only while it is connected.
  if (!IsConnected(before, now) || before.devices_free != devices_free) placement_.Bump();
}

void CoreContext::WorkerLeaves(const std::string& id, const std::string& session, Now now) {
  const std::optional<LeaseClock::WorkerTimes> before = clock_.Leave(id, session, now.steady_ms, now.unix_ms);
  // Jobs and reserved devices may have waited for it that now go to others.
  if (before && IsConnected(*before, now)) placement_.Bump();
}

void CoreContext::SetRoom(bool room) {
  if (!has_room_.exchange(room) && room) placement_.Bump();
}

void CoreContext::SetCheckpointsAway(bool away) {
  if (checkpoints_away_.exchange(away) && !away) placement_.Bump();
}

bool CoreContext::IsConnected(const LeaseClock::WorkerTimes& times, Now now) const {
  const int64_t silent = now.steady_ms - times.heard;
  const int64_t allowed = std::min(options_.lease_duration_ms, times.rest_ms + 2 * options_.heartbeat_interval_ms);
  return times.heard_unix_ms != 0 && !times.left && silent <= allowed;
}

Holder CoreContext::NewHolder(const std::string& worker_id, const std::string& session, uint64_t poll) {
  return {next_fence_++, options_.new_lease_id(), worker_id, session, poll};
}

WorkerState CoreContext::StateOf(const Worker& worker, Now now) {
  const LeaseClock::WorkerTimes times = clock_.WorkerSeen(worker.id, now.steady_ms);
  if (times.left) return WorkerState::kStopped;
  if (now.steady_ms - times.heard > options_.lease_duration_ms) return WorkerState::kGone;
  return IsConnected(times, now) ? WorkerState::kConnected : WorkerState::kDisconnected;
}

}  // namespace sink
