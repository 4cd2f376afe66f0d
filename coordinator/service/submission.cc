// See submission.h.
#include "coordinator/service/submission.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/service/study_document.h"
#include "proto/files/hash.h"
#include "sweeps/expand.h"

namespace sink {

namespace {

SweepPolicy PolicyOf(const ExpandedSweep& sweep) {
  std::set<std::string> different;
  for (const ExpandedJob& job : sweep.jobs) different.insert(job.id);
  const FailurePolicy& failures = sweep.on_failure;
  int max_failed = failures.max_failed;
  if (failures.max_failed_percent < 100) {
    const int share = static_cast<int>(different.size()) * failures.max_failed_percent / 100;
    max_failed = max_failed < 0 ? share : std::min(max_failed, share);
  }
  return {.stop_metric = sweep.early_stop.metric,
          .stop_maximize = sweep.early_stop.maximize,
          .stop_first_rung = sweep.early_stop.first_rung,
          .stop_eta = sweep.early_stop.eta,
          .canary = failures.canary,
          .max_failed = max_failed};
}

// What it reads under the --data-root of its worker.
const std::string& DataOf(const JobConfig& config) {
  static const std::string kNone;
  if (config.kind == JobKind::kTrain) return config.data.set;
  return config.evaluate.inputs == InputKind::kNatural ? config.evaluate.texts : kNone;
}

}  // namespace

absl::StatusOr<SubmitRequest> ExpandSubmission(const v1::SubmitSweepRequest& request) {
  std::map<std::string, const std::string*> texts;
  for (const v1::SourceFile& file : request.files()) texts[file.path()] = &file.text();
  const SweepInput input{.entry = request.entry(),
                         .profiles = {request.profiles().begin(), request.profiles().end()},
                         .read = [&](const std::string& path) -> absl::StatusOr<std::string> {
                           const auto it = texts.find(path);
                           if (it == texts.end())
                             return absl::NotFoundError(absl::StrCat(path, " was not sent along with the sweep"));
                           return *it->second;
                         }};
  auto sweep = ExpandSweep(input);
  if (!sweep.ok()) return sweep.status();

  v1::SubmitSweepRequest body = request;
  body.clear_request_id();
  SubmitRequest submit{.request_id = request.request_id(),
                       .body_hash = files::Hash(body.SerializeAsString()),
                       .sweep = sweep->name,
                       .max_parallel = sweep->max_parallel,
                       .policy = PolicyOf(*sweep),
                       .devices = sweep->devices,
                       .per_worker = sweep->per_worker,
                       .priority = sweep->priority,
                       .max_time_ms = absl::ToInt64Milliseconds(sweep->max_time),
                       .stall_ms = absl::ToInt64Milliseconds(sweep->stall),
                       .retry_budget = {.infra = sweep->retry.infra,
                                        .out_of_memory = sweep->retry.out_of_memory,
                                        .nan = sweep->retry.nan,
                                        .user = sweep->retry.user},
                       .jobs = {},
                       .study_json = EncodeStudy(*sweep),
                       .dry_run = request.dry_run(),
                       .replace = request.replace()};
  submit.jobs.reserve(sweep->jobs.size());
  for (ExpandedJob& job : sweep->jobs) {
    submit.jobs.push_back({.id = std::move(job.id),
                           .config_json = std::move(job.config_json),
                           .max_steps = job.config.kind == JobKind::kTrain ? job.config.train.max_steps : 0,
                           .checkpoints_kept = static_cast<int>(job.config.checkpoint.keep),
                           .checkpoint_period = job.config.checkpoint.keep_period,
                           .model = job.config.evaluate.model,
                           .data_set = DataOf(job.config),
                           .experiment = std::move(job.experiment),
                           .label = std::move(job.label),
                           .index = job.index});
  }
  return submit;
}

void ToProto(const SubmitRequest& request, const SubmitResult& result, v1::SubmitSweepResponse* message) {
  message->set_sweep(request.sweep);
  for (size_t i = 0; i < request.jobs.size(); ++i) {
    v1::SubmittedJob* job = message->add_jobs();
    job->set_id(request.jobs[i].id);
    job->set_experiment(request.jobs[i].experiment);
    job->set_label(request.jobs[i].label);
    job->set_added(result.added[i]);
    job->set_state(static_cast<v1::JobState>(result.states[i]));
    job->set_cancel_taken_back(result.resumed[i]);
  }
  message->set_added(result.added_count);
  message->set_removed(result.removed_count);
  for (const std::string& model : result.missing_models) message->add_missing_models(model);
  for (const std::string& set : result.missing_sets) message->add_missing_sets(set);
  for (const DifferingSet& set : result.differing_sets) {
    v1::DifferingSet* differing = message->add_differing_sets();
    differing->set_name(set.name);
    for (const auto& [content, workers] : set.workers) {
      v1::SetCopy* copy = differing->add_copies();
      copy->set_content(content);
      for (const std::string& worker : workers) copy->add_workers(worker);
    }
  }
  for (const ChangedSet& set : result.changed_sets) {
    v1::ChangedSet* changed = message->add_changed_sets();
    changed->set_name(set.name);
    changed->set_content_then(set.content_then);
    changed->set_content_now(set.content_now);
    changed->set_jobs(set.jobs);
  }
}

}  // namespace sink
