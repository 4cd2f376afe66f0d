// The coordinator's store on a LossyDisk: SQLite with the program's schema, statements and group commit, and simulated
// time where the program has threads. A call in a fiber stops before each look into the store and before each commit,
// so that calls interleave and commit together. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/group_commit.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/series_names.h"
#include "coordinator/store/sqlite_db.h"
#include "tests/simulator/fiber.h"
#include "tests/simulator/lossy_disk.h"
#include "tests/simulator/timeline.h"

namespace sink::simulator {

inline constexpr char kDatabase[] = "sink.db";  // on the disk

// A coordinator's connections to the database on the disk. They outlast its processes, and whole schedules, which would
// otherwise spend most of their time opening them and preparing their statements; nothing that they remember of the
// files is kept.
class Connections {
 public:
  struct Pair {
    std::unique_ptr<store::Database> writer, reader;
  };

  explicit Connections(LossyDisk* disk) : disk_(disk) {}

  // Of a process that starts on what is on the disk now: those given back, or new ones.
  absl::StatusOr<Pair> Take();
  void GiveBack(Pair pair);

 private:
  LossyDisk* const disk_;
  Pair kept_;
};

class SimulatedStore final : public store::JobStore {
 public:
  // `on_failure` is called, once, when a commit says that the disk has failed. All outlive the store.
  static absl::StatusOr<std::unique_ptr<SimulatedStore>> Open(Timeline* timeline, Random* random, Fibers* fibers,
                                                              Connections* connections,
                                                              std::function<void()> on_failure);
  ~SimulatedStore() override { connections_->GiveBack(std::move(pair_)); }

  // Outside a fiber both act at once.
  absl::Status Write(const std::function<absl::Status(store::Transaction&)>& body) override;
  absl::Status Read(const std::function<absl::Status(store::Snapshot&)>& body) override;

  // A fiber's thread does not run for a while, at most so long.
  void Rest(int64_t most) {
    if (fibers_->current() != nullptr && !dead_) Pause(most);
  }
  // The process is gone: every call that waits goes on with an error, and no later one does anything.
  void Kill();

 private:
  struct Waiting {
    store::PendingWrite write;
    Fibers::Fiber* fiber = nullptr;
  };

  SimulatedStore(Timeline* timeline, Random* random, Fibers* fibers, Connections* connections, Connections::Pair pair,
                 std::function<void()> on_failure)
      : timeline_(timeline),
        random_(random),
        fibers_(fibers),
        connections_(connections),
        on_failure_(std::move(on_failure)),
        pair_(std::move(pair)),
        writer_(pair_.writer.get()) {}
  void CommitGroup();
  // Of the fiber that runs: goes on after a random time, or when the process is gone.
  void Pause(int64_t most);
  void ResumeLater(uint64_t ticket, int64_t most);

  Timeline* const timeline_;
  Random* const random_;
  Fibers* const fibers_;
  Connections* const connections_;
  const std::function<void()> on_failure_;
  Connections::Pair pair_;
  store::GroupCommit writer_;
  store::SeriesNames names_;  // of the reader
  bool dead_ = false;
  uint64_t tickets_ = 0;
  std::map<uint64_t, Fibers::Fiber*> paused_;
  std::vector<Waiting*> group_;                                 // of the next commit
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for events that come after this object's end
};

}  // namespace sink::simulator
