// See client_calls.h.
#include "coordinator/core/client_calls.h"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "coordinator/core/attempt_end.h"
#include "coordinator/core/attempt_rules.h"
#include "coordinator/core/availability.h"
#include "coordinator/core/checkpoint_calls.h"
#include "coordinator/core/event_effects.h"
#include "coordinator/core/job_names.h"
#include "coordinator/core/repeated.h"
#include "coordinator/job/left_to_others.h"
#include "coordinator/job/status_macros.h"
#include "proto/base/counted.h"

namespace sink {
namespace {

// So that no other caller waits long: a few statements a job, or, where measurements are dropped, all its points.
constexpr size_t kJobsPerTransaction = 500, kRewrittenPerTransaction = 20;
constexpr int kFirstPartOfLeft = 1 << 20;  // of a cancellation: behind those of the jobs that the sweep names

absl::StatusOr<std::vector<std::string>> Select(store::Snapshot& rows, const JobSelection& selection) {
  if (selection.sweep.empty() == selection.jobs.empty()) {
    return absl::InvalidArgumentError("name either a sweep or jobs");
  }
  if (!selection.sweep.empty()) {
    SINK_RETURN_IF_ERROR(rows.GetSweep(selection.sweep).status());
    return rows.SweepJobIds(selection.sweep);
  }
  std::vector<std::string> ids;
  for (const std::string& name : selection.jobs) {
    SINK_ASSIGN_OR_RETURN(std::string id, ResolveJob(rows, name));
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(std::move(id));
  }
  return ids;
}

// What is remembered of a submission: a character a job, then the number removed.
constexpr char kStoredBefore = '0', kAdded = '1', kResumed = '2';

std::string EncodeResult(const SubmitResult& result) {
  std::string text;
  for (size_t i = 0; i < result.added.size(); ++i)
    text += result.added[i] ? kAdded : result.resumed[i] ? kResumed : kStoredBefore;
  return absl::StrCat(text, " ", result.removed_count);
}

// What the submission of so many jobs did; where they are now is not part of it.
absl::Status DecodeResult(const std::string& text, size_t jobs, SubmitResult* result) {
  if (text.size() < jobs + 2 || text[jobs] != ' ' || !absl::SimpleAtoi(text.substr(jobs + 1), &result->removed_count)) {
    return absl::AlreadyExistsError("this request_id was used for another submission: use a new one");
  }
  result->resumed.clear();
  for (size_t i = 0; i < jobs; ++i) {
    result->added.push_back(text[i] == kAdded);
    result->added_count += text[i] == kAdded ? 1 : 0;
    result->resumed.push_back(text[i] == kResumed);
  }
  return absl::OkStatus();
}

Job NewJob(const SubmitRequest& request, const SubmitJob& submitted, Now now) {
  Job job;
  job.id = submitted.id;
  job.home_sweep = request.sweep;
  job.progress.max_steps = submitted.max_steps;
  job.checkpoints_kept = submitted.checkpoints_kept;
  job.checkpoint_period = submitted.checkpoint_period;
  job.model = submitted.model;
  job.data_set = submitted.data_set;
  job.created_ms = job.queued_ms = now.unix_ms;
  return job;
}

// Of two times after which something ends, where 0 is never, the longer one.
int64_t Longer(int64_t a, int64_t b) { return a == 0 || b == 0 ? 0 : std::max(a, b); }

FailureCounts Larger(const FailureCounts& a, const FailureCounts& b) {
  return {.infra = std::max(a.infra, b.infra),
          .out_of_memory = std::max(a.out_of_memory, b.out_of_memory),
          .nan = std::max(a.nan, b.nan),
          .user = std::max(a.user, b.user)};
}

// What the request asks for. Of a job that another sweep wants, too, its place in the queue stays the home's, and what
// ends it only ever becomes laxer: nobody's training ends sooner because of what somebody else has submitted.
void SetResources(const SubmitRequest& request, Job* job) {
  const bool shared = IsWantedBeside(request.sweep, *job);
  if (!shared || job->home_sweep == request.sweep) {
    job->devices = request.devices;
    job->per_worker = request.per_worker;
    job->priority = request.priority;
  }
  job->max_time_ms = shared ? Longer(job->max_time_ms, request.max_time_ms) : request.max_time_ms;
  job->stall_ms = shared ? Longer(job->stall_ms, request.stall_ms) : request.stall_ms;
  job->retry_budget = shared ? Larger(job->retry_budget, request.retry_budget) : request.retry_budget;
}

// Whether a person has cancelled the job and its worker is stopping it, or will be told to. What has run too long, and
// what early stopping stops, ends whoever wants it.
bool IsBeingCancelled(const Job& job) {
  return IsLive(job.state) && job.cancel_requested && !job.timed_out && job.stop_message.empty();
}

// Which of the request's jobs are stored, and where each is; one that is not would be queued.
absl::Status ReadStates(store::Snapshot& rows, const SubmitRequest& request, SubmitResult* result) {
  for (const SubmitJob& submitted : request.jobs) {
    const absl::StatusOr<Job> job = rows.GetJob(submitted.id);
    if (!job.ok() && !absl::IsNotFound(job.status())) return job.status();
    result->stored.push_back(job.ok());
    result->states.push_back(job.ok() ? job->state : JobState::kQueued);
    result->resumed.push_back(job.ok() && IsBeingCancelled(*job));
  }
  return absl::OkStatus();
}

// Which jobs would be added, where they are and how many would be removed, without a change.
absl::StatusOr<SubmitResult> Plan(store::Snapshot& rows, const SubmitRequest& request) {
  SubmitResult result;
  SINK_RETURN_IF_ERROR(ReadStates(rows, request, &result));
  absl::flat_hash_set<std::string> named;
  for (size_t i = 0; i < request.jobs.size(); ++i) {
    const bool added = named.insert(request.jobs[i].id).second && !result.stored[i];
    result.added.push_back(added);
    result.added_count += added ? 1 : 0;
  }
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> before, rows.SweepJobIds(request.sweep));
  result.removed_count = static_cast<int>(
      std::count_if(before.begin(), before.end(), [&named](const std::string& id) { return !named.contains(id); }));
  return result;
}

// The hash that is a job's id can be made to collide: nobody's job is taken for another's.
absl::Status CollidingJob(const std::string& id) {
  return absl::InvalidArgumentError(absl::StrCat(
      "job ", id, " is stored with another configuration that has the same hash; change any value of this one"));
}

// Somebody wants the job again: whether it was being cancelled. Then it goes on, or the worker gives it back and it is
// queued again (WorkerCalls::Finish).
bool TakeBackCancel(Job* job) {
  if (!IsBeingCancelled(*job)) return false;
  job->cancel_requested = false;
  return true;
}

// Somebody asks for the sweep once more: who is about to delete it is told so (CheckGeneration).
absl::Status BeginSweepGeneration(store::Transaction& rows, const std::string& sweep) {
  constexpr char kMark[] = "sweep_generation";  // the newest of all sweeps, so that one that comes anew repeats none
  SINK_ASSIGN_OR_RETURN(const int64_t newest, rows.GetMark(kMark));
  SINK_RETURN_IF_ERROR(rows.PutMark(kMark, newest + 1));
  return rows.SetGeneration(sweep, newest + 1);
}

absl::Status StoreSubmission(store::Transaction& rows, const SubmitRequest& request, const SubmitResult& plan,
                             Now now) {
  Sweep sweep;
  sweep.name = request.sweep;
  sweep.created_ms = now.unix_ms;
  sweep.max_parallel = request.max_parallel;
  sweep.policy = request.policy;
  SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
  SINK_RETURN_IF_ERROR(BeginSweepGeneration(rows, request.sweep));
  SINK_RETURN_IF_ERROR(rows.PutStudy(request.sweep, request.study_json));
  std::vector<std::pair<std::string, Membership>> members;
  for (size_t i = 0; i < request.jobs.size(); ++i) {
    const SubmitJob& submitted = request.jobs[i];
    members.emplace_back(submitted.id,
                         Membership{request.sweep, submitted.experiment, submitted.label, submitted.index});
    if (plan.added[i]) {
      Job job = NewJob(request, submitted, now);
      SetResources(request, &job);
      SINK_RETURN_IF_ERROR(rows.InsertJob(job, submitted.config_json));
      continue;
    }
    SINK_ASSIGN_OR_RETURN(const std::string stored, rows.GetConfig(submitted.id));
    if (stored != submitted.config_json) return CollidingJob(submitted.id);
    SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(submitted.id));
    // What another sweep wants, too, is never stopped early.
    if (IsLive(job.state) && job.home_sweep != request.sweep) job.stop_message.clear();
    if (job.state == JobState::kQueued) {
      SetResources(request, &job);
    } else if (!TakeBackCancel(&job)) {
      continue;
    }
    SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  }
  SINK_RETURN_IF_ERROR(rows.SetMemberships(request.sweep, members));
  return RememberAnswer(rows, {request.request_id, request.body_hash}, EncodeResult(plan));
}

// Returns true when the job was queued, false when it is live; nothing when it is final.
std::optional<bool> RequestCancel(Job* job, Now now) {
  if (IsFinal(job->state)) return std::nullopt;
  if (job->state == JobState::kQueued) {
    EndJob(job, JobState::kCancelled, FailureClass::kNone, "cancelled while queued", now);
    return true;
  }
  job->cancel_requested = true;
  return false;
}

// A sweep of the request's name that shares no experiment with it is another study.
absl::Status CheckSameStudy(store::Snapshot& rows, const SubmitRequest& request) {
  if (request.replace || !rows.GetSweep(request.sweep).ok()) return absl::OkStatus();
  absl::flat_hash_set<std::string> ours;
  for (const SubmitJob& job : request.jobs) ours.insert(job.experiment);
  std::set<std::string> stored;
  store::JobQuery query;
  query.sweep = request.sweep;
  SINK_RETURN_IF_ERROR(rows.VisitJobs(query, [&](const Job& job) {
    for (const Membership& place : job.sweeps) stored.insert(place.experiment);
  }));
  const bool shared = std::any_of(stored.begin(), stored.end(), [&](const auto& name) { return ours.contains(name); });
  if (shared || stored.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "another study is stored as ", request.sweep, ", with the experiments ", absl::StrJoin(stored, ", "),
      ", none of which this one has; give it another name, or take its place with --replace (replace=True from "
      "Python)"));
}

// Whether a sweep other than `sweep` has the job in its list.
bool IsListedBeside(const std::string& sweep, const Job& job) {
  return std::any_of(job.sweeps.begin(), job.sweeps.end(),
                     [&](const Membership& place) { return place.sweep != sweep; });
}

// The jobs that a sweep names, and those that an earlier version of it has left, each once.
absl::StatusOr<std::vector<std::string>> JobsOfEveryVersion(store::Snapshot& rows, const std::string& sweep) {
  SINK_ASSIGN_OR_RETURN(std::vector<std::string> ids, rows.SweepJobIds(sweep));
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> homes, rows.HomeJobIds(sweep));
  absl::flat_hash_set<std::string> seen(ids.begin(), ids.end());
  for (const std::string& id : homes) {
    if (seen.insert(id).second) ids.push_back(id);
  }
  return ids;
}

// FAILED_PRECONDITION, with their number, when jobs have not ended that nobody would want without the sweep.
absl::Status CheckEnded(store::Snapshot& rows, const std::string& sweep, const std::vector<std::string>& ids) {
  int live = 0;
  for (const std::string& id : ids) {
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(id));
    live += !IsFinal(job.state) && !IsWantedBeside(sweep, job);
  }
  if (live == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(Counted(live, "job"), " of ", sweep, live == 1 ? " has" : " have",
                                                    " not ended; cancel the sweep first"));
}

// ABORTED when the sweep is not the one that was to be deleted.
absl::Status CheckGeneration(store::Snapshot& rows, const std::string& sweep, int64_t generation) {
  SINK_ASSIGN_OR_RETURN(const Sweep stored, rows.GetSweep(sweep));
  if (stored.generation == generation) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(sweep, " was submitted or retried again meanwhile; it stays"));
}

absl::Status LeaveOrDelete(store::Transaction& rows, const std::string& sweep, const std::string& id, Now now,
                           DeleteResult* result) {
  absl::StatusOr<Job> job = rows.GetJob(id);
  if (absl::IsNotFound(job.status())) return absl::OkStatus();  // somebody else deletes it, too
  if (!job.ok()) return job.status();
  if (IsListedBeside(sweep, *job)) {
    ++result->kept;
    // The sweep that wanted it may have been cancelled since CheckEnded.
    if (!IsWantedBeside(sweep, *job) && RequestCancel(&*job, now)) SINK_RETURN_IF_ERROR(rows.UpdateJob(*job));
    return rows.LeaveSweep(sweep, id);
  }
  SINK_RETURN_IF_ERROR(rows.LeaveSweep(sweep, id));
  SINK_RETURN_IF_ERROR(rows.DeleteJob(id));
  ++result->deleted;
  return absl::OkStatus();
}

// One job of a cancellation.
absl::Status CancelJob(store::Transaction& rows, const JobSelection& selection, const std::string& id, Now now,
                       CancelResult* result) {
  SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(id));
  if (job.state == JobState::kSucceeded) return absl::OkStatus();  // and whose it is stays as it is
  if (!selection.sweep.empty()) {
    // Its wish for what has failed, too: another sweep may have that tried again.
    SINK_RETURN_IF_ERROR(rows.SetWithdrawn(selection.sweep, id, true));
    if (!IsFinal(job.state) && IsWantedBeside(selection.sweep, job)) {
      ++result->kept;
      return absl::OkStatus();
    }
  }
  const std::optional<bool> at_once = RequestCancel(&job, now);
  if (!at_once) return absl::OkStatus();
  ++(*at_once ? result->cancelled : result->requested);
  return rows.UpdateJob(job);
}

// Some of the jobs that an earlier version of the sweep has left to run and nobody has cancelled yet.
absl::StatusOr<std::vector<std::string>> LeftToEnd(store::Snapshot& rows, const std::string& sweep,
                                                   const absl::flat_hash_set<std::string>& listed) {
  SINK_ASSIGN_OR_RETURN(const std::vector<std::string> live, rows.LiveHomeJobIds(sweep));
  std::vector<std::string> left;
  for (const std::string& id : live) {
    if (left.size() == kJobsPerTransaction) break;
    if (listed.contains(id)) continue;
    SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(id));
    if (!job.cancel_requested && !IsWantedBeside(sweep, job)) left.push_back(id);
  }
  return left;
}

// A sweep's checkpoints are not dropped for another one that wants the job, too.
absl::Status CheckOwn(const JobSelection& selection, const Job& job) {
  if (selection.sweep.empty() || !IsWantedBeside(selection.sweep, job)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("job ", job.id, ": another sweep wants it, too, and its checkpoints; retry it by its id"));
}

// Takes the job back to `step`: what it had saved and measured after it goes, so that nothing of a training that was
// thrown away is taken for one of the next.
absl::Status ForgetAfter(store::Transaction& rows, int64_t step, Job* job, Now now) {
  constexpr int kAllPoints = std::numeric_limits<int>::max();
  SINK_RETURN_IF_ERROR(KeepUpTo(rows, *job, step));
  SINK_ASSIGN_OR_RETURN(const store::Thinned left, rows.ThinMetrics(job->id, kAllPoints, step));
  // Also where no point goes: those of a job that has measured too much had ended before the step.
  if (left.points_after < left.points_before || step < job->progress.step)
    job->progress.latest = LatestValues::FromMap(left.newest);
  job->progress.numbers = left.points_after;
  for (const int64_t cells : left.map_cells) job->progress.numbers += NumbersOfMap(cells);
  GoBack(job, step);
  LogLine line;
  line.time_ms = now.unix_ms;
  line.attempt = job->attempt;
  line.level = "info";
  line.text = absl::StrCat("to be trained again from step ", step, ": what was saved and measured after it is gone (",
                           Counted(left.points_before - left.points_after, "point"), ")");
  return rows.AppendLogs(job->id, {line});
}

// Whether early stopping stopped it, which is what this sweep asked for: it goes on when it is named itself.
absl::StatusOr<bool> IsStoppedFor(store::Snapshot& rows, const JobSelection& selection, const Job& job) {
  if (selection.sweep.empty() || job.stop_message.empty()) return false;
  SINK_ASSIGN_OR_RETURN(const std::vector<RungResult> rungs, rows.ListRungsOf(job.id));
  return std::any_of(rungs.begin(), rungs.end(),
                     [&](const RungResult& rung) { return rung.stopped && rung.sweep == selection.sweep; });
}

// Whether a retry of the job from the step would be refused. Asked of all of them before any is changed, because they
// are changed in transactions of their own, and what one of them has lost by then does not come back.
absl::Status CheckRetryFrom(store::Snapshot& rows, const JobSelection& selection, const std::string& id, int64_t step) {
  SINK_ASSIGN_OR_RETURN(const Job job, rows.GetJob(id));
  if (job.state != JobState::kFailed && job.state != JobState::kCancelled) return absl::OkStatus();
  SINK_ASSIGN_OR_RETURN(const bool stays, IsStoppedFor(rows, selection, job));
  if (stays) return absl::OkStatus();
  SINK_RETURN_IF_ERROR(CheckOwn(selection, job));
  return CheckCanKeepUpTo(rows, job, step);
}

// One job of a retry: whether it runs again.
absl::StatusOr<bool> RetryJob(store::Transaction& rows, const JobSelection& selection, const std::string& id, Now now,
                              std::optional<int64_t> from_step) {
  SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(id));
  SINK_ASSIGN_OR_RETURN(const bool stays, IsStoppedFor(rows, selection, job));
  if (stays) return false;
  if (!from_step && IsLive(job.state)) job.stop_message.clear();
  const std::string& wanted_by = selection.sweep.empty() ? job.home_sweep : selection.sweep;
  SINK_RETURN_IF_ERROR(rows.SetWithdrawn(wanted_by, id, false));
  if (!from_step && TakeBackCancel(&job)) {
    SINK_RETURN_IF_ERROR(BeginSweepGeneration(rows, wanted_by));
    SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
    return true;
  }
  if (job.state != JobState::kFailed && job.state != JobState::kCancelled) return false;
  SINK_RETURN_IF_ERROR(BeginSweepGeneration(rows, wanted_by));
  if (from_step) {
    SINK_RETURN_IF_ERROR(CheckOwn(selection, job));
    SINK_RETURN_IF_ERROR(ForgetAfter(rows, *from_step, &job, now));
  }
  BeginGeneration(&job, now);
  SINK_RETURN_IF_ERROR(FreeOfData(rows, &job));
  SINK_RETURN_IF_ERROR(rows.UpdateJob(job));
  return true;
}

// Calls `body` for runs of `most` ids.
template <typename Body>
absl::Status InChunks(const std::vector<std::string>& ids, size_t most, Body body) {
  for (size_t begin = 0; begin < ids.size(); begin += most) {
    const size_t end = std::min(ids.size(), begin + most);
    SINK_RETURN_IF_ERROR(body(std::vector<std::string>(ids.begin() + begin, ids.begin() + end)));
  }
  return absl::OkStatus();
}

// Answers that are numbers are remembered as their digits.
std::string EncodeNumbers(std::initializer_list<int> numbers) { return absl::StrJoin(numbers, " "); }

// Adds those of `text` to `numbers`.
absl::Status AddNumbers(const std::string& text, std::initializer_list<int*> numbers) {
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  bool right = words.size() == numbers.size();
  for (size_t i = 0; right && i < words.size(); ++i) {
    int number = 0;
    right = absl::SimpleAtoi(words[i], &number);
    *numbers.begin()[i] += number;
  }
  return right ? absl::OkStatus() : absl::InternalError("a remembered answer is damaged");
}

}  // namespace

absl::StatusOr<SubmitResult> ClientCalls::Submit(const SubmitRequest& request, Now now) {
  SubmitResult result;
  if (request.dry_run) {
    SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
      SINK_RETURN_IF_ERROR(CheckSameStudy(rows, request));
      SINK_ASSIGN_OR_RETURN(result, Plan(rows, request));
      return absl::OkStatus();
    }));
    SINK_RETURN_IF_ERROR(TellAvailability(context_, queries_, request, now, &result));
    return result;
  }
  SINK_RETURN_IF_ERROR(context_->WriteLarge([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const auto before, FirstAnswer(rows, {request.request_id, request.body_hash}));
    if (before) {
      SINK_RETURN_IF_ERROR(ReadStates(rows, request, &result));
      return DecodeResult(*before, request.jobs.size(), &result);
    }
    SINK_RETURN_IF_ERROR(CheckSameStudy(rows, request));
    SINK_ASSIGN_OR_RETURN(result, Plan(rows, request));
    return StoreSubmission(rows, request, result, now);
  }));
  SINK_RETURN_IF_ERROR(TellAvailability(context_, queries_, request, now, &result));
  return result;
}

absl::StatusOr<CancelResult> ClientCalls::Cancel(const JobSelection& selection, Now now, const RequestName& request) {
  std::vector<std::string> ids;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(ids, Select(rows, selection));
    return absl::OkStatus();
  }));
  CancelResult result;
  // One transaction; `choose` names its jobs. Returns what it did, be it now or the first time.
  const auto cancel_part = [&](const RequestName& name, const auto& choose) -> absl::StatusOr<CancelResult> {
    CancelResult here;
    SINK_RETURN_IF_ERROR(context_->WriteLarge([&](store::Transaction& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(const auto before, FirstAnswer(rows, name));
      if (before) return AddNumbers(*before, {&here.cancelled, &here.requested, &here.kept});
      SINK_ASSIGN_OR_RETURN(const std::vector<std::string> chosen, choose(rows));
      for (const std::string& id : chosen) SINK_RETURN_IF_ERROR(CancelJob(rows, selection, id, now, &here));
      return RememberAnswer(rows, name, EncodeNumbers({here.cancelled, here.requested, here.kept}));
    }));
    result.cancelled += here.cancelled;
    result.requested += here.requested;
    result.kept += here.kept;
    return here;
  };
  int part = 0;
  SINK_RETURN_IF_ERROR(InChunks(ids, kJobsPerTransaction, [&](const std::vector<std::string>& chunk) {
    const auto all = [&chunk](store::Snapshot&) -> absl::StatusOr<std::vector<std::string>> { return chunk; };
    return cancel_part(PartOf(request, part++), all).status();
  }));
  if (selection.sweep.empty()) return result;
  // What was left becomes less with each part: each looks anew, and a repetition goes on where the first time stopped.
  const absl::flat_hash_set<std::string> listed(ids.begin(), ids.end());
  const auto left = [&](store::Snapshot& rows) { return LeftToEnd(rows, selection.sweep, listed); };
  for (part = kFirstPartOfLeft;; ++part) {
    SINK_ASSIGN_OR_RETURN(const CancelResult here, cancel_part(PartOf(request, part), left));
    if (here.cancelled + here.requested == 0) return result;
  }
}

absl::StatusOr<std::vector<std::string>> ClientCalls::Retry(const JobSelection& selection, Now now,
                                                            std::optional<int64_t> from_step,
                                                            const RequestName& request) {
  const size_t most = from_step ? kRewrittenPerTransaction : kJobsPerTransaction;
  std::vector<std::string> ids, retried;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(ids, Select(rows, selection));
    if (!from_step) return absl::OkStatus();
    int part = 0;
    return InChunks(ids, most, [&](const std::vector<std::string>& chunk) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(const auto before, FirstAnswer(rows, PartOf(request, part++)));
      if (before) return absl::OkStatus();  // a repetition: these were retried, and may have ended once more
      for (const std::string& id : chunk) SINK_RETURN_IF_ERROR(CheckRetryFrom(rows, selection, id, *from_step));
      return absl::OkStatus();
    });
  }));
  int part = 0;
  SINK_RETURN_IF_ERROR(InChunks(ids, most, [&](const std::vector<std::string>& chunk) {
    const RequestName name = PartOf(request, part++);
    return context_->WriteLarge([&](store::Transaction& rows) -> absl::Status {
      std::vector<std::string> here;
      SINK_ASSIGN_OR_RETURN(const auto before, FirstAnswer(rows, name));
      if (before) {
        here = absl::StrSplit(*before, ' ', absl::SkipEmpty());
      } else {
        for (const std::string& id : chunk) {
          SINK_ASSIGN_OR_RETURN(const bool runs, RetryJob(rows, selection, id, now, from_step));
          if (runs) here.push_back(id);
        }
        SINK_RETURN_IF_ERROR(RememberAnswer(rows, name, absl::StrJoin(here, " ")));
      }
      retried.insert(retried.end(), here.begin(), here.end());
      return absl::OkStatus();
    });
  }));
  return retried;
}

absl::StatusOr<std::optional<DeleteResult>> ClientCalls::DeletedBefore(const RequestName& request) {
  std::optional<DeleteResult> result;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const auto before, FirstAnswer(rows, request));
    if (!before) return absl::OkStatus();
    result.emplace();
    return AddNumbers(*before, {&result->deleted, &result->kept});
  }));
  return result;
}

absl::StatusOr<DeleteResult> ClientCalls::DeleteSweep(const std::string& sweep, Now now,
                                                      std::optional<int64_t> generation, const RequestName& request) {
  SINK_ASSIGN_OR_RETURN(const std::optional<DeleteResult> before, DeletedBefore(request));
  if (before) return *before;
  std::vector<std::string> ids;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const Sweep stored, rows.GetSweep(sweep));
    if (!generation) generation = stored.generation;
    SINK_RETURN_IF_ERROR(CheckGeneration(rows, sweep, *generation));
    SINK_ASSIGN_OR_RETURN(ids, JobsOfEveryVersion(rows, sweep));
    return CheckEnded(rows, sweep, ids);
  }));
  DeleteResult result;
  SINK_RETURN_IF_ERROR(InChunks(ids, kJobsPerTransaction, [&](const std::vector<std::string>& chunk) {
    return context_->WriteLarge([&](store::Transaction& rows) -> absl::Status {
      SINK_RETURN_IF_ERROR(CheckGeneration(rows, sweep, *generation));
      for (const std::string& id : chunk) SINK_RETURN_IF_ERROR(LeaveOrDelete(rows, sweep, id, now, &result));
      return absl::OkStatus();
    });
  }));
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(CheckGeneration(rows, sweep, *generation));
    SINK_RETURN_IF_ERROR(rows.DeleteSweep(sweep));
    return RememberAnswer(rows, request, EncodeNumbers({result.deleted, result.kept}));
  }));
  return result;
}

absl::StatusOr<int> ClientCalls::SetPriority(const std::string& sweep, int priority) {
  std::vector<std::string> ids;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(ids, Select(rows, {sweep, {}}));
    return absl::OkStatus();
  }));
  int changed = 0;
  SINK_RETURN_IF_ERROR(InChunks(ids, kJobsPerTransaction, [&](const std::vector<std::string>& chunk) {
    return context_->WriteLarge([&](store::Transaction& rows) -> absl::Status {
      for (const std::string& id : chunk) {
        absl::StatusOr<Job> job = rows.GetJob(id);
        if (absl::IsNotFound(job.status())) continue;  // somebody deletes the sweep
        if (!job.ok()) return job.status();
        if (IsFinal(job->state) || job->home_sweep != sweep || job->priority == priority) continue;
        job->priority = priority;
        SINK_RETURN_IF_ERROR(rows.UpdateJob(*job));
        ++changed;
      }
      return absl::OkStatus();
    });
  }));
  return changed;
}

absl::Status ClientCalls::HoldWorkers(const std::vector<std::string>& names, WorkerHold hold,
                                      const std::string& reason) {
  std::vector<std::string> ids;
  SINK_RETURN_IF_ERROR(context_->Write([&](store::Transaction& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(const std::vector<Worker> workers, rows.ListWorkers());
    for (const std::string& name : names) {
      const size_t before = ids.size();
      for (const Worker& worker : workers) {
        if (worker.name != name) continue;
        SINK_RETURN_IF_ERROR(rows.HoldWorker(worker.id, hold, reason));
        ids.push_back(worker.id);
      }
      if (ids.size() == before) return absl::NotFoundError(absl::StrCat("no worker ", name, "; see sinkctl workers"));
    }
    return absl::OkStatus();
  }));
  for (const std::string& id : ids) context_->health().Forget(id);
  return absl::OkStatus();
}

}  // namespace sink
