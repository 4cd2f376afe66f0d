// The events of one attempt that the coordinator has not yet acknowledged, on disk, so that neither a network outage
// nor the daemon's death loses them. Owned by the attempt's JobRunner. Thread-safe: the pipe reader appends while the
// sender reads and acknowledges.
//
// A spool is a folder of segments named after their first sequence number; a segment whose records are all acknowledged
// is deleted. Events are not fsynced one by one: the page cache survives the daemon, and what a power cut takes is
// trained again. Sync() comes before whatever is durable itself and counts on them: a checkpoint on its way, the
// attempt's end. Where the disk has lost some all the same, GoOnAfter() keeps to the coordinator's numbers.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/files/descriptor.h"
#include "worker/spool_record.h"

namespace sink::worker {

// What people are told of an attempt whose spool has lost all after that event.
std::string SpoolDamage(uint64_t last_seq);

class Spool {
 public:
  struct Options {
    int64_t max_bytes = 256 << 20;    // on disk; what comes beyond it is dropped and counted
    int64_t segment_bytes = 4 << 20;  // a new segment starts after this many
  };

  // Opens the folder, creating it if needed, and truncates it at the first damaged record: whatever follows one is
  // deleted, because the coordinator takes sequence numbers without a gap only, and the log names the file. Errors of
  // the file system pass through.
  static absl::StatusOr<std::unique_ptr<Spool>> Open(const std::string& folder, const Options& options);

  // Gives the line the next sequence number, from 1, and returns it. Returns 0 when the line was dropped because the
  // spool (until half of it is free again) or the disk is full, or the spool is sealed; the next line that fits is
  // preceded by a log event with the number of lost ones. Never waits for anything but the disk.
  uint64_t Append(std::string_view line, int64_t time_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  // No more events; records a pending gap first. Returns the last sequence number, 0 if there was never an event.
  uint64_t Seal(int64_t time_ms) ABSL_LOCKS_EXCLUDED(mutex_);

  // Forces to disk what has been appended so far.
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

  uint64_t last_seq() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Once sealed: dropped lines of which no log event tells, because the disk took that neither.
  uint64_t untold() const ABSL_LOCKS_EXCLUDED(mutex_);
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
  absl::Status StartSegment() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool AppendRecord(std::string_view line, int64_t time_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool RecordGap(int64_t time_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t TotalBytes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Seek(const Segment& segment, uint64_t seq) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string folder_;
  const Options options_;

  mutable absl::Mutex mutex_;
  std::deque<Segment> segments_ ABSL_GUARDED_BY(mutex_);
  files::Fd append_fd_ ABSL_GUARDED_BY(mutex_);  // of segments_.back()
  Cursor cursor_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_seq_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t acknowledged_seq_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t synced_seq_ ABSL_GUARDED_BY(mutex_) = 0;  // by Sync
  uint64_t lost_ ABSL_GUARDED_BY(mutex_) = 0;        // lines dropped since the last gap record
  uint64_t untold_ ABSL_GUARDED_BY(mutex_) = 0;
  bool sealed_ ABSL_GUARDED_BY(mutex_) = false;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sink::worker
