// See simulated_store.h.
#include "tests/simulator/simulated_store.h"

#include <utility>

#include "coordinator/job/status_macros.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_transaction.h"

namespace sink::simulator {
namespace {

constexpr int kPagesBetweenCheckpoints = 40;  // few, so that crashes meet SQLite's checkpoints, too
constexpr int64_t kMostCommitDelay = 3 * kMs;
constexpr int64_t kMostPause = 2 * kMs;

absl::Status Gone() { return absl::UnavailableError("the coordinator is stopping"); }

}  // namespace

absl::StatusOr<Connections::Pair> Connections::Take() {
  Pair pair = std::exchange(kept_, {});
  if (pair.writer != nullptr && disk_->Reconnect()) return pair;
  pair = {};
  SINK_ASSIGN_OR_RETURN(pair.writer, store::Database::Open(kDatabase, store::Database::Mode::kReadWrite));
  sqlite3_wal_autocheckpoint(pair.writer->handle(), kPagesBetweenCheckpoints);
  SINK_ASSIGN_OR_RETURN(pair.reader, store::Database::Open(kDatabase, store::Database::Mode::kReadOnly));
  return pair;
}

void Connections::GiveBack(Pair pair) {
  if (pair.writer->InTransaction() || pair.reader->InTransaction()) return;  // its end failed, too
  for (store::Database* db : {pair.writer.get(), pair.reader.get()}) sqlite3_db_release_memory(db->handle());
  kept_ = std::move(pair);
}

absl::StatusOr<std::unique_ptr<SimulatedStore>> SimulatedStore::Open(Timeline* timeline, Random* random, Fibers* fibers,
                                                                     Connections* connections,
                                                                     std::function<void()> on_failure) {
  SINK_ASSIGN_OR_RETURN(Connections::Pair pair, connections->Take());
  SINK_RETURN_IF_ERROR(store::Migrate(*pair.writer));
  return std::unique_ptr<SimulatedStore>(
      new SimulatedStore(timeline, random, fibers, connections, std::move(pair), std::move(on_failure)));
}

void SimulatedStore::ResumeLater(uint64_t ticket, int64_t most) {
  timeline_->After(random_->Between(0, most), [this, ticket, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    const auto found = paused_.find(ticket);
    if (found == paused_.end()) return;  // the process has gone meanwhile
    Fibers::Fiber* const fiber = found->second;
    paused_.erase(found);
    fibers_->Resume(fiber);
  });
}

void SimulatedStore::Pause(int64_t most) {
  const uint64_t ticket = ++tickets_;
  paused_[ticket] = fibers_->current();
  ResumeLater(ticket, most);
  fibers_->Wait();
}

absl::Status SimulatedStore::Read(const std::function<absl::Status(store::Snapshot&)>& body) {
  Rest(kMostPause);
  if (dead_) return Gone();
  store::Database& reader = *pair_.reader;
  absl::Status status = store::Query(reader, "BEGIN").Run();
  if (!status.ok()) return status;
  store::SqliteTransaction snapshot(reader, names_);
  status = body(snapshot);
  const absl::Status end = store::Query(reader, "COMMIT").Run();
  return status.ok() ? end : status;
}

absl::Status SimulatedStore::Write(const std::function<absl::Status(store::Transaction&)>& body) {
  if (dead_) return Gone();
  Waiting waiting;
  waiting.write.body = &body;
  group_.push_back(&waiting);
  if (fibers_->current() == nullptr) {
    CommitGroup();
    return waiting.write.status;
  }
  waiting.fiber = fibers_->current();
  if (group_.size() == 1) {
    timeline_->After(random_->Between(0, kMostCommitDelay), [this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired() && !dead_) CommitGroup();
    });
  }
  fibers_->Wait();
  return waiting.write.status;
}

void SimulatedStore::CommitGroup() {
  const std::vector<Waiting*> group = std::exchange(group_, {});
  if (group.empty()) return;
  size_t taken = 0;
  writer_.Commit([&]() -> store::PendingWrite* { return taken < group.size() ? &group[taken++]->write : nullptr; });
  bool failed = false;
  for (Waiting* const waiting : group) {
    failed |= absl::IsDataLoss(waiting->write.status);
    if (waiting->fiber == nullptr) continue;
    const uint64_t ticket = ++tickets_;
    paused_[ticket] = waiting->fiber;
    ResumeLater(ticket, kMostPause);
  }
  if (!failed) return;
  const std::function<void()> tell = on_failure_;  // it ends this object
  tell();
}

void SimulatedStore::Kill() {
  dead_ = true;
  for (Waiting* const waiting : std::exchange(group_, {})) {
    waiting->write.status = Gone();
    if (waiting->fiber != nullptr) fibers_->Resume(waiting->fiber);
  }
  // One that goes on may not wait again.
  for (const auto& [ticket, fiber] : std::exchange(paused_, {})) fibers_->Resume(fiber);
}

}  // namespace sink::simulator
