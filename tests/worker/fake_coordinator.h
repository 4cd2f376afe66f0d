// A coordinator in memory that keeps the rules which the daemon relies on: contiguous sequence numbers, checkpoints
// that wait for their events, leases that go stale. Its errors say
// nothing in their texts that a daemon could read. Thread-safe; serves the daemon directly as its link, or over gRPC.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "worker/coordinator_link.h"

namespace sink::worker {

class FakeCoordinator : public CoordinatorLink {
 public:
  struct Attempt {
    v1::Grant grant;
    std::vector<std::string> records;  // in order of sequence number
    int64_t last_event_ms = 0;         // worker's wall clock
    int refused_reports = 0;           // while offline
    std::map<int64_t, v1::Checkpoint> committed;
    std::map<std::string, std::string> files;  // "step/name" -> bytes received
    std::vector<v1::FinishRequest> finishes;
    int reports = 0;
    bool stale = false;
    bool cancel = false;
    bool told_finalizing = false;  // by a heartbeat
  };

  // A job for whoever asks next; returns its lease id.
  std::string AddJob(const std::string& job, const std::string& config_json);
  // The same with a checkpoint to resume from, served to FetchCheckpoint from the attempt that committed it.
  std::string AddJob(const std::string& job, const std::string& config_json, const v1::Checkpoint& resume_from);

  // A place in a gang of `world_size` ranks: those from `first_rank` on, one a device.
  std::string AddGang(const std::string& job, const std::string& config_json, int first_rank, int devices,
                      int world_size);

  // Before it is granted.
  void set_data_content(const std::string& lease_id, const std::string& content);
  // From now on FetchCheckpoint finds it damaged, and it counts no more.
  void DamageCheckpoint(int64_t step);
  void set_lease_duration(absl::Duration duration);
  void set_offline(bool offline);  // every call fails with Unavailable
  void set_drop_every(int n);      // every nth answer is lost after its effect; 0: none
  void MakeStale(const std::string& lease_id);
  void LoseRecordsAfter(const std::string& lease_id, size_t kept);  // as one restored from a backup has
  void Cancel(const std::string& lease_id);
  // Questions for work wait as long as they ask for, or until a heartbeat says that other devices are free.
  void set_holds_questions(bool holds);
  int questions();                     // so far
  void set_rest(absl::Duration rest);  // what heartbeats are answered
  int heartbeats();                    // so far
  void set_heartbeat_interval(absl::Duration interval);
  // Finish is answered once a heartbeat has told that the attempt is FINALIZING, or after some seconds.
  void set_finish_waits_for_heartbeat(bool waits);
  void set_chunk_pause(absl::Duration pause);  // before each chunk of FetchCheckpoint
  void set_restarted(bool forget_workers);     // next calls get Unauthenticated until the worker registers

  Attempt attempt(const std::string& lease_id);
  // Until the condition holds for the attempt; false on timeout.
  bool WaitFor(const std::string& lease_id, const std::function<bool(const Attempt&)>& condition,
               absl::Duration timeout = absl::Seconds(20));
  bool WaitForFinish(const std::string& lease_id);
  // Until one more report was refused: events wait on the worker's disk then.
  bool WaitForRefusedReport(const std::string& lease_id);
  int registrations();
  // The newest call of its kind.
  v1::RegisterRequest last_registration();
  v1::LeaseRequest last_poll();
  v1::HeartbeatRequest last_heartbeat();
  absl::Time last_heartbeat_time();

  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request) override;
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request) override;
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) override;
  absl::StatusOr<v1::ReportResponse> Report(const v1::ReportRequest& request) override;
  absl::StatusOr<v1::BeginCheckpointResponse> BeginCheckpoint(const v1::BeginCheckpointRequest& request) override;
  absl::Status WriteCheckpoint(const CheckpointUpload& upload) override;
  absl::Status CommitCheckpoint(const v1::CommitCheckpointRequest& request) override;
  absl::Status FetchCheckpoint(const v1::FetchCheckpointRequest& request, ChunkSink sink) override;
  absl::StatusOr<v1::FinishResponse> Finish(const v1::FinishRequest& request) override;
  void CancelCalls() override {}

  absl::Status WriteBytes(const v1::LeaseRef& lease, int64_t step, const std::string& file, uint64_t offset,
                          const std::string& bytes);

 private:
  std::string AddGrant(const std::string& job, const std::string& config_json) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Admit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Attempt*> Find(const v1::LeaseRef& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Answer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  std::map<std::string, Attempt> attempts_ ABSL_GUARDED_BY(mutex_);
  std::set<int64_t> damaged_ ABSL_GUARDED_BY(mutex_);  // steps
  std::deque<std::string> queue_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, v1::LeaseResponse> answered_polls_ ABSL_GUARDED_BY(mutex_);
  absl::Duration lease_duration_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(60);
  absl::Duration chunk_pause_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  absl::Duration heartbeat_interval_ ABSL_GUARDED_BY(mutex_) = absl::Milliseconds(50);
  bool finish_waits_ ABSL_GUARDED_BY(mutex_) = false;
  bool offline_ ABSL_GUARDED_BY(mutex_) = false;
  bool forgot_worker_ ABSL_GUARDED_BY(mutex_) = false;
  int drop_every_ ABSL_GUARDED_BY(mutex_) = 0;
  int answers_ ABSL_GUARDED_BY(mutex_) = 0;
  int registrations_ ABSL_GUARDED_BY(mutex_) = 0;
  bool holds_questions_ ABSL_GUARDED_BY(mutex_) = false;
  int questions_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration rest_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  int heartbeats_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_fence_ ABSL_GUARDED_BY(mutex_) = 1;
  std::string session_ ABSL_GUARDED_BY(mutex_);
  v1::RegisterRequest last_registration_ ABSL_GUARDED_BY(mutex_);
  v1::LeaseRequest last_poll_ ABSL_GUARDED_BY(mutex_);
  v1::HeartbeatRequest last_heartbeat_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_heartbeat_time_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink::worker
