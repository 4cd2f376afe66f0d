// Carries an attempt's checkpoints to the coordinator in a thread of its own, so that neither training nor metrics wait
// for it. Only the newest one counts: a checkpoint that has not been started when the next one comes is passed over,
// unless it is one of those that are kept for good (checkpoint.keep_period).
// Owned by the JobRunner; the destructor waits for the thread, as EventSender's does.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "coordinator/job/mutex.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/manifest.h"
#include "worker/leased_calls.h"
#include "worker/spool.h"

namespace sink::worker {

class Uploader {
 public:
  // `folder` holds what is on its way, as links, so that the trainer may delete its own; a checkpoint that an earlier
  // daemon left there is taken up. `grace`: how long a job that was cancelled still waits where the coordinator cannot
  // store it; then what it has not delivered is given up. `stored_step`: of the newest checkpoint that the coordinator
  // has, 0 for none, if that is known. All must outlive this object.
  Uploader(LeasedCalls* calls, Spool* spool, std::string folder, int64_t keep_period, absl::Duration grace,
           std::optional<int64_t> stored_step = std::nullopt);
  ~Uploader();

  // The highest sequence number for which a checkpoint that waits in `folder` must wait; 0: none does.
  static uint64_t NewestSeq(const std::string& folder);

  // The checkpoint at `path` was announced by the event `seq`. Quick: links files, and syncs what the spool has. One
  // that is on its way already, as when a trainer is told to stop at the step that it has just saved, is not taken
  // again. Errors: it is not what the event says, or cannot be linked.
  absl::Status Offer(const std::string& path, int64_t step, const std::string& manifest_hash, uint64_t seq)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until every checkpoint offered is committed or passed over. An error when the newest could not be delivered:
  // refused for good, with the sentence that the job's log has got, or Cancelled because delivery was abandoned.
  absl::Status WaitUntilCommitted() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Item {
    std::string path;  // in our folder
    run::Manifest manifest;
    uint64_t seq = 0;          // events up to here must be durable first
    bool events_lost = false;  // and cannot be: neither the coordinator nor the spool has them all
  };

  void TakeUpLeftover();
  // The same bytes wait or are being uploaded.
  bool IsOnItsWay(const std::string& path, const std::string& manifest_hash) ABSL_LOCKS_EXCLUDED(mutex_);
  void PassOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);  // drops what waits and need not be delivered
  void Run();
  std::optional<Item> NextItem() ABSL_LOCKS_EXCLUDED(mutex_);
  // A newer checkpoint waits: one that meets a difficulty is not worth another try.
  bool IsPassedOver() ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsKept(const Item& item) const { return keep_period_ > 0 && item.manifest.step % keep_period_ == 0; }
  absl::Status Upload(const Item& item);
  // The coordinator has no room, or its disk fails, and has refused a cancelled job's checkpoints for the whole grace.
  bool HasWaitedEnough();
  // Until the time to try again, or until a cancelled job's grace is over.
  void Pause(absl::Duration pause);
  // Tells this daemon's log and the job's that a checkpoint waits, and why: once until one has been stored.
  void TellWaiting(const Item& item, const absl::Status& why);
  // Tells the job's log of a checkpoint that was refused for good; returns what it tells.
  std::string TellLost(const Item& item, const absl::Status& why);
  absl::Status UploadOnce(const Item& item);
  std::string ItemPath(int64_t step) const { return folder_ + "/" + run::CheckpointFolderName(step); }

  LeasedCalls* const calls_;
  Spool* const spool_;
  const std::string folder_;
  const int64_t keep_period_;  // steps; 0: none is kept for good
  const absl::Duration grace_;
  // Of the thread.
  std::optional<absl::Duration> refused_since_;  // boot time, from the cancellation on
  bool told_waiting_ = false;
  std::optional<int64_t> stored_step_;  // of the newest checkpoint that the coordinator has

  Mutex mutex_;
  CondVar changed_;                                   // signalled when one of these changes
  std::deque<Item> waiting_ ABSL_GUARDED_BY(mutex_);  // those to be kept, and the newest
  std::optional<Item> busy_ ABSL_GUARDED_BY(mutex_);  // being uploaded
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status last_result_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace sink::worker
