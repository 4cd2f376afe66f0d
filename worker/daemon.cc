// See daemon.h.
#include "worker/daemon.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "proto/files/random_id.h"
#include "worker/data_folder.h"
#include "worker/free_port.h"
#include "worker/grant_check.h"
#include "worker/process_tree.h"
#include "worker/protocol/answer.h"
#include "worker/timing.h"

namespace sink::worker {
namespace {

// Between tries to register while nobody answers. With the client's own pause between connections, of a second, and the
// chance in both a worker is there within three seconds of its coordinator.
constexpr absl::Duration kLongestWait = absl::Milliseconds(1400);

}  // namespace

namespace {

// For the coordinator to hear of a device that came free before it is asked for work.
constexpr absl::Duration kTellPatience = absl::Milliseconds(200);
// For it to hear that the daemon ends: without that it counts the worker as connected for a while longer.
constexpr absl::Duration kGoodbyePatience = absl::Seconds(1);
// For it to answer the last question for work, which it does as soon as it hears that there is no device for it: what
// the answer gives would wait for its lease's end.
constexpr absl::Duration kAnswerPatience = absl::Seconds(3);

}  // namespace

Daemon::Daemon(CoordinatorLink* link, DeviceInventory devices, DaemonOptions options)
    : link_(link),
      options_(std::move(options)),
      session_(options_.session.empty() ? files::RandomId() : options_.session),
      devices_(std::move(devices)),
      models_(options_.runner.model_root),
      sets_(options_.runner.data_root, options_.runner.data + "/set-files", options_.set_check_rate) {
  options_.runner.link = link_;
  options_.runner.on_unregistered = [this] { must_register_ = true; };
  options_.runner.occupied = &occupied_;
  if (devices_.gpu()) gpus_ = std::make_unique<GpuMonitor>(devices_.ids(), options_.nvml, options_.ask_gpus_every);
}

Daemon::~Daemon() {
  Kill();
  if (control_thread_.joinable()) control_thread_.join();
}

void Daemon::Start() {
  BecomeSubreaper();
  control_thread_ = std::thread([this] {
    Run();
    finished_.Notify();
  });
}

void Daemon::BeginDrain() {
  absl::MutexLock lock(&mutex_);
  if (stop_requested_) return;
  stop_requested_ = true;
  for (auto& [id, runner] : runners_) runner->RequestStop(StopReason::kDrain);
  stopping_.Notify();
  devices_.Interrupt();
}

void Daemon::Kill() {
  {
    absl::MutexLock lock(&mutex_);
    if (killed_.HasBeenNotified()) return;
    killed_.Notify();
    for (auto& [id, runner] : runners_) runner->RequestStop(StopReason::kKill);
  }
  link_->CancelCalls();
  BeginDrain();
}

void Daemon::Run() {
  leftovers_ = FindOpenLeases(options_.runner.data);
  ApplyRetention(options_.runner.data, options_.retention);
  if (RegisterUntilDone()) {
    int64_t told = devices_.returns();
    while (!stopping_.HasBeenNotified()) {
      const int64_t returns = devices_.returns();
      // The coordinator gives out no device of a job that it takes for running: without this, not until the job's last
      // events and checkpoint are delivered.
      if (returns != std::exchange(told, returns)) heartbeat_->Tell(kTellPatience);
      if (must_register_) outage_.Note(Register());
      RemoveDoneRunners();
      ReapStrays();
      occupied_.Check(BootTime());
      const bool waited = devices_.free() > 0 && !must_register_ && Poll();
      // A device that came free since asks at once: of short jobs the pause would be half the time.
      if (!waited) devices_.WaitForReturn(returns, Jittered(options_.poll_interval));
    }
  }
  FinishDrain();
}

bool Daemon::RegisterUntilDone() {
  Backoff backoff;
  while (!stopping_.HasBeenNotified()) {
    const absl::Status status = Register();
    outage_.Note(status);
    if (status.ok()) return true;
    // While there is nobody to answer, a try costs nobody anything.
    const bool nobody = absl::IsUnavailable(status);
    stopping_.WaitFor(nobody ? backoff.Next(kLongestWait) : backoff.Next());
  }
  return false;
}

absl::Status Daemon::Register() {
  v1::RegisterRequest request;
  request.set_worker_id(options_.runner.worker_id);
  request.set_name(options_.name);
  request.set_session(session_);
  request.set_devices(devices_.size());
  request.set_device_kind(devices_.kind());
  request.set_version(options_.version);
  request.set_advertise(options_.advertise);
  for (const v1::LeaseRef& lease : leftovers_) *request.add_held() = lease;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, runner] : runners_) *request.add_held() = runner->lease();
  }
  must_register_ = false;  // a call that fails from here on asks for another registration
  const absl::Duration sent_at = BootTime();
  const auto response = link_->Register(request);
  if (!response.ok()) {
    must_register_ = true;
    return response.status();
  }
  ApplyRegistration(*response, sent_at);
  return absl::OkStatus();
}

void Daemon::ApplyRegistration(const v1::RegisterResponse& response, absl::Duration sent_at) {
  spdlog::info("registered as {} ({} x {})", options_.name, devices_.size(), devices_.kind());
  lease_duration_ms_ = SaneLeaseMs(response.lease_duration_ms());
  StartHeartbeat(SaneHeartbeatInterval(response.heartbeat_interval_ms()));
  std::set<std::string> kept;
  for (const v1::LeaseRef& lease : response.keep()) kept.insert(lease.lease_id());
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [id, runner] : runners_) {
      if (kept.count(id) > 0) {
        runner->RenewLease(sent_at, absl::Milliseconds(lease_duration_ms_.load()));
      } else {
        runner->RequestStop(StopReason::kStale);
      }
    }
  }
  for (const v1::LeaseRef& lease : leftovers_) {
    auto runner = std::make_unique<JobRunner>(&options_.runner, lease);
    if (kept.count(lease.lease_id()) == 0) runner->RequestStop(StopReason::kStale);
    AddRunner(std::move(runner), sent_at);
  }
  leftovers_.clear();
}

absl::StatusOr<v1::LeaseResponse> Daemon::AskAndWait(const v1::LeaseRequest& request) {
  constexpr absl::Duration kTick = absl::Milliseconds(50);
  struct Question {
    v1::LeaseRequest request;
    absl::StatusOr<v1::LeaseResponse> response;
    Notification answered;
  };
  const auto question = std::make_shared<Question>();
  question->request = request;
  std::thread asker([this, question] {
    question->response = link_->Lease(question->request);
    question->answered.Notify();
  });
  int said = request.devices_free();
  absl::Duration give_up_at = absl::InfiniteDuration();
  while (!question->answered.WaitFor(kTick)) {
    RemoveDoneRunners();
    ReapStrays();
    occupied_.Check(BootTime());
    const bool stopping = stopping_.HasBeenNotified();
    const int free = stopping ? 0 : devices_.free();
    if (free != said) heartbeat_->Hurry();
    said = free;
    if (stopping) give_up_at = std::min(give_up_at, BootTime() + kAnswerPatience);
    if (BootTime() < give_up_at) continue;
    unanswered_ = std::move(asker);
    return absl::DeadlineExceededError("the coordinator has not answered the last question for work");
  }
  asker.join();
  return question->response;
}

bool Daemon::Poll() {
  v1::LeaseRequest request;
  request.set_worker_id(options_.runner.worker_id);
  request.set_session(session_);
  request.set_poll(poll_);
  request.set_devices_free(devices_.free());
  std::optional<HeldPort> port = HoldFreeTcpPort();  // nobody else takes it while the question waits
  request.set_rendezvous_port(port->port);
  const absl::Duration now = BootTime();
  const OpenModels& models = models_.Get(now);
  request.mutable_models()->Assign(models.whole.begin(), models.whole.end());
  request.mutable_incomplete_models()->Assign(models.incomplete.begin(), models.incomplete.end());
  *request.mutable_sets() = sets_.Get(now);
  const absl::Duration wait = std::min(options_.ask_wait, sets_.AskAgainIn(now));
  request.set_wait_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(wait)));
  const absl::Duration sent_at = BootTime();  // after the disk was looked at: leases of the answer count from here
  heartbeat_->SetAsked(sent_at);
  const auto response = AskAndWait(request);
  heartbeat_->SetAsked(-absl::InfiniteDuration());
  port.reset();
  if (MustRegister(response.status())) must_register_ = true;
  if (IsUnregistered(response.status())) return false;
  if (unanswered_.joinable()) return false;  // this daemon ends: no outage, and nothing is asked again
  outage_.Note(response.status());
  if (!response.ok()) return false;  // the same question again next time: its answer may have been lost on the way
  ++poll_;
  const absl::Duration waited = BootTime() - sent_at;
  // No later than the coordinator counts from, however long the question waited there.
  const absl::Duration leased_at =
      sent_at + std::clamp(absl::Milliseconds(response->waited_ms()), absl::ZeroDuration(), waited);
  for (int i = 0; i < std::min(response->grants_size(), kMaxGrants); ++i) {
    const v1::Grant& grant = response->grants(i);
    if (const absl::Status sane = CheckGrant(grant); !sane.ok()) {
      spdlog::error("{}; the job is not started", std::string(sane.message()));
      continue;
    }
    AddRunner(std::make_unique<JobRunner>(&options_.runner, grant, devices_.Take(grant.devices())), leased_at);
  }
  return waited >= options_.poll_interval;
}

void Daemon::AddRunner(std::unique_ptr<JobRunner> runner, absl::Duration renewed_at) {
  runner->RenewLease(renewed_at, absl::Milliseconds(lease_duration_ms_.load()));
  absl::MutexLock lock(&mutex_);
  if (stop_requested_) runner->RequestStop(killed_.HasBeenNotified() ? StopReason::kKill : StopReason::kDrain);
  auto [place, added] = runners_.try_emplace(runner->lease().lease_id(), std::move(runner));
  if (added) place->second->Start();
}

void Daemon::RemoveDoneRunners() {
  std::vector<std::unique_ptr<JobRunner>> done;  // destroyed without the lock: that waits for threads
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = runners_.begin(); it != runners_.end();) {
      if (!it->second->done()) {
        ++it;
        continue;
      }
      done.push_back(std::move(it->second));
      it = runners_.erase(it);
    }
  }
  left_something_ |= !done.empty();
  done.clear();
  if (!left_something_ || BootTime() < retain_from_) return;
  ApplyRetention(options_.runner.data, options_.retention);
  left_something_ = false;
  retain_from_ = BootTime() + options_.retain_every;
}

bool Daemon::AllRunners(bool (JobRunner::*property)() const) {
  absl::MutexLock lock(&mutex_);
  return std::all_of(runners_.begin(), runners_.end(),
                     [property](const auto& entry) { return (*entry.second.*property)(); });
}

void Daemon::FinishDrain() {
  constexpr absl::Duration kTick = absl::Milliseconds(50);
  // The trainers' own grace bounds this; heartbeats go on, so that their leases last.
  while (!AllRunners(&JobRunner::trainer_ended)) {
    if (must_register_ && !killed_.HasBeenNotified()) outage_.Note(Register());
    absl::SleepFor(kTick);
  }
  const absl::Duration give_up_at = BootTime() + options_.drain_delivery;
  while (!AllRunners(&JobRunner::done) && BootTime() < give_up_at && !killed_.HasBeenNotified()) {
    if (must_register_) outage_.Note(Register());
    absl::SleepFor(kTick);
  }
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [id, runner] : runners_) runner->AbandonDelivery();
    leaving_ = !killed_.HasBeenNotified();
  }
  if (heartbeat_ != nullptr && !killed_.HasBeenNotified()) heartbeat_->Tell(kGoodbyePatience);
  // No call may keep the process from its end.
  link_->CancelCalls();
  if (unanswered_.joinable()) unanswered_.join();
  link_->OnConnect(nullptr);
  heartbeat_.reset();
  while (!AllRunners(&JobRunner::done)) absl::SleepFor(kTick);
  RemoveDoneRunners();
}

void Daemon::StartHeartbeat(absl::Duration interval) {
  if (heartbeat_ != nullptr) return heartbeat_->set_interval(interval);
  Heartbeat::Hooks hooks;
  hooks.make_request = [this] { return MakeHeartbeat(); };
  hooks.on_answer = [this](const v1::HeartbeatRequest& request, const v1::HeartbeatResponse& response,
                           absl::Duration sent_at) { OnHeartbeat(request, response, sent_at); };
  hooks.on_error = [this](const absl::Status& status) {
    if (MustRegister(status)) must_register_ = true;
    if (!IsUnregistered(status) && !killed_.HasBeenNotified()) outage_.Note(status);
  };
  heartbeat_ = std::make_unique<Heartbeat>(link_, std::move(hooks), interval);
  // After an outage the next would come at the end of its pause.
  link_->OnConnect([heartbeat = heartbeat_.get()] { heartbeat->Hurry(); });
}

v1::HeartbeatRequest Daemon::MakeHeartbeat() {
  v1::HeartbeatRequest request;
  request.set_worker_id(options_.runner.worker_id);
  request.set_session(session_);
  for (const Nvml::Use& use : gpus_ ? gpus_->Latest() : std::vector<Nvml::Use>()) {
    v1::GpuUse& gpu = *request.add_gpus();
    gpu.set_memory_bytes(use.memory_bytes);
    gpu.set_memory_used_bytes(use.memory_used_bytes);
    gpu.set_busy_percent(use.busy_percent);
  }
  absl::MutexLock lock(&mutex_);
  // A daemon that is about to end takes nothing more, not even what waits for other workers' devices too.
  request.set_devices_free(stop_requested_ ? 0 : devices_.free());
  request.set_leaving(leaving_);
  for (const auto& [id, runner] : runners_) {
    if (!runner->done()) *request.add_held() = runner->held();
  }
  return request;
}

void Daemon::OnHeartbeat(const v1::HeartbeatRequest& request, const v1::HeartbeatResponse& response,
                         absl::Duration sent_at) {
  outage_.Note(absl::OkStatus());
  absl::MutexLock lock(&mutex_);
  auto find = [this](const v1::LeaseRef& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> JobRunner* {
    const auto it = runners_.find(lease.lease_id());
    return it == runners_.end() ? nullptr : it->second.get();
  };
  for (const v1::HeldJob& held : request.held()) {
    if (JobRunner* runner = find(held.lease())) {
      runner->RenewLease(sent_at, absl::Milliseconds(lease_duration_ms_.load()));
    }
  }
  for (const v1::LeaseRef& lease : response.stale()) {
    if (JobRunner* runner = find(lease)) runner->RequestStop(StopReason::kStale);
  }
  for (const v1::LeaseRef& lease : response.cancel()) {
    if (JobRunner* runner = find(lease)) runner->RequestStop(StopReason::kCancel);
  }
  for (const v1::LeaseRef& lease : response.hand_back()) {
    if (JobRunner* runner = find(lease)) runner->RequestStop(StopReason::kHandBack);
  }
}

}  // namespace sink::worker
