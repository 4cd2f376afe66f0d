// See submission.h.
#include "coordinator/service/submission.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/service/files.h"
#include "coordinator/service/study.h"
#include "sweeps/expand.h"

namespace sink {

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
                       .body_hash = HashText(body.SerializeAsString()),
                       .sweep = sweep->name,
                       .max_parallel = sweep->max_parallel,
                       .devices = sweep->devices,
                       .priority = sweep->priority,
                       .max_time_ms = absl::ToInt64Milliseconds(sweep->max_time),
                       .retry_budget = {.infra = sweep->retry.infra,
                                        .out_of_memory = sweep->retry.out_of_memory,
                                        .nan = sweep->retry.nan,
                                        .user = sweep->retry.user},
                       .jobs = {},
                       .study_json = EncodeStudy(*sweep),
                       .dry_run = request.dry_run()};
  submit.jobs.reserve(sweep->jobs.size());
  for (ExpandedJob& job : sweep->jobs) {
    submit.jobs.push_back({.id = std::move(job.id),
                           .config_json = std::move(job.config_json),
                           .max_steps = job.config.train.max_steps,
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
  }
  message->set_added(result.added_count);
  message->set_removed(result.removed_count);
}

}  // namespace sink
