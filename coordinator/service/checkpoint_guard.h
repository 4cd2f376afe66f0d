// Watches over the bytes of checkpoints: what is sent is compared with its hashes on the way, and a thread reads all of
// them again from time to time (a scrub), so that damage is found while an older checkpoint is still there. A damaged
// one is forgotten (core/checkpoint_calls.h), and the job goes on from the newest of the others. So is one whose whole
// folder is gone while another of its job is there; where none is, or a person has pinned it, it is for a person to
// say. Bytes that the disk does not give are a doubt, and no damage yet: it may give them in a minute. Such a
// checkpoint is passed over and stays, until the disk has refused it in two scrubs, and in the later one has given
// another of its job whole. While the repository is away (CheckpointRepository::CheckHere) nothing is damaged,
// forgotten or removed. Owned by the server; any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/checkpoint_calls.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/job/mutex.h"
#include "coordinator/service/checkpoint_repository.h"
#include "coordinator/service/checkpoint_stream.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/service_time.h"
#include "sink/v1/client.pb.h"

namespace sink {

class CheckpointGuard {
 public:
  // What it is given outlives it.
  CheckpointGuard(CheckpointCalls* calls, JobQueries* queries, CheckpointRepository* repository, FailStop* fail_stop,
                  NowFn now)
      : calls_(calls), queries_(queries), repository_(repository), fail_stop_(fail_stop), now_(std::move(now)) {}
  ~CheckpointGuard();  // ends the scrub

  // Sends the row of `step` (0: the first of `rows`, which is the newest; to workers the first of which nothing bad is
  // known, where there is one), then its files. NOT_FOUND when there is none; DATA_LOSS when it is damaged, and
  // forgotten, or cannot be read now; ABORTED when it does not count any more; RESOURCE_EXHAUSTED while all are away.
  absl::Status Send(const std::vector<Checkpoint>& rows, int64_t step, SentTo whom,
                    absl::FunctionRef<bool(const v1::CheckpointChunk&)> write);

  // Sends the files alone, as people open them (opened_checkpoint.h). DATA_LOSS, ABORTED and RESOURCE_EXHAUSTED as
  // above.
  absl::Status SendOpened(
      const Checkpoint& row,
      absl::FunctionRef<absl::Status(const std::string& file, uint64_t offset, std::string& data)> send);

  // Reads them all; drops none. Each with what is wrong with it, or nothing, without those that newer ones have
  // pushed out meanwhile, files and all. RESOURCE_EXHAUSTED while all are away.
  absl::StatusOr<std::vector<std::pair<Checkpoint, std::string>>> Verify(const std::vector<Checkpoint>& rows);

  // What was wrong with it when it was last read, where it has not been dropped: of a job that has succeeded, whose
  // folder is away, or that the disk does not give. Empty: nothing is known. In memory: after a restart the next scrub
  // finds it again.
  std::string DamageOf(const Checkpoint& checkpoint) ABSL_LOCKS_EXCLUDED(mutex_);
  // Those that are damaged and still there, with what is wrong with them: at most `most`.
  std::vector<std::pair<Checkpoint, std::string>> Damaged(size_t most) ABSL_LOCKS_EXCLUDED(mutex_);

  // Forgets the damage of what the job has lost, and removes what lies of it and has no row: what its attempts that are
  // over had begun to send, and what was dropped. What its live attempt has brought stays, also where it was dropped,
  // until that commits or ends. For after a drop, and before each scrub; what stays is told in the log.
  void RemoveLeftovers(std::string_view job);

  // The same of every job that has begun an upload: for one that finds no room. At most once a second for all of them,
  // because a disk that stays full brings everybody here again and again. Uploads that were begun before the start are
  // in no memory: every folder is listed for them, at most once a minute.
  void MakeRoom();

  // Removes the bytes that deleted jobs have left: after each deletion, at the start and before each scrub, so that a
  // crash between rows and files, or a disk that fails, leaves nothing for good. What stays is told in the log, but
  // for what is away; errors are the store's.
  absl::Status RemoveDeleted();

  // Reads every checkpoint, for the first time soon, then each `interval`, at most so many bytes a second.
  void StartScrub(std::chrono::nanoseconds interval, uint64_t bytes_per_second);
  // Once. False as soon as the guard is to end.
  bool ScrubAll(uint64_t bytes_per_second);

 private:
  struct Damage {
    Checkpoint checkpoint;
    std::string what;
    bool doubted = false;  // the disk did not give it in a scrub
  };

  static constexpr int64_t kMakeRoomEveryMs = 1'000, kListUploadsEveryMs = 60'000;

  void ScrubLoop(std::chrono::nanoseconds interval, uint64_t bytes_per_second) ABSL_LOCKS_EXCLUDED(mutex_);
  void Scrub(const std::string& job, uint64_t bytes_per_second) ABSL_LOCKS_EXCLUDED(mutex_);
  // False as soon as the guard is to end.
  bool Pause(std::chrono::nanoseconds duration) ABSL_LOCKS_EXCLUDED(mutex_);
  // Its row, as it is now, while it is one of its job's: newer ones push out the row first, and then the files.
  absl::StatusOr<std::optional<Checkpoint>> RowOf(const Checkpoint& checkpoint);
  absl::StatusOr<bool> Counts(const Checkpoint& checkpoint);  // has a row
  // Whether the folder of another of its job's checkpoints is there, from which the job can go on.
  absl::StatusOr<bool> AnotherIsThere(const Checkpoint& checkpoint);
  // What came of reading it whole, with what was done about it where it is damaged or cannot be read.
  absl::Status Judge(const Checkpoint& row, const absl::Status& read) ABSL_LOCKS_EXCLUDED(mutex_);
  // `damage`: DATA_LOSS. Returns it with what was done about it; ABORTED when the checkpoint does not count any more,
  // and RESOURCE_EXHAUSTED while all are away, so that it is no damage.
  absl::Status Forget(const Checkpoint& checkpoint, const absl::Status& damage) ABSL_LOCKS_EXCLUDED(mutex_);
  // `doubt`: UNKNOWN. It is remembered and stays: DATA_LOSS that says so, or RESOURCE_EXHAUSTED while all are away.
  absl::Status Doubt(const Checkpoint& checkpoint, const absl::Status& doubt) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether it was doubted in an earlier scrub, too, and has not been read whole since; now it is in this one.
  bool WasDoubted(const Checkpoint& checkpoint) ABSL_LOCKS_EXCLUDED(mutex_);
  // For DamageOf; an empty `damage`: it is whole. Whether that is damage of which nothing was known before: the job's
  // log tells of it.
  bool Remember(const Checkpoint& checkpoint, const std::string& damage) ABSL_LOCKS_EXCLUDED(mutex_);
  // Damage that is remembered, in the order of their keys.
  std::vector<std::pair<Checkpoint, std::string>> RememberedAfter(const CheckpointKey& key, size_t most)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The job has these.
  void ForgetDropped(const std::string& job, const std::vector<Checkpoint>& rows) ABSL_LOCKS_EXCLUDED(mutex_);

  CheckpointCalls* const calls_;
  JobQueries* const queries_;
  CheckpointRepository* const repository_;
  FailStop* const fail_stop_;
  const NowFn now_;
  std::atomic<int64_t> made_room_ms_{-kMakeRoomEveryMs}, listed_uploads_ms_{-kListUploadsEveryMs};  // steady

  Mutex mutex_;
  CondVar ending_changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<CheckpointKey, Damage> damaged_ ABSL_GUARDED_BY(mutex_);
  std::thread scrub_;
};

}  // namespace sink
