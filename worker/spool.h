// The events of one attempt that the coordinator has not yet acknowledged, on disk, so that neither a network outage
// nor the daemon's death loses them. Owned by the attempt's JobRunner. Thread-safe: the pipe reader appends while the
// sender reads and acknowledges.
//
// A spool is a folder of segments named after their first sequence number; a segment whose records are all acknowledged
// is deleted. Events are not fsynced one by one: the page cache survives the daemon, and what a power cut takes is
// trained again. Sync() comes before whatever is durable itself and counts on them: a checkpoint on its way, the
// attempt's end. Where the disk has lost some all the same, GoOnAfter() keeps to the coordinator's numbers.
//
// What the disk does not take, or what comes beyond max_bytes, is held in memory, up to a bound: numbered, read and
// acknowledged as everything else, and written before whatever comes next. So a number means the same wherever the
// event lies, what the sender reads has no gap, and a disk that stays full costs nothing as long as the coordinator is
// there. Should the daemon die, those events are lost as those of a power cut are: Sync() fails while there are any, so
// that no checkpoint counts on them, and an attempt that had ended is found to lack them (JobRunner::MendSpool).
// Only beyond that bound are events dropped, for good: loss() says so from then on.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/job/mutex.h"
#include "proto/files/descriptor.h"
#include "worker/spool_record.h"

namespace sink::worker {

// What people are told of an attempt whose spool has lost all after that event.
std::string SpoolDamage(uint64_t last_seq);

class Spool {
 public:
  struct Options {
    int64_t max_bytes = 256 << 20;     // on disk; Sync and Seal write what is held beyond that, too
    int64_t segment_bytes = 4 << 20;   // a new segment starts after this many
    int64_t max_held_bytes = 8 << 20;  // in memory; what comes beyond it is dropped and counted
  };

  // Opens the folder, creating it if needed, and truncates it at the first damaged record: whatever follows one is
  // deleted, because the coordinator takes sequence numbers without a gap only, and the log names the file. Errors of
  // the file system pass through.
  static absl::StatusOr<std::unique_ptr<Spool>> Open(const std::string& folder, const Options& options);

  // Gives the line the next sequence number, from 1, and returns it. Returns 0 when the spool is sealed, or when the
  // line was dropped because neither disk nor memory has room for it. Then all are, until nothing is held any more and
  // half of the spool is free; the next one is preceded by a log event with the number of lost ones. Never waits for
  // anything but the disk.
  uint64_t Append(std::string_view line, int64_t time_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  // No more events; tells of those that were lost first. Returns the last sequence number, 0 if there was never one.
  uint64_t Seal(int64_t time_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  // Forces to disk what has been appended so far; an error where the disk does not take what is held. Nobody else waits
  // for that: the events of all ranks come through here, and a sync of a busy disk takes seconds.
  absl::Status Sync() ABSL_LOCKS_EXCLUDED(mutex_);

  // The coordinator has events up to `seq` for good. Where a damaged spool ends before that, the next event comes after
  // them all the same: under a number that the coordinator knows, it would be taken for a repetition.
  absl::Status GoOnAfter(uint64_t seq) ABSL_LOCKS_EXCLUDED(mutex_);

  // Consecutive records from `first` on: at most `max_records`, and no more once their lines exceed `max_bytes`. Empty
  // when `first` is not there (yet, or any more).
  std::vector<SpoolRecord> Read(uint64_t first, size_t max_records, size_t max_bytes) ABSL_LOCKS_EXCLUDED(mutex_);

  // The coordinator has everything up to `durable_seq` for good.
  void Acknowledge(uint64_t durable_seq) ABSL_LOCKS_EXCLUDED(mutex_);

  // Wait until there is a record after `seq`, or until all up to `seq` is acknowledged; false on timeout.
  bool WaitForRecordAfter(uint64_t seq, absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  bool WaitForAcknowledged(uint64_t seq, absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until no more events are to come; false on timeout.
  bool WaitUntilSealed(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  // From now on nobody is kept waiting for a record: whoever does, or would, gets its answer at once.
  void Release() ABSL_LOCKS_EXCLUDED(mutex_);

  // DataLoss once a line was dropped: how many were, and why the first.
  absl::Status loss() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t last_seq() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t acknowledged_seq() const ABSL_LOCKS_EXCLUDED(mutex_);  // after Open only a lower bound
  uint64_t first_kept_seq() const ABSL_LOCKS_EXCLUDED(mutex_);    // oldest record still on disk; 1 when empty

 private:
  struct Segment {
    uint64_t first_seq = 0;
    uint64_t last_seq = 0;  // first_seq - 1 while empty
    int64_t bytes = 0;
    std::string path;
  };
  // Where the last Read stopped, so that the next one need not scan.
  struct Cursor {
    files::Fd fd;
    uint64_t segment = 0;  // its first_seq
    uint64_t seq = 0;      // of the record at offset
    int64_t offset = 0;
  };

  Spool(std::string folder, const Options& options) : folder_(std::move(folder)), options_(options) {}
  absl::Status LoadSegments() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StartSegment(uint64_t first_seq) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Every line begins its way in memory.
  void Hold(std::string_view line, int64_t time_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HoldGap(int64_t time_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes what is held, as far as the disk takes it and there are no more than `max_bytes` on it.
  void Flush(int64_t max_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Write(const SpoolRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t Drop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t TotalBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Seek(const Segment& segment, uint64_t seq) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string folder_;
  const Options options_;

  mutable Mutex mutex_;
  CondVar on_record_;           // signalled when last_seq_ or released_ changes
  CondVar on_acknowledgement_;  // when acknowledged_seq_ does
  CondVar on_seal_;             // when sealed_ does
  std::deque<Segment> segments_ ABSL_GUARDED_BY(mutex_);
  files::Fd append_fd_ ABSL_GUARDED_BY(mutex_);  // of segments_.back()
  bool torn_ ABSL_GUARDED_BY(mutex_) = false;    // that file ends with a part of a record
  // Those that come after the segments'.
  std::deque<SpoolRecord> held_ ABSL_GUARDED_BY(mutex_);
  int64_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status full_ ABSL_GUARDED_BY(mutex_);  // why the first of them is not on disk
  Cursor cursor_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_seq_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t acknowledged_seq_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t synced_seq_ ABSL_GUARDED_BY(mutex_) = 0;  // by Sync
  uint64_t untold_ ABSL_GUARDED_BY(mutex_) = 0;      // lines dropped of which no log event tells yet
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;      // since it was opened
  std::string why_dropped_ ABSL_GUARDED_BY(mutex_);  // the first
  bool sealed_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sink::worker
