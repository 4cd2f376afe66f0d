// See core_context.h.
#include "coordinator/core/core_context.h"

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
  if (clock_.HearWorker(id, devices_free, now.steady_ms, now.unix_ms)) placement_.Bump();
}

Holder CoreContext::NewHolder(const std::string& worker_id, const std::string& session, uint64_t poll) {
  return {next_fence_++, options_.new_lease_id(), worker_id, session, poll};
}

WorkerState CoreContext::StateOf(const Worker& worker, Now now) {
  const LeaseClock::WorkerTimes times = clock_.WorkerSeen(worker.id, now.steady_ms);
  const int64_t silent = now.steady_ms - times.heard;
  if (silent > options_.lease_duration_ms) return WorkerState::kGone;
  const bool heard = times.heard_unix_ms != 0 && silent <= times.rest_ms + 2 * options_.heartbeat_interval_ms;
  return heard ? WorkerState::kConnected : WorkerState::kDisconnected;
}

}  // namespace sink
