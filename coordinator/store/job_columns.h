// The columns of the table `jobs` (schema.cc), each beside the field of Job that it keeps. Every statement and every
// reader of a whole row follows from this list. Two things of a job are elsewhere: its configuration (configs) and its
// places in sweeps (memberships). Pure; any thread.
#pragma once

#include "coordinator/job/job.h"

namespace sink::store {

// What a column is for; a sum.
inline constexpr unsigned kListed = 1;    // what people see of a job; the rest serves the rules
inline constexpr unsigned kFixed = 2;     // written once, with the job
inline constexpr unsigned kProgress = 4;  // what UpdateProgress writes

struct JobColumn {
  const char* name;
  unsigned use = 0;

  bool is(unsigned flag) const { return (use & flag) != 0; }
};

// Calls visit(column, field...) for each column, with the field of each of the jobs that were passed (none, one, or two
// to compare or to copy). Those that are listed come first but for two, as they do in the table: SQLite walks a row
// from its beginning. The column `seq`, which SQLite gives out, is not among them.
template <typename Visitor, typename... AnyJob>
void VisitColumns(Visitor&& visit, AnyJob&... job) {
  visit(JobColumn{"id", kListed | kFixed}, job.id...);
  visit(JobColumn{"generation", kListed}, job.generation...);
  visit(JobColumn{"state", kListed}, job.state...);
  visit(JobColumn{"attempt", kListed}, job.attempt...);
  visit(JobColumn{"worker", kListed}, job.worker...);
  visit(JobColumn{"failure_class", kListed}, job.failure_class...);
  visit(JobColumn{"message", kListed}, job.message...);
  visit(JobColumn{"step", kListed | kProgress}, job.progress.step...);
  visit(JobColumn{"max_steps", kListed | kProgress}, job.progress.max_steps...);
  visit(JobColumn{"tokens", kListed | kProgress}, job.progress.tokens...);
  visit(JobColumn{"tokens_per_second", kListed | kProgress}, job.progress.tokens_per_second...);
  visit(JobColumn{"latest", kListed | kProgress}, job.progress.latest...);
  visit(JobColumn{"devices", kListed}, job.devices...);
  visit(JobColumn{"cancel_requested", kListed}, job.cancel_requested...);
  visit(JobColumn{"created_ms", kListed | kFixed}, job.created_ms...);
  visit(JobColumn{"started_ms", kListed}, job.started_ms...);
  visit(JobColumn{"finished_ms", kListed}, job.finished_ms...);

  visit(JobColumn{"home_sweep", kFixed}, job.home_sweep...);
  visit(JobColumn{"phase"}, job.phase...);
  visit(JobColumn{"fence"}, job.holder.fence...);
  visit(JobColumn{"lease_id"}, job.holder.lease_id...);
  visit(JobColumn{"worker_id"}, job.holder.worker_id...);
  visit(JobColumn{"session"}, job.holder.session...);
  visit(JobColumn{"poll"}, job.holder.poll...);
  visit(JobColumn{"event_cursor", kProgress}, job.event_cursor...);
  visit(JobColumn{"start_step", kProgress}, job.start_step...);
  visit(JobColumn{"restarts_without_progress"}, job.restarts_without_progress...);
  visit(JobColumn{"budget_infra"}, job.retry_budget.infra...);
  visit(JobColumn{"budget_out_of_memory"}, job.retry_budget.out_of_memory...);
  visit(JobColumn{"budget_nan"}, job.retry_budget.nan...);
  visit(JobColumn{"budget_user"}, job.retry_budget.user...);
  visit(JobColumn{"failures_infra"}, job.failures.infra...);
  visit(JobColumn{"failures_out_of_memory"}, job.failures.out_of_memory...);
  visit(JobColumn{"failures_nan"}, job.failures.nan...);
  visit(JobColumn{"failures_user"}, job.failures.user...);
  visit(JobColumn{"priority"}, job.priority...);
  visit(JobColumn{"max_time_ms"}, job.max_time_ms...);
  visit(JobColumn{"delayed"}, job.delayed...);
  visit(JobColumn{"timed_out"}, job.timed_out...);
  visit(JobColumn{"queued_ms"}, job.queued_ms...);
  visit(JobColumn{"stall_ms"}, job.stall_ms...);
  visit(JobColumn{"checkpoints_kept"}, job.checkpoints_kept...);
  visit(JobColumn{"checkpoint_period"}, job.checkpoint_period...);
  visit(JobColumn{"stop_message", kListed}, job.stop_message...);
  visit(JobColumn{"per_worker", kListed}, job.per_worker...);
  visit(JobColumn{"rendezvous"}, job.rendezvous...);
  visit(JobColumn{"model"}, job.model...);
  visit(JobColumn{"data_set"}, job.data_set...);
  visit(JobColumn{"data_content"}, job.data_content...);
  visit(JobColumn{"numbers", kProgress}, job.progress.numbers...);
}

}  // namespace sink::store
