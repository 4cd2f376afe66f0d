// See fake_coordinator.h.
#include "tests/worker/fake_coordinator.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "coordinator/errors/error_detail.h"

namespace sink::worker {

std::string FakeCoordinator::AddJob(const std::string& job, const std::string& config_json) {
  absl::MutexLock lock(&mutex_);
  return AddGrant(job, config_json);
}

std::string FakeCoordinator::AddGrant(const std::string& job, const std::string& config_json) {
  Attempt attempt;
  const uint64_t fence = next_fence_++;
  attempt.grant.mutable_lease()->set_job_id(job);
  attempt.grant.mutable_lease()->set_attempt(1);
  attempt.grant.mutable_lease()->set_fence(fence);
  attempt.grant.mutable_lease()->set_lease_id(absl::StrCat("lease-", fence));
  attempt.grant.set_config_json(config_json);
  attempt.grant.set_devices(1);
  const std::string id = attempt.grant.lease().lease_id();
  attempts_[id] = std::move(attempt);
  queue_.push_back(id);
  return id;
}

std::string FakeCoordinator::AddJob(const std::string& job, const std::string& config_json,
                                    const v1::Checkpoint& resume_from) {
  absl::MutexLock lock(&mutex_);
  const std::string id = AddGrant(job, config_json);
  *attempts_[id].grant.mutable_resume_from() = resume_from;
  return id;
}

std::string FakeCoordinator::AddGang(const std::string& job, const std::string& config_json, int first_rank,
                                     int devices, int world_size) {
  absl::MutexLock lock(&mutex_);
  const std::string id = AddGrant(job, config_json);
  v1::Grant& grant = attempts_[id].grant;
  grant.set_devices(devices);
  grant.mutable_gang()->set_first_rank(first_rank);
  grant.mutable_gang()->set_world_size(world_size);
  grant.mutable_gang()->set_rendezvous("127.0.0.1:29500");
  grant.mutable_gang()->set_token("secret");
  return id;
}

void FakeCoordinator::set_data_content(const std::string& lease_id, const std::string& content) {
  absl::MutexLock lock(&mutex_);
  attempts_[lease_id].grant.set_data_content(content);
}
void FakeCoordinator::DamageCheckpoint(int64_t step) {
  absl::MutexLock lock(&mutex_);
  damaged_.insert(step);
}
void FakeCoordinator::set_lease_duration(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  lease_duration_ = duration;
}
void FakeCoordinator::set_offline(bool offline) {
  absl::MutexLock lock(&mutex_);
  offline_ = offline;
}
void FakeCoordinator::set_drop_every(int n) {
  absl::MutexLock lock(&mutex_);
  drop_every_ = n;
}
void FakeCoordinator::MakeStale(const std::string& lease_id) {
  absl::MutexLock lock(&mutex_);
  attempts_[lease_id].stale = true;
}
void FakeCoordinator::LoseRecordsAfter(const std::string& lease_id, size_t kept) {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string>& records = attempts_[lease_id].records;
  records.resize(std::min(records.size(), kept));
}
void FakeCoordinator::Cancel(const std::string& lease_id) {
  absl::MutexLock lock(&mutex_);
  attempts_[lease_id].cancel = true;
}
void FakeCoordinator::set_restarted(bool forget_workers) {
  absl::MutexLock lock(&mutex_);
  forgot_worker_ = forget_workers;
}
int FakeCoordinator::registrations() {
  absl::MutexLock lock(&mutex_);
  return registrations_;
}
v1::RegisterRequest FakeCoordinator::last_registration() {
  absl::MutexLock lock(&mutex_);
  return last_registration_;
}
v1::LeaseRequest FakeCoordinator::last_poll() {
  absl::MutexLock lock(&mutex_);
  return last_poll_;
}
v1::HeartbeatRequest FakeCoordinator::last_heartbeat() {
  absl::MutexLock lock(&mutex_);
  return last_heartbeat_;
}
absl::Time FakeCoordinator::last_heartbeat_time() {
  absl::MutexLock lock(&mutex_);
  return last_heartbeat_time_;
}
FakeCoordinator::Attempt FakeCoordinator::attempt(const std::string& lease_id) {
  absl::MutexLock lock(&mutex_);
  return attempts_[lease_id];
}

bool FakeCoordinator::WaitFor(const std::string& lease_id, const std::function<bool(const Attempt&)>& condition,
                              absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto holds = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return condition(attempts_[lease_id]); };
  return mutex_.AwaitWithTimeout(absl::Condition(&holds), timeout);
}
bool FakeCoordinator::WaitForFinish(const std::string& lease_id) {
  return WaitFor(lease_id, [](const Attempt& attempt) { return !attempt.finishes.empty(); });
}

bool FakeCoordinator::WaitForRefusedReport(const std::string& lease_id) {
  const int before = attempt(lease_id).refused_reports;
  return WaitFor(lease_id, [before](const Attempt& attempt) { return attempt.refused_reports > before; });
}

absl::Status FakeCoordinator::Admit() {
  if (offline_) return absl::UnavailableError("offline");
  if (forgot_worker_) return absl::UnauthenticatedError("unknown worker");
  return absl::OkStatus();
}

absl::StatusOr<FakeCoordinator::Attempt*> FakeCoordinator::Find(const v1::LeaseRef& lease) {
  if (auto admitted = Admit(); !admitted.ok()) return admitted;
  auto it = attempts_.find(lease.lease_id());
  if (it == attempts_.end() || it->second.stale || it->second.grant.lease().fence() != lease.fence()) {
    return StaleLeaseError("somebody else has this job");
  }
  return &it->second;
}

absl::Status FakeCoordinator::Answer() {
  ++answers_;
  return drop_every_ > 0 && answers_ % drop_every_ == 0 ? absl::UnavailableError("answer lost") : absl::OkStatus();
}

absl::StatusOr<v1::RegisterResponse> FakeCoordinator::Register(const v1::RegisterRequest& request) {
  absl::MutexLock lock(&mutex_);
  if (offline_) return absl::UnavailableError("offline");
  forgot_worker_ = false;
  ++registrations_;
  last_registration_ = request;
  if (session_ != request.session()) answered_polls_.clear();
  session_ = request.session();
  v1::RegisterResponse response;
  for (const v1::LeaseRef& lease : request.held()) {
    if (auto found = Find(lease); found.ok() && (*found)->finishes.empty()) *response.add_keep() = lease;
  }
  response.set_heartbeat_interval_ms(absl::ToInt64Milliseconds(heartbeat_interval_));
  response.set_lease_duration_ms(absl::ToInt64Milliseconds(lease_duration_));
  return response;
}

absl::StatusOr<v1::LeaseResponse> FakeCoordinator::Lease(const v1::LeaseRequest& request) {
  absl::MutexLock lock(&mutex_);
  if (auto admitted = Admit(); !admitted.ok()) return admitted;
  last_poll_ = request;
  ++questions_;
  const absl::Time asked = absl::Now();
  if (holds_questions_ && !answered_polls_.contains(request.poll())) {
    const auto over = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      const bool other = last_heartbeat_time_ > asked && last_heartbeat_.devices_free() != request.devices_free();
      return !queue_.empty() || other || offline_;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&over), absl::Milliseconds(request.wait_ms()));
    if (auto admitted = Admit(); !admitted.ok()) return admitted;
  }
  v1::LeaseResponse& response = answered_polls_[request.poll()];
  response.set_waited_ms(absl::ToInt64Milliseconds(absl::Now() - asked));
  if (response.grants().empty()) {
    for (int free = request.devices_free(); !queue_.empty() && attempts_[queue_.front()].grant.devices() <= free;) {
      const v1::Grant& grant = attempts_[queue_.front()].grant;
      free -= grant.devices();
      *response.add_grants() = grant;
      queue_.pop_front();
    }
  }
  if (auto answer = Answer(); !answer.ok()) return answer;
  return response;
}

void FakeCoordinator::set_holds_questions(bool holds) {
  absl::MutexLock lock(&mutex_);
  holds_questions_ = holds;
}

void FakeCoordinator::set_chunk_pause(absl::Duration pause) {
  absl::MutexLock lock(&mutex_);
  chunk_pause_ = pause;
}

void FakeCoordinator::set_rest(absl::Duration rest) {
  absl::MutexLock lock(&mutex_);
  rest_ = rest;
}

int FakeCoordinator::heartbeats() {
  absl::MutexLock lock(&mutex_);
  return heartbeats_;
}

void FakeCoordinator::set_heartbeat_interval(absl::Duration interval) {
  absl::MutexLock lock(&mutex_);
  heartbeat_interval_ = interval;
}

void FakeCoordinator::set_finish_waits_for_heartbeat(bool waits) {
  absl::MutexLock lock(&mutex_);
  finish_waits_ = waits;
}

int FakeCoordinator::questions() {
  absl::MutexLock lock(&mutex_);
  return questions_;
}

absl::StatusOr<v1::HeartbeatResponse> FakeCoordinator::Heartbeat(const v1::HeartbeatRequest& request) {
  absl::MutexLock lock(&mutex_);
  if (auto admitted = Admit(); !admitted.ok()) return admitted;
  last_heartbeat_ = request;
  last_heartbeat_time_ = absl::Now();
  ++heartbeats_;
  v1::HeartbeatResponse response;
  response.set_rest_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(rest_)));
  for (const v1::HeldJob& held : request.held()) {
    const auto found = Find(held.lease());
    if (!found.ok()) *response.add_stale() = held.lease();
    if (found.ok() && (*found)->cancel) *response.add_cancel() = held.lease();
    if (found.ok() && held.phase() == v1::FINALIZING) (*found)->told_finalizing = true;
  }
  return response;
}

absl::StatusOr<v1::ReportResponse> FakeCoordinator::Report(const v1::ReportRequest& request) {
  absl::MutexLock lock(&mutex_);
  if (offline_) ++attempts_[request.lease().lease_id()].refused_reports;
  auto found = Find(request.lease());
  if (!found.ok()) return found.status();
  std::vector<std::string>& records = (*found)->records;
  ++(*found)->reports;
  for (const v1::Event& event : request.events()) {
    if (event.seq() > records.size() + 1) {
      return MissingEventsError(records.size() + 1, "a gap between what is here and 12345");
    }
    if (event.seq() == records.size() + 1) records.push_back(event.record());
    (*found)->last_event_ms = event.time_ms();
  }
  if (auto answer = Answer(); !answer.ok()) return answer;
  v1::ReportResponse response;
  response.set_durable_seq(records.size());
  response.set_cancel((*found)->cancel);
  return response;
}

absl::StatusOr<v1::BeginCheckpointResponse> FakeCoordinator::BeginCheckpoint(
    const v1::BeginCheckpointRequest& request) {
  absl::MutexLock lock(&mutex_);
  auto found = Find(request.lease());
  if (!found.ok()) return found.status();
  v1::BeginCheckpointResponse response;
  v1::Checkpoint& checkpoint = (*found)->committed[-request.step()];  // a negative key: begun, not committed
  checkpoint.set_job_id(request.lease().job_id());
  checkpoint.set_step(request.step());
  checkpoint.set_manifest_hash(request.manifest_hash());
  *checkpoint.mutable_files() = request.files();
  for (const v1::CheckpointFile& file : request.files()) {
    response.add_committed((*found)->files[absl::StrCat(request.step(), "/", file.name())].size());
  }
  return response;
}

absl::Status FakeCoordinator::WriteBytes(const v1::LeaseRef& lease, int64_t step, const std::string& file,
                                         uint64_t offset, const std::string& bytes) {
  absl::MutexLock lock(&mutex_);
  auto found = Find(lease);
  if (!found.ok()) return found.status();
  std::string& content = (*found)->files[absl::StrCat(step, "/", file)];
  if (offset != content.size()) return absl::OutOfRangeError(absl::StrCat("expected offset ", content.size()));
  content += bytes;
  return Answer();
}

absl::Status FakeCoordinator::WriteCheckpoint(const CheckpointUpload& upload) {
  std::stringstream bytes;
  bytes << std::ifstream(upload.path).rdbuf();
  return WriteBytes(upload.lease, upload.step, upload.file, upload.offset, bytes.str().substr(upload.offset));
}

absl::Status FakeCoordinator::CommitCheckpoint(const v1::CommitCheckpointRequest& request) {
  absl::MutexLock lock(&mutex_);
  auto found = Find(request.lease());
  if (!found.ok()) return found.status();
  Attempt& attempt = **found;
  if (attempt.records.size() < request.events_seq())
    return EventsFirstError(attempt.records.size() + 1, "events are missing");
  if (attempt.committed.count(request.step()) > 0) return absl::OkStatus();
  const v1::Checkpoint begun = attempt.committed[-request.step()];
  for (const v1::CheckpointFile& file : begun.files()) {
    if (attempt.files[absl::StrCat(request.step(), "/", file.name())].size() != file.size()) {
      return absl::InvalidArgumentError(absl::StrCat(file.name(), " is incomplete"));
    }
  }
  attempt.committed[request.step()] = begun;
  attempt.committed.erase(-request.step());
  return Answer();
}

absl::Status FakeCoordinator::FetchCheckpoint(const v1::FetchCheckpointRequest& request, ChunkSink sink) {
  v1::Checkpoint checkpoint;
  std::map<std::string, std::string> files;
  absl::Duration pause;
  {
    absl::MutexLock lock(&mutex_);
    pause = chunk_pause_;
    auto found = Find(request.lease());
    if (!found.ok()) return found.status();
    checkpoint = (*found)->grant.resume_from();
    if (request.step() == 0) checkpoint.Clear();
    for (const auto& [id, attempt] : attempts_) {
      for (const auto& [name, bytes] : attempt.files) files[name] = bytes;
      for (const auto& [step, committed] : attempt.committed) {
        const bool newer = step > checkpoint.step() && damaged_.count(step) == 0;
        if (request.step() == 0 && newer) checkpoint = committed;
      }
    }
    if (damaged_.count(checkpoint.step()) > 0) return absl::DataLossError("damaged");
    if (checkpoint.files().empty()) return absl::NotFoundError("none");
  }
  v1::CheckpointChunk chunk;
  *chunk.mutable_checkpoint() = checkpoint;
  for (const v1::CheckpointFile& file : checkpoint.files()) {
    const std::string bytes = files[absl::StrCat(checkpoint.step(), "/", file.name())];
    for (size_t offset = 0; offset < bytes.size(); offset += 300) {
      chunk.set_file(file.name());
      chunk.set_offset(offset);
      chunk.set_data(bytes.substr(offset, 300));
      absl::SleepFor(pause);
      if (auto status = sink(chunk); !status.ok()) return status;
      chunk.clear_checkpoint();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::FinishResponse> FakeCoordinator::Finish(const v1::FinishRequest& request) {
  absl::MutexLock lock(&mutex_);
  auto found = Find(request.lease());
  if (!found.ok()) return found.status();
  if ((*found)->records.size() < request.last_seq())
    return MissingEventsError((*found)->records.size() + 1, "events are missing");
  if (finish_waits_) {
    const bool* const told = &(*found)->told_finalizing;
    mutex_.AwaitWithTimeout(absl::Condition(told), absl::Seconds(5));
  }
  (*found)->finishes.push_back(request);
  if (auto answer = Answer(); !answer.ok()) return answer;
  v1::FinishResponse response;
  response.set_state(request.outcome());
  return response;
}

}  // namespace sink::worker
