#include "coordinator/cli/views/documents.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "coordinator/job/data_set.h"
#include "proto/pipe/failure_class.h"
#include "proto/pipe/metric_name.h"

namespace sink::cli {
namespace {

Json OrNull(const std::optional<double>& value) { return value ? Number(*value) : Json(nullptr); }
Json TimeOrNull(int64_t unix_ms) { return unix_ms == 0 ? Json(nullptr) : Json(unix_ms); }

std::string InCapitals(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// As in the trainer's events and in a sweep file's `retry:`.
std::string_view ClassName(v1::FailureClass failure) {
  switch (failure) {
    case v1::INFRA:
      return NameOf(pipe::FailureClass::kInfra);
    case v1::OUT_OF_MEMORY:
      return NameOf(pipe::FailureClass::kOutOfMemory);
    case v1::NON_FINITE:
      return NameOf(pipe::FailureClass::kNan);
    case v1::USER:
      return NameOf(pipe::FailureClass::kUser);
    default:  // none, or one that only a newer coordinator knows
      return "";
  }
}

}  // namespace

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

bool IsFinal(v1::JobState state) { return state == v1::SUCCEEDED || state == v1::FAILED || state == v1::CANCELLED; }

bool IsLeftToOthers(const v1::Job& job, const std::string& sweep) {
  return !IsFinal(job.state()) && !job.cancel_requested() &&
         std::any_of(job.sweeps().begin(), job.sweeps().end(),
                     [&](const v1::Membership& place) { return place.sweep() == sweep && place.withdrawn(); });
}

std::string StateName(v1::JobState state) {
  return v1::JobState_IsValid(state) ? v1::JobState_Name(state) : "STATE_" + std::to_string(state);
}

Measurements Measure(const v1::Progress& progress) {
  Measurements out;
  pipe::ValidationLoss validation;
  for (const auto& [text, value] : progress.latest()) {
    const auto name = pipe::ParseMetricName(text);
    if (!name || (!name->position.empty() && name->position != pipe::kFirstPosition)) continue;
    switch (name->kind) {
      case pipe::MetricKind::kTrainLoss:
        out.train_loss = value;
        break;
      case pipe::MetricKind::kValidationLoss:
        validation.Add(name->domain, value);
        break;
      case pipe::MetricKind::kAlphaMean:
        out.alpha_mean = value;
        break;
      case pipe::MetricKind::kAlphaMax:
        out.alpha_max = value;
        break;
      case pipe::MetricKind::kHiddenNormRatio:
        if (name->layer == pipe::kAllLayers) break;
        out.hidden_norm_ratio = out.hidden_norm_ratio ? std::max(*out.hidden_norm_ratio, value) : value;
        break;
      case pipe::MetricKind::kSinkRate:
        if (!out.epsilon.empty() && !pipe::IsBetterEpsilon(name->epsilon, out.epsilon)) break;
        out.epsilon = name->epsilon;
        out.sink_rate = value;
        break;
      default:
        break;
    }
  }
  out.validation_loss = validation.value();
  return out;
}

std::optional<double> EtaSeconds(const v1::Job& job) {
  const v1::Progress& p = job.progress();
  if (IsFinal(job.state())) return 0.0;
  if (job.state() != v1::RUNNING || p.step() <= 0 || p.max_steps() <= 0 || !(p.tokens_per_second() > 0)) return {};
  const double tokens_per_step = static_cast<double>(p.tokens()) / static_cast<double>(p.step());
  return static_cast<double>(std::max<int64_t>(0, p.max_steps() - p.step())) * tokens_per_step / p.tokens_per_second();
}

Json ToJson(const v1::Job& job) {
  Json metrics = Json::object();
  for (const auto& [name, value] :
       std::map<std::string, double>(job.progress().latest().begin(), job.progress().latest().end()))
    metrics[name] = Number(value);
  Json sweeps = Json::array();
  for (const v1::Membership& place : job.sweeps())
    sweeps.push_back({{"sweep", place.sweep()},
                      {"experiment", place.experiment()},
                      {"label", place.label()},
                      {"index", place.index()},
                      {"withdrawn", place.withdrawn()}});
  const v1::Progress& p = job.progress();
  const Measurements m = Measure(p);
  return {{"id", job.id()},
          {"generation", job.generation()},
          {"state", StateName(job.state())},
          {"attempt", job.attempt()},
          {"worker", job.worker()},
          {"failure_class", ClassName(job.failure_class())},
          {"message", job.message()},
          {"devices", job.devices()},
          {"per_worker", job.per_worker() > 0 ? job.per_worker() : job.devices()},
          {"gang", Json(std::vector<std::string>(job.gang().begin(), job.gang().end()))},
          {"cancel_requested", job.cancel_requested()},
          {"stopped_early", job.stopped_early()},
          {"created_ms", TimeOrNull(job.created_ms())},
          {"started_ms", TimeOrNull(job.started_ms())},
          {"finished_ms", TimeOrNull(job.finished_ms())},
          {"step", p.step()},
          {"max_steps", p.max_steps() > 0 ? Json(p.max_steps()) : Json(nullptr)},
          {"tokens", p.tokens()},
          {"tokens_per_second", Number(p.tokens_per_second())},
          {"eta_seconds", OrNull(EtaSeconds(job))},
          {"train_loss", OrNull(m.train_loss)},
          {"validation_loss", OrNull(m.validation_loss)},
          {"sink_epsilon", m.epsilon.empty() ? Json(nullptr) : Json(std::strtod(m.epsilon.c_str(), nullptr))},
          {"sink_rate_percent", m.sink_rate ? Number(100 * *m.sink_rate) : Json(nullptr)},
          {"alpha_mean_1", OrNull(m.alpha_mean)},
          {"alpha_max_1", OrNull(m.alpha_max)},
          {"hidden_norm_ratio", OrNull(m.hidden_norm_ratio)},
          {"metrics", std::move(metrics)},
          {"sweeps", std::move(sweeps)}};
}

Json ToJson(const v1::Job& job, const v1::Membership& place) {
  Json json = {{"experiment", place.experiment()}, {"label", place.label()}, {"index", place.index()}};
  json.update(ToJson(job));
  return json;
}

void ForgetPace(Json* job) {
  if (!(*job)["finished_ms"].is_null()) return;
  (*job)["tokens_per_second"] = nullptr;
  (*job)["eta_seconds"] = nullptr;
}

Json ToJson(const v1::Sweep& sweep) {
  Json states = Json::object();
  for (int state = v1::JobState_MIN; state <= v1::JobState_MAX; ++state) {
    const auto found = sweep.jobs_by_state().find(StateName(static_cast<v1::JobState>(state)));
    if (found != sweep.jobs_by_state().end() && found->second > 0) states[found->first] = found->second;
  }
  return {{"name", sweep.name()},
          {"created_ms", TimeOrNull(sweep.created_ms())},
          {"max_parallel", sweep.max_parallel() > 0 ? Json(sweep.max_parallel()) : Json(nullptr)},
          {"jobs", sweep.jobs()},
          {"states", std::move(states)}};
}

Json ToJson(const v1::Worker& worker) {
  Json sets = Json::array();
  for (const v1::DataSet& set : worker.sets())
    sets.push_back({{"name", set.name()}, {"content", TextOrNull(set.content())}});
  const auto incomplete = [](const google::protobuf::RepeatedPtrField<v1::IncompleteCopy>& copies) {
    Json list = Json::array();
    for (const v1::IncompleteCopy& copy : copies)
      list.push_back({{"name", copy.name()}, {"gap", copy.gap()}, {"use", NameOf(static_cast<CopyUse>(copy.use()))}});
    return list;
  };
  return {{"id", worker.id()},
          {"name", worker.name()},
          {"address", worker.address()},
          {"state", InCapitals(worker.state())},
          {"devices", worker.devices()},
          {"devices_free", worker.devices_free()},
          {"device_kind", worker.device_kind()},
          {"version", worker.version()},
          {"last_seen_ms", TimeOrNull(worker.last_seen_ms())},
          {"job_ids", std::vector<std::string>(worker.job_ids().begin(), worker.job_ids().end())},
          {"models", std::vector<std::string>(worker.models().begin(), worker.models().end())},
          {"sets", std::move(sets)},
          {"incomplete_sets", incomplete(worker.incomplete_sets())},
          {"incomplete_models", incomplete(worker.incomplete_models())},
          {"hold", worker.hold()},
          {"hold_reason", worker.hold_reason()}};
}

Json ToJson(const v1::Attempt& attempt) {
  return {{"attempt", attempt.attempt()},
          {"worker", attempt.worker()},
          {"state", InCapitals(attempt.state())},
          {"failure_class", ClassName(attempt.failure_class())},
          {"message", attempt.message()},
          {"started_ms", TimeOrNull(attempt.started_ms())},
          {"finished_ms", TimeOrNull(attempt.finished_ms())}};
}

Json ToJson(const v1::Checkpoint& checkpoint) {
  uint64_t bytes = 0;
  Json files = Json::array();
  for (const v1::CheckpointFile& file : checkpoint.files()) {
    bytes += file.size();
    files.push_back({{"name", file.name()}, {"size", file.size()}, {"xxh3", file.xxh3()}});
  }
  return {{"job_id", checkpoint.job_id()},
          {"step", checkpoint.step()},
          {"attempt", checkpoint.attempt()},
          {"manifest_hash", checkpoint.manifest_hash()},
          {"committed_ms", TimeOrNull(checkpoint.committed_ms())},
          {"validation_loss", checkpoint.has_validation_loss() ? Number(checkpoint.validation_loss()) : Json(nullptr)},
          {"pinned", checkpoint.pinned()},
          {"bytes", bytes},
          {"files", std::move(files)}};
}

Json ToJson(const google::protobuf::RepeatedPtrField<v1::Checkpoint>& checkpoints) {
  Json list = Json::array();
  for (const v1::Checkpoint& checkpoint : checkpoints) {
    list.push_back(ToJson(checkpoint));
    list.back()["best"] = checkpoint.best();
    list.back()["damage"] = TextOrNull(checkpoint.damage());
  }
  return list;
}

Json ToJson(const v1::LogLine& line) {
  return {{"cursor", line.cursor()},
          {"time_ms", line.time_ms()},
          {"attempt", line.attempt()},
          {"level", line.level()},
          {"text", line.text()}};
}

Json ToJson(const v1::MetricPoint& point) {
  return {
      {"name", point.name()}, {"step", point.step()}, {"value", Number(point.value())}, {"attempt", point.attempt()}};
}

}  // namespace sink::cli
