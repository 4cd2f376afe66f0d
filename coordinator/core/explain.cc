// Why a job is where it is: what JobQueries::Explain says. Reads what the rules read, and tells it in sentences.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "coordinator/core/holds.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/core/schedule.h"
#include "coordinator/core/undelivered.h"
#include "coordinator/job/left_to_others.h"
#include "coordinator/job/status_macros.h"
#include "proto/base/counted.h"

namespace sink {
namespace {

std::string Seconds(int64_t ms) { return absl::FormatDuration(absl::Seconds(ms / 1000)); }

// "data set regmix", "model gpt2", "file texts.jsonl", "model gpt2 and its file texts.jsonl".
std::string NameOfNeed(const Needs& needs) {
  if (!needs.set.empty()) return absl::StrCat("data set ", needs.set);
  if (needs.model.empty()) return absl::StrCat("file ", needs.file);
  return absl::StrCat("model ", needs.model, needs.file.empty() ? "" : absl::StrCat(" and its file ", needs.file));
}

// Where a worker looks for that.
std::string PlaceOfNeed(const Needs& needs) {
  if (needs.model.empty()) return "--data-root";
  return needs.file.empty() ? "--models" : "--models and its --data-root";
}

// What of that none of these workers can have: a model or its file alone, where it is that.
Needs LackingOf(const Needs& needs, const std::vector<std::string>& worker_ids, Inventory& inventory) {
  for (const Needs& part : {Needs{.model = needs.model, .texts = needs.texts}, Needs{.file = needs.file}}) {
    const std::vector<bool> having = inventory.Having(part, worker_ids);
    if (std::find(having.begin(), having.end(), true) == having.end()) return part;
  }
  return needs;
}

// A sentence for each connected worker that is given no new jobs.
std::vector<std::string> HeldWorkers(const Needs& needs, const std::vector<Worker>& connected, Inventory& inventory) {
  std::vector<std::string> sentences;
  for (const Worker& worker : connected) {
    if (worker.hold == WorkerHold::kNone) continue;
    std::string& said = sentences.emplace_back();
    absl::StrAppend(&said, "worker ", worker.name, " is ", std::string(NameOf(worker.hold)),
                    worker.hold_reason.empty() ? "" : ": ", worker.hold_reason, "; ");
    if (inventory.Has(needs, worker.id)) {
      absl::StrAppend(&said, "sinkctl uncordon ", worker.name, " lets it go on");
      continue;
    }
    const std::string content =
        needs.content.empty() ? "" : absl::StrCat(" with the content ", ShortContent(needs.content));
    absl::StrAppend(&said, "it has no ", NameOfNeed(LackingOf(needs, {worker.id}, inventory)), content,
                    ", without which sinkctl uncordon ", worker.name, " would not help this job");
  }
  return sentences;
}

// A sentence for each connected worker that is given no new jobs because too much has still to be taken from it.
std::vector<std::string> WorkersBehind(const std::vector<Worker>& connected, const Undelivered& undelivered) {
  std::vector<std::string> sentences;
  for (const Worker& worker : connected) {
    if (!undelivered.IsBehind(worker)) continue;
    sentences.push_back(absl::StrCat("worker ", worker.name, " has ", Counted(undelivered.Of(worker), "job"),
                                     " whose results still have to be taken, and gets no more until at most ",
                                     Undelivered::Most(worker), " are left"));
  }
  return sentences;
}

// A sentence for each of these connected workers that has no job and yet offers less than it has.
std::vector<std::string> WorkersWithOccupiedDevices(const std::vector<Worker>& workers) {
  std::vector<std::string> sentences;
  for (const Worker& worker : workers) {
    if (worker.devices_free >= worker.devices || !worker.job_ids.empty()) continue;
    sentences.push_back(
        absl::StrCat("worker ", worker.name, " has no job and keeps ", worker.devices - worker.devices_free, " of its ",
                     Counted(worker.devices, "device"),
                     " out of use: processes of an earlier attempt have not ended, which its log names"));
  }
  return sentences;
}

// Whether the worker has said that it has that: of one that has said nothing nobody knows.
bool HasSaidToHave(const Needs& needs, const std::string& worker_id, Inventory& inventory) {
  const Holdings said = inventory.Of(worker_id);
  return (needs.set.empty() || said.sets) && (needs.file.empty() || said.files) && said.Cover(needs);
}

// What the workers have of that set or model that is not what the job needs, or not at hand, in parentheses; empty:
// nothing.
std::string OtherCopies(const Needs& needs, const std::vector<Worker>& workers, Inventory& inventory) {
  std::vector<std::string> others;
  const auto add_incomplete = [&](const Worker& worker, const IncompleteCopy& copy) {
    others.push_back(absl::StrCat("the copy of ", worker.name, " ", WhyUnused(copy.gap, copy.use)));
  };
  for (const Worker& worker : workers) {
    if (worker.state != WorkerState::kConnected) {
      if (HasSaidToHave(needs, worker.id, inventory))
        others.push_back(absl::StrCat(worker.name, " has it but ",
                                      worker.state == WorkerState::kStopped ? "was stopped" : "is not connected"));
      continue;
    }
    for (const DataSet& set : worker.sets) {
      if (set.name == needs.set && !needs.content.empty() && set.content != needs.content)
        others.push_back(absl::StrCat(worker.name, " has ", ShortContent(set.content)));
    }
    for (const IncompleteCopy& set : worker.incomplete_sets)
      if (set.name == needs.set) add_incomplete(worker, set);
    for (const IncompleteCopy& model : worker.incomplete_models)
      if (!needs.model.empty() && StandsFor(model.name, needs.model)) add_incomplete(worker, model);
  }
  return others.empty() ? "" : absl::StrCat(" (", absl::StrJoin(others, ", "), ")");
}

// Why nobody can have what the job needs. `other`: than those that are given no new jobs.
std::string WhyNobody(const Needs& needs, const std::string& copies, bool other) {
  const std::string nobody = other ? "no other connected worker has" : "no connected worker has";
  if (needs.content.empty())
    return absl::StrCat(nobody, " its ", NameOfNeed(needs), copies, ": it waits until one has it under its ",
                        PlaceOfNeed(needs));
  return absl::StrCat("it goes on from a checkpoint and needs its data set ", needs.set, " with the content ",
                      ShortContent(needs.content), ", which ", nobody, copies,
                      ": it waits for one; to train on other data, cancel it and sinkctl retry --from-step 0");
}

// The connected workers of a moment.
struct Connected {
  std::vector<Worker> all;
  std::vector<Worker> unheld;  // that nobody keeps from new jobs
  std::vector<Worker> open;    // of these, those that are given new jobs now
  int held() const { return static_cast<int>(all.size() - open.size()); }
};

Connected ConnectedOf(const std::vector<Worker>& workers, const Undelivered& undelivered) {
  Connected connected;
  for (const Worker& worker : workers) {
    if (worker.state != WorkerState::kConnected) continue;
    connected.all.push_back(worker);
    if (worker.hold != WorkerHold::kNone) continue;
    connected.unheld.push_back(worker);
    if (!undelivered.IsBehind(worker)) connected.open.push_back(worker);
  }
  return connected;
}

std::vector<std::string> IdsOf(const std::vector<Worker>& workers) {
  std::vector<std::string> ids;
  for (const Worker& worker : workers) ids.push_back(worker.id);
  return ids;
}

// Those of the workers that can have it.
std::vector<Worker> Able(const Needs& needs, const std::vector<Worker>& workers, Inventory& inventory) {
  const std::vector<bool> having = inventory.Having(needs, IdsOf(workers));
  std::vector<Worker> able;
  for (size_t i = 0; i < workers.size(); ++i)
    if (having[i]) able.push_back(workers[i]);
  return able;
}

// Leaves of `candidates`, the connected workers that are given new jobs, those that can run the job, where any can.
// Returns what its model or data has to do with that; empty: nothing.
std::string KeepAble(const Needs& needs, const std::vector<Worker>& workers, const Connected& connected,
                     Inventory& inventory, std::vector<Worker>* candidates) {
  if ((needs.model.empty() && needs.set.empty()) || connected.all.empty()) return "";
  const auto nobody_of = [&](const std::vector<Worker>& these, bool other) {
    const Needs lacking = LackingOf(needs, IdsOf(these), inventory);
    return WhyNobody(lacking, OtherCopies(lacking, workers, inventory), other);
  };
  if (Able(needs, connected.all, inventory).empty()) return nobody_of(connected.all, /*other=*/false);
  if (candidates->empty()) return "";
  std::vector<Worker> able = Able(needs, *candidates, inventory);
  if (able.empty()) return nobody_of(*candidates, /*other=*/true);
  if (able.size() == candidates->size()) return "";
  *candidates = std::move(able);
  const auto name = [](std::string* out, const Worker& worker) { *out += worker.name; };
  return absl::StrCat("of the connected workers", connected.held() > 0 ? " that take jobs" : "", ", only ",
                      absl::StrJoin(*candidates, ", ", name), " can have its ", NameOfNeed(needs),
                      needs.content.empty() ? "" : " as its checkpoint found it");
}

// How many jobs may start before this one: of those that go before it, not the ones that need what no connected worker
// has, nor those of other sweeps that wait for jobs of their own (holds.h). They hold nobody up. Those that are given
// no new jobs count where there are no others; where no worker is connected, one that comes may have anything.
absl::StatusOr<int> CountBefore(store::Snapshot& rows, const Job& job, Inventory& inventory,
                                const Connected& connected) {
  const std::vector<std::string> ids = IdsOf(connected.open.empty() ? connected.all : connected.open);
  SINK_ASSIGN_OR_RETURN(const std::vector<store::QueueHead> queues, rows.QueueHeads());
  std::map<std::string, bool> held;  // by sweep
  int before = 0;
  for (const store::QueueHead& queue : queues) {
    SINK_ASSIGN_OR_RETURN(const int ahead, rows.CountAhead(job.id, queue));
    if (ahead == 0) continue;
    const std::vector<bool> having = inventory.Having(NeedsOf(queue), ids);
    if (!ids.empty() && std::find(having.begin(), having.end(), true) == having.end()) continue;
    if (queue.sweep != job.home_sweep && !held.contains(queue.sweep)) {
      SINK_ASSIGN_OR_RETURN(const Sweep sweep, rows.GetSweep(queue.sweep));
      SINK_ASSIGN_OR_RETURN(const std::string why, WhyHeld(rows, sweep));
      held[queue.sweep] = !why.empty();
    }
    if (!held[queue.sweep]) before += ahead;
  }
  return before;
}

// Where the job is not started now, because it has just failed there and the others of these workers, all able, are
// enough for it.
std::string WhereItFailed(const Job& job, const std::vector<Worker>& workers, WorkerHealth& health, Now now) {
  std::vector<std::string> names;
  std::vector<const Worker*> others;
  int64_t longest_ms = 0;
  for (const Worker& worker : workers) {
    const int64_t avoided_ms = health.AvoidedMs(job.id, worker.id, now.steady_ms);
    longest_ms = std::max(longest_ms, avoided_ms);
    if (avoided_ms > 0)
      names.push_back(worker.name);
    else
      others.push_back(&worker);
  }
  if (names.empty() || !CouldHold(others, job)) return "";
  return absl::StrCat("it has just failed on ", absl::StrJoin(names, ", "), ": for up to ", longest_ms / 60'000 + 1,
                      " min it starts elsewhere, unless: sinkctl uncordon ", absl::StrJoin(names, " "));
}

// Of the newest attempt of a job that waits for another.
std::string HowItEnded(const JobDetails& details) {
  std::string said = absl::StrCat("attempt ", details.job.attempt, " ended");
  const bool retried = !details.attempts.empty() && details.attempts.back().generation < details.job.generation;
  const std::string& why = retried ? details.attempts.back().message : details.job.message;
  if (!why.empty()) absl::StrAppend(&said, ": ", why);
  if (retried) absl::StrAppend(&said, "; a person has retried the job");
  return said;
}

// What keeps the job from these of the connected workers; empty: nothing.
std::string WhatWorkersOffer(const std::vector<Worker>& workers, const Connected& connected, const Job& job) {
  const int group = job.group(), groups = job.devices / group, held = connected.held();
  int largest = 0, most_free = 0, room = 0, room_now = 0;
  for (const Worker& worker : workers) {
    largest = std::max(largest, worker.devices);
    most_free = std::max(most_free, worker.devices_free);
    room += worker.devices / group;
    room_now += worker.devices_free / group;
  }
  if (connected.all.empty()) return "no worker is connected; start sink-worker on a machine";
  const std::string are_held = Counted(held, "is", "are");
  if (workers.empty()) return absl::StrCat("no worker that may take jobs is connected (", are_held, " held)");
  if (largest < group) {
    return absl::StrCat("it needs ", Counted(group, "device"), " on one worker, and the largest connected one",
                        held > 0 ? " that takes jobs" : "", " has ", largest);
  }
  const std::string needs =
      absl::StrCat("it needs ", groups, " groups of ", Counted(group, "device"), ", each on one worker");
  if (room < groups)
    return absl::StrCat(needs, ", and the connected workers", held > 0 ? " that take jobs" : "", " have room for ",
                        room);
  if (room_now < groups && groups > 1) {
    return absl::StrCat(needs, "; ", room_now, room_now == 1 ? " is" : " are",
                        " free now, and only jobs that will have ended before it can start may use them");
  }
  if (most_free < group) {
    return absl::StrCat("it needs ", Counted(group, "free device"), " on one worker; ",
                        most_free == 0 ? "none is free" : absl::StrCat("the most that one has free is ", most_free),
                        " (", Counted(static_cast<int>(connected.all.size()), "worker is", "workers are"), " connected",
                        held > 0 ? absl::StrCat(", ", are_held, " held") : "", ")");
  }
  return "";
}

struct Silence {
  std::string worker;
  int64_t ms = 0;
};

// Of the worker that was heard of least recently, among those that the live job needs: the leader and the members whose
// ranks have not ended well.
Silence LongestSilence(const Job& job, const std::vector<GangMember>& members, LeaseClock& clock, Now now) {
  const auto silent_ms = [&](const Holder& holder) {
    return now.steady_ms - clock.Lease(holder.fence, now.steady_ms).heard;
  };
  Silence longest = {job.worker, silent_ms(job.holder)};
  for (const GangMember& member : members) {
    if (member.ended && member.failure_class == FailureClass::kNone) continue;
    if (const int64_t ms = silent_ms(member.holder); ms > longest.ms) longest = {member.worker, ms};
  }
  return longest;
}

// Who has the live job, when the one that says least was heard of, and what comes of its silence.
std::vector<std::string> WhoHasIt(const Job& job, const std::vector<GangMember>& members, CoreContext* context,
                                  Now now) {
  const Silence silence = LongestSilence(job, members, context->clock(), now);
  const bool alone = members.empty();
  const auto name = [](std::string* out, const GangMember& member) { *out += member.worker; };
  std::vector<std::string> sentences;
  std::string& who = sentences.emplace_back();
  absl::StrAppend(&who, "worker ", job.worker, alone ? "" : " with ", absl::StrJoin(members, ", ", name),
                  " has it (attempt ", job.attempt, "), ");
  if (silence.ms < 1000)
    absl::StrAppend(&who, "heard from a moment ago");
  else if (alone)
    absl::StrAppend(&who, "heard from ", Seconds(silence.ms), " ago");
  else
    absl::StrAppend(&who, "least recently heard from ", silence.worker, ", ", Seconds(silence.ms), " ago");
  // Only its leader's silence makes a job DISCONNECTED.
  if (job.state == JobState::kDisconnected || (!alone && silence.ms > 2 * context->options().heartbeat_interval_ms)) {
    const std::string goes_on = alone ? " more it goes to another" : " more the job goes to others";
    sentences.push_back(absl::StrCat(alone ? "the worker" : absl::StrCat("worker ", silence.worker), " is late; after ",
                                     Seconds(context->options().lease_duration_ms - silence.ms),
                                     job.cancel_requested ? " more the job ends without it" : goes_on));
  }
  return sentences;
}

}  // namespace

absl::StatusOr<Explanation> JobQueries::Explain(std::string_view name, Now now) {
  SINK_ASSIGN_OR_RETURN(const JobDetails details, GetJob(name));
  SINK_ASSIGN_OR_RETURN(const std::vector<Worker> workers, ListWorkers(now));
  Explanation answer;
  answer.job = details.job;
  answer.gang = details.gang;
  const Job& job = answer.job;
  std::vector<std::string>& reasons = answer.reasons;
  SINK_RETURN_IF_ERROR(context_->Read([&](store::Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(answer.rungs, rows.ListRungsOf(job.id));
    if (job.state == JobState::kQueued) {
      if (!context_->has_room())
        reasons.push_back("the coordinator's disk is full: nothing is started until there is room");
      if (context_->checkpoints_away() && !details.checkpoints.empty())
        reasons.push_back(
            "it goes on from a checkpoint, and the coordinator's checkpoints are away: it waits for them");
      SINK_ASSIGN_OR_RETURN(const Sweep sweep, rows.GetSweep(job.home_sweep));
      SINK_ASSIGN_OR_RETURN(const std::string held, WhyHeld(rows, sweep));
      if (!held.empty()) reasons.push_back(held);
      if (job.delayed) reasons.push_back("it waits a while before it is tried again, because its last attempt failed");
      Inventory& inventory = context_->inventory();
      const Needs needs = NeedsOf(job);
      SINK_ASSIGN_OR_RETURN(const std::vector<Job> live, rows.LiveJobs());
      const Undelivered undelivered(live);
      const Connected connected = ConnectedOf(workers, undelivered);
      for (const std::string& held : HeldWorkers(needs, connected.all, inventory)) reasons.push_back(held);
      for (const std::string& behind : WorkersBehind(connected.all, undelivered)) reasons.push_back(behind);
      SINK_ASSIGN_OR_RETURN(const int before, CountBefore(rows, job, inventory, connected));
      std::vector<Worker> candidates = connected.open;
      const std::string lacking = KeepAble(needs, workers, connected, inventory, &candidates);
      if (!lacking.empty()) reasons.push_back(lacking);
      // It waits for a worker that is behind as for one that is busy.
      const std::vector<Worker> others = Able(needs, connected.unheld, inventory);
      const std::string failed = WhereItFailed(job, others, context_->health(), now);
      if (!failed.empty()) reasons.push_back(failed);
      const std::string offer = WhatWorkersOffer(candidates, connected, job);
      if (!offer.empty()) {
        reasons.push_back(offer);
        for (const std::string& occupied : WorkersWithOccupiedDevices(candidates)) reasons.push_back(occupied);
      }
      if (before > 0)
        reasons.push_back(absl::StrCat(Counted(before, "queued job goes", "queued jobs go"), " before it"));
      if (reasons.empty())
        reasons.push_back("nothing holds it back: it starts as soon as a worker asks for work, within seconds");
      if (job.attempt > 0) {
        reasons.push_back(absl::StrCat(HowItEnded(details), "; it will go on from ",
                                       details.checkpoints.empty()
                                           ? std::string("step 0")
                                           : absl::StrCat("step ", details.checkpoints.front().step)));
      }
    } else if (IsLive(job.state)) {
      SINK_ASSIGN_OR_RETURN(const std::vector<GangMember> members, rows.MembersOf(job.id));
      for (const std::string& said : WhoHasIt(job, members, context_, now)) reasons.push_back(said);
      if (job.cancel_requested) {
        reasons.push_back(job.timed_out              ? "it ran longer than max_time and is being stopped"
                          : job.stop_message.empty() ? "somebody cancelled it; it is being stopped"
                                                     : job.stop_message);
      }
    } else if (job.state == JobState::kSucceeded) {
      reasons.push_back(absl::StrCat("it finished its ", job.progress.max_steps, " steps on ", job.worker));
    } else {
      reasons.push_back(job.message);
      const int failures = job.failures.infra + job.failures.out_of_memory + job.failures.nan + job.failures.user;
      if (job.state == JobState::kFailed && failures > 0)
        reasons.push_back(absl::StrCat("it had been tried again ", Counted(failures, "time")));
      reasons.push_back("sinkctl retry starts it again, from its newest checkpoint where it has one");
    }
    if (!IsFinal(job.state) && !IsWantedBeside("", job) && !job.cancel_requested)
      reasons.push_back(absl::StrCat("no sweep wants it any more: ", job.home_sweep, " was submitted without it and ",
                                     "left it to run; sinkctl cancel ", job.home_sweep, " ends it"));
    return absl::OkStatus();
  }));
  return answer;
}

}  // namespace sink
