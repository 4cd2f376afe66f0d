// See convert.h.
#include "coordinator/service/convert.h"

#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "coordinator/core/clean_text.h"
#include "coordinator/core/kept_checkpoints.h"
#include "coordinator/identity/one_way.h"

namespace sink {
std::string ValidUtf8(std::string text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = CharacterLength(std::string_view(text).substr(i));
    if (length == 0) text[i] = '?';
    i += length == 0 ? 1 : length;
  }
  return text;
}

void ToProto(const Lease& lease, v1::LeaseRef* message) {
  message->set_job_id(lease.job_id);
  message->set_attempt(lease.attempt);
  message->set_fence(lease.fence);
  message->set_lease_id(lease.id);
}

void ToProto(const Job& job, v1::Job* message) {
  message->set_id(job.id);
  message->set_generation(job.generation);
  message->set_state(static_cast<v1::JobState>(job.state));
  message->set_attempt(job.attempt);
  message->set_worker(job.worker);
  message->set_failure_class(static_cast<v1::FailureClass>(job.failure_class));
  message->set_message(ValidUtf8(job.message));
  v1::Progress* progress = message->mutable_progress();
  progress->set_step(job.progress.step);
  progress->set_max_steps(job.progress.max_steps);
  progress->set_tokens(job.progress.tokens);
  progress->set_tokens_per_second(job.progress.tokens_per_second);
  job.progress.latest.Visit(
      [latest = progress->mutable_latest()](std::string_view name, double value) { (*latest)[name] = value; });
  message->set_devices(job.devices);
  message->set_per_worker(job.per_worker);
  message->set_cancel_requested(job.cancel_requested);
  message->set_stopped_early(!job.stop_message.empty());
  message->set_created_ms(job.created_ms);
  message->set_started_ms(job.started_ms);
  message->set_finished_ms(job.finished_ms);
  for (const Membership& membership : job.sweeps) {
    v1::Membership* sweep = message->add_sweeps();
    sweep->set_sweep(membership.sweep);
    sweep->set_experiment(membership.experiment);
    sweep->set_label(ValidUtf8(membership.label));
    sweep->set_index(membership.index);
    sweep->set_withdrawn(membership.withdrawn);
  }
}

void ToProto(const Sweep& sweep, v1::Sweep* message) {
  message->set_name(sweep.name);
  message->set_created_ms(sweep.created_ms);
  message->set_max_parallel(sweep.max_parallel);
  message->set_jobs(sweep.jobs);
  message->set_generation(sweep.generation);
  for (const auto& [state, count] : sweep.jobs_by_state) {
    (*message->mutable_jobs_by_state())[std::string(NameOf(state))] = count;
  }
}

void ToProto(const Attempt& attempt, v1::Attempt* message) {
  message->set_attempt(attempt.attempt);
  message->set_worker(attempt.worker);
  const bool returned = attempt.state == AttemptState::kCancelled && !IsFinal(attempt.job_state);
  message->set_state(returned ? "returned" : std::string(NameOf(attempt.state)));
  message->set_failure_class(static_cast<v1::FailureClass>(attempt.failure_class));
  message->set_message(ValidUtf8(attempt.message));
  message->set_started_ms(attempt.started_ms);
  message->set_finished_ms(attempt.finished_ms);
}

void ToProto(const Worker& worker, v1::Worker* message) {
  message->set_id(worker.id);
  message->set_name(worker.name);
  message->set_address(worker.address);
  message->set_state(std::string(NameOf(worker.state)));
  message->set_devices(worker.devices);
  message->set_devices_free(worker.devices_free);
  message->set_device_kind(ValidUtf8(worker.device_kind));
  message->set_version(ValidUtf8(worker.version));
  message->set_last_seen_ms(worker.last_seen_ms);
  for (const std::string& id : worker.job_ids) message->add_job_ids(id);
  for (const std::string& model : worker.models) message->add_models(model);
  for (const DataSet& set : worker.sets) {
    v1::DataSet* entry = message->add_sets();
    entry->set_name(set.name);
    entry->set_content(set.content);
  }
  const auto to_proto = [](const IncompleteCopy& copy, v1::IncompleteCopy* entry) {
    entry->set_name(copy.name);
    entry->set_gap(ValidUtf8(copy.gap));
    entry->set_use(static_cast<v1::CopyUse>(copy.use));
  };
  for (const IncompleteCopy& set : worker.incomplete_sets) to_proto(set, message->add_incomplete_sets());
  for (const IncompleteCopy& model : worker.incomplete_models) to_proto(model, message->add_incomplete_models());
  if (worker.hold != WorkerHold::kNone) message->set_hold(std::string(NameOf(worker.hold)));
  message->set_hold_reason(ValidUtf8(worker.hold_reason));
}

void ToProto(const MetricPoint& point, v1::MetricPoint* message) {
  message->set_name(point.name);
  message->set_step(point.step);
  message->set_value(point.value);
  message->set_attempt(point.attempt);
}

void ToProto(const Heatmap& heatmap, v1::Heatmap* message) {
  message->set_name(heatmap.name);
  message->set_step(heatmap.step);
  message->set_attempt(heatmap.attempt);
  message->set_layers(heatmap.layers);
  message->set_heads(heatmap.heads);
  message->mutable_values()->Assign(heatmap.values.begin(), heatmap.values.end());
}

void ToProto(const LogLine& line, v1::LogLine* message) {
  message->set_cursor(line.cursor);
  message->set_time_ms(line.time_ms);
  message->set_attempt(line.attempt);
  message->set_level(ValidUtf8(line.level));
  message->set_text(ValidUtf8(line.text));
}

void ToProto(const Checkpoint& checkpoint, v1::Checkpoint* message) {
  message->set_job_id(checkpoint.job_id);
  message->set_step(checkpoint.step);
  message->set_attempt(checkpoint.attempt);
  message->set_fence(checkpoint.fence);
  message->set_manifest_hash(checkpoint.manifest_hash);
  for (const CheckpointFile& file : checkpoint.files) {
    v1::CheckpointFile* entry = message->add_files();
    entry->set_name(file.name);
    entry->set_size(file.size);
    entry->set_xxh3(file.xxh3);
  }
  message->set_committed_ms(checkpoint.committed_ms);
  message->set_pinned(checkpoint.pinned);
  if (!std::isnan(checkpoint.validation_loss)) message->set_validation_loss(checkpoint.validation_loss);
}

void ToProto(const std::vector<Checkpoint>& checkpoints, google::protobuf::RepeatedPtrField<v1::Checkpoint>* messages) {
  const Checkpoint* const best = BestOf(checkpoints);
  for (const Checkpoint& checkpoint : checkpoints) {
    v1::Checkpoint* message = messages->Add();
    ToProto(checkpoint, message);
    message->set_best(&checkpoint == best);
  }
}

void AddGangs(const Gangs& gangs, google::protobuf::RepeatedPtrField<v1::Job>* messages) {
  if (gangs.empty()) return;
  for (v1::Job& message : *messages) {
    const auto gang = gangs.find(message.id());
    if (gang == gangs.end()) continue;
    for (const std::string& worker : gang->second) message.add_gang(worker);
  }
}

void ToProto(const JobDetails& details, v1::GetJobResponse* message) {
  ToProto(details.job, message->mutable_job());
  message->mutable_job()->set_config_json(details.config_json);
  message->mutable_job()->set_data_set(details.job.data_set);
  message->mutable_job()->set_data_content(details.job.data_content);
  for (const Attempt& attempt : details.attempts) ToProto(attempt, message->add_attempts());
  ToProto(details.checkpoints, message->mutable_checkpoints());
  for (const std::string& worker : details.gang) message->mutable_job()->add_gang(worker);
}

void ToProto(const Explanation& explanation, v1::WhyJobResponse* message) {
  ToProto(explanation.job, message->mutable_job());
  for (const std::string& worker : explanation.gang) message->mutable_job()->add_gang(worker);
  for (const std::string& reason : explanation.reasons) message->add_reasons(ValidUtf8(reason));
  for (const RungResult& result : explanation.rungs) {
    v1::Rung* rung = message->add_rungs();
    rung->set_sweep(result.sweep);
    rung->set_step(result.step);
    rung->set_value(result.value);
    rung->set_place(result.place);
    rung->set_peers(result.peers);
    rung->set_stopped(result.stopped);
  }
}

void ToProto(const Grant& grant, v1::Grant* message) {
  ToProto(grant.lease, message->mutable_lease());
  message->set_config_json(grant.config_json);
  message->set_devices(grant.devices);
  if (grant.resume_from) ToProto(*grant.resume_from, message->mutable_resume_from());
  message->set_stall_ms(grant.stall_ms);
  message->set_data_content(grant.data_content);
  if (grant.world_size <= 1) return;
  v1::Gang* gang = message->mutable_gang();
  gang->set_first_rank(grant.first_rank);
  gang->set_world_size(grant.world_size);
  gang->set_rendezvous(grant.rendezvous);
  gang->set_token(identity::OneWayName("rendezvous", grant.token));
}

Lease FromProto(const v1::LeaseRef& message) {
  return {.job_id = message.job_id(), .attempt = message.attempt(), .fence = message.fence(), .id = message.lease_id()};
}

JobSelection FromProto(const v1::CancelRequest& message) {
  return {.sweep = message.sweep(), .jobs = {message.job_ids().begin(), message.job_ids().end()}};
}

JobSelection FromProto(const v1::RetryRequest& message) {
  return {.sweep = message.sweep(), .jobs = {message.job_ids().begin(), message.job_ids().end()}};
}

std::optional<int64_t> FromStep(const v1::RetryRequest& message) {
  return message.has_from_step() ? std::optional<int64_t>(message.from_step()) : std::nullopt;
}

RegisterRequest FromProto(const v1::RegisterRequest& message, const std::string& peer) {
  RegisterRequest request;
  request.worker_id = message.worker_id();
  request.name = message.name();
  request.session = message.session();
  request.address = peer;
  request.host = message.advertise().empty() ? peer.substr(0, peer.rfind(':')) : message.advertise();
  request.devices = message.devices();
  request.device_kind = message.device_kind();
  request.version = message.version();
  for (const v1::LeaseRef& lease : message.held()) request.held.push_back(FromProto(lease));
  return request;
}

namespace {

// One that only a newer worker knows is for no job here.
CopyUse FromProto(v1::CopyUse use) {
  const bool known = use == v1::COPY_BEING_COMPARED || use == v1::COPY_WITHOUT_TOKENIZER;
  return known ? static_cast<CopyUse>(use) : CopyUse::kNoJob;
}

}  // namespace

LeaseRequest FromProto(const v1::LeaseRequest& message) {
  LeaseRequest request{.worker_id = message.worker_id(),
                       .session = message.session(),
                       .poll = message.poll(),
                       .devices_free = message.devices_free(),
                       .rendezvous_port = message.rendezvous_port(),
                       .models = {message.models().begin(), message.models().end()},
                       .sets = std::nullopt,
                       .wait_ms = message.wait_ms()};
  if (message.has_sets()) {
    request.sets.emplace();
    for (const v1::DataSet& set : message.sets().sets()) request.sets->push_back({set.name(), set.content()});
    for (const v1::IncompleteCopy& set : message.sets().incomplete())
      request.incomplete_sets.push_back({set.name(), set.gap(), FromProto(set.use())});
    if (message.sets().has_files()) {
      const auto& names = message.sets().files().names();
      request.files.emplace(names.begin(), names.end());
    }
  }
  for (const v1::IncompleteCopy& model : message.incomplete_models())
    request.incomplete_models.push_back({model.name(), model.gap(), FromProto(model.use())});
  return request;
}

HeartbeatRequest FromProto(const v1::HeartbeatRequest& message) {
  HeartbeatRequest request;
  request.worker_id = message.worker_id();
  request.session = message.session();
  request.devices_free = message.devices_free();
  request.leaving = message.leaving();
  for (const v1::HeldJob& held : message.held()) {
    request.held.push_back({.lease = FromProto(held.lease()), .phase = static_cast<JobState>(held.phase())});
  }
  for (const v1::GpuUse& gpu : message.gpus()) {
    request.gpus.push_back({.memory_bytes = gpu.memory_bytes(),
                            .memory_used_bytes = gpu.memory_used_bytes(),
                            .busy_percent = gpu.busy_percent()});
  }
  return request;
}

std::vector<Event> FromProto(const v1::ReportRequest& message) {
  std::vector<Event> events;
  events.reserve(message.events_size());
  for (const v1::Event& event : message.events()) {
    events.push_back({.seq = event.seq(), .record = event.record(), .time_ms = event.time_ms()});
  }
  return events;
}

std::vector<CheckpointFile> FromProto(const v1::BeginCheckpointRequest& message) {
  std::vector<CheckpointFile> files;
  for (const v1::CheckpointFile& file : message.files()) {
    files.push_back({.name = file.name(), .size = file.size(), .xxh3 = file.xxh3()});
  }
  return files;
}

FinishRequest FromProto(const v1::FinishRequest& message) {
  return {.worker_id = message.worker_id(),
          .lease = FromProto(message.lease()),
          .outcome = static_cast<JobState>(message.outcome()),
          .failure_class = static_cast<FailureClass>(message.failure_class()),
          .message = message.message(),
          .last_seq = message.last_seq(),
          .undelivered = message.undelivered()};
}

}  // namespace sink
