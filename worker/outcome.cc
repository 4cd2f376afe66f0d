// See outcome.h.
#include "worker/outcome.h"

#include <signal.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/pipe/other_rank.h"
#include "worker/valid_utf8.h"

namespace sink::worker {
namespace {

// Every rank was stopped for it, and it says more than what any of them says of itself.
bool IsOfWholeAttempt(StopReason reason) { return reason > StopReason::kRankLost; }

// The attempt ends for what is no fault of the job's, nor of this machine's.
bool GivesBack(StopReason reason) {
  return reason == StopReason::kLeaseLost || reason == StopReason::kHandBack || reason == StopReason::kDrain ||
         reason == StopReason::kKill;
}

constexpr size_t kMaxMessageBytes = 120 << 10;

v1::FailureClass OnTheWire(pipe::FailureClass failure_class) {
  switch (failure_class) {
    case pipe::FailureClass::kUser:
      return v1::USER;
    case pipe::FailureClass::kNan:
      return v1::NON_FINITE;
    case pipe::FailureClass::kOutOfMemory:
      return v1::OUT_OF_MEMORY;
    case pipe::FailureClass::kInfra:
      break;
  }
  return v1::INFRA;
}

v1::FailureClass ClassByExitCode(int code) {
  switch (code) {
    case pipe::kExitUser:
      return v1::USER;
    case pipe::kExitNan:
      return v1::NON_FINITE;
    case pipe::kExitOutOfMemory:
      return v1::OUT_OF_MEMORY;
    default:
      return v1::INFRA;
  }
}

Outcome JudgeExit(const TrainerReport& report) {
  std::string message = absl::StrCat("trainer ended: ", DescribeExit(report.exit));
  v1::FailureClass failure_class = ClassByExitCode(report.exit.code);
  if (report.exit.signal != 0) failure_class = v1::INFRA;
  if (report.exit.signal == SIGKILL && report.out_of_memory && !report.killed_here) {
    failure_class = v1::OUT_OF_MEMORY;
    message += " while the kernel was out of memory";
  } else if (report.exit.signal == 0 && report.exit.code == pipe::kExitFinished) {
    message += " without the event \"finished\"";
  } else if (report.exit.signal == 0 && report.exit.code == pipe::kExitStopped) {
    message += " (it was asked to stop, but not by this worker)";
  }
  if (!report.stderr_excerpt.empty()) absl::StrAppend(&message, "\nstderr:\n", report.stderr_excerpt);
  return Failure(failure_class, message);
}

// A stop for want of progress, with what is known of where the trainer was.
Outcome WithPlace(Outcome outcome, const TrainerReport& report) {
  if (report.threads.empty()) return outcome;
  absl::StrAppend(&outcome.message, "\n", report.threads);
  if (!report.stderr_excerpt.empty()) absl::StrAppend(&outcome.message, "stderr:\n", report.stderr_excerpt);
  return Failure(outcome.failure_class, outcome.message);
}

// What JudgeTrainer says but for a trainer that does not die.
Outcome JudgeEnd(const TrainerReport& report) {
  if (report.finished && report.exit.signal == 0 && report.exit.code == pipe::kExitFinished) {
    return {v1::SUCCEEDED, v1::FAILURE_CLASS_NONE, ""};
  }
  if (IsOfWholeAttempt(report.reason)) return JudgeStop(report.reason);
  if (report.noticed != StopReason::kNone) return WithPlace(JudgeStop(report.noticed, report.limit), report);
  if (report.failed) return Failure(OnTheWire(report.failed->failure_class), report.failed->message);
  if (!report.trainer_gone) return JudgeStop(report.reason);  // it has no exit to judge
  return JudgeExit(report);
}

// Whether a rank failed by itself, perhaps because another had, because another had as it says (its collectives fail
// then), or was stopped.
enum class Cause { kOwn, kPerhapsAnother, kAnother, kStopped };

Cause CauseOf(const TrainerReport& report) {
  const bool other_class = !GivesBack(report.reason) && JudgeTrainer(report).failure_class != v1::INFRA;
  if (report.noticed != StopReason::kNone || other_class) return Cause::kOwn;
  const bool asked = report.reason != StopReason::kNone;
  if (report.killed_here || (asked && report.exit.signal == SIGTERM)) return Cause::kStopped;
  if (report.exit.signal != 0) return Cause::kOwn;
  if (report.failed && pipe::IsOfAnotherRank(report.failed->message)) return Cause::kAnother;
  return report.exit.code == pipe::kExitStopped ? Cause::kStopped : Cause::kPerhapsAnother;
}

// It obeyed a stop that this worker did not ask for. The ranks of a job stop together, so another worker was asked.
bool StoppedElsewhere(const RankReport& rank) {
  const TrainerReport& report = rank.trainer;
  const bool of_several = !rank.prefix.empty();
  return of_several && !report.failed && !IsOfWholeAttempt(report.reason) && report.noticed == StopReason::kNone &&
         report.exit.signal == 0 && report.exit.code == pipe::kExitStopped;
}

}  // namespace

Outcome Failure(v1::FailureClass failure_class, std::string message) {
  // The coordinator takes 128 KiB; replacing bad bytes may have made the text longer.
  message = ValidUtf8(message);
  if (message.size() > kMaxMessageBytes) message = ValidUtf8(std::string_view(message).substr(0, kMaxMessageBytes));
  return {v1::FAILED, failure_class, message};
}

Outcome JudgeStop(StopReason reason, absl::Duration limit) {
  const std::string passed = absl::FormatDuration(limit);
  switch (reason) {
    case StopReason::kCancel:
      return {v1::CANCELLED, v1::FAILURE_CLASS_NONE, "cancelled"};
    // The job is given back.
    case StopReason::kLeaseLost:  // had it been this worker alone, the lease would have expired at the coordinator
      return {v1::CANCELLED, v1::FAILURE_CLASS_NONE, "no contact with the coordinator for the length of a lease"};
    case StopReason::kHandBack:
      return {v1::CANCELLED, v1::FAILURE_CLASS_NONE, "its worker was drained"};
    case StopReason::kDrain:
    case StopReason::kKill:
      return {v1::CANCELLED, v1::FAILURE_CLASS_NONE, "worker stopped"};
    case StopReason::kRefused:
      return Failure(v1::INFRA, "the trainer's events could not be delivered");
    case StopReason::kHang:
      return Failure(v1::INFRA, absl::StrCat("no progress: the trainer sent no event for ", passed));
    case StopReason::kStall:
      return Failure(v1::INFRA,
                     absl::StrCat("stalled: no training step for ", passed, ", the sweep's stall.no_step_for"));
    case StopReason::kIdle:
      return Failure(v1::INFRA, absl::StrCat("stalled: no step, value or checkpoint for ", passed,
                                             ", the worker's --stall-timeout"));
    case StopReason::kPipeClosed:
      return Failure(v1::INFRA, "the trainer closed its event pipe and went on running");
    case StopReason::kRankLost:
      return Failure(v1::INFRA, "another rank of the job failed");
    case StopReason::kNone:
    case StopReason::kStale:
      break;  // a stale attempt's outcome is never sent
  }
  return Failure(v1::INFRA, "stopped");
}

Outcome JudgeTrainer(const TrainerReport& report) {
  Outcome outcome = JudgeEnd(report);
  if (report.trainer_gone || outcome.state != v1::FAILED) return outcome;
  return Failure(outcome.failure_class, absl::StrCat(DescribeUndead(report.pid), "; ", outcome.message));
}

Outcome JudgeRanks(const std::vector<RankReport>& ranks) {
  const RankReport* first = nullptr;
  auto key = [](const RankReport& rank) { return std::pair(CauseOf(rank.trainer), rank.trainer.ended_at); };
  for (const RankReport& rank : ranks) {
    if (JudgeTrainer(rank.trainer).state == v1::SUCCEEDED) continue;
    if (first == nullptr || key(rank) < key(*first)) first = &rank;
  }
  if (first == nullptr) return {v1::SUCCEEDED, v1::FAILURE_CLASS_NONE, ""};
  if (StoppedElsewhere(*first)) {
    return {v1::CANCELLED, v1::FAILURE_CLASS_NONE, absl::StrCat(first->prefix, "another worker of the job stopped it")};
  }
  Outcome outcome = JudgeTrainer(first->trainer);
  if (!IsOfWholeAttempt(first->trainer.reason)) outcome.message.insert(0, first->prefix);
  return outcome;
}

std::string EncodeOutcome(const Outcome& outcome) {
  return nlohmann::json{{"state", v1::JobState_Name(outcome.state)},
                        {"class", v1::FailureClass_Name(outcome.failure_class)},
                        {"message", outcome.message},
                        {"undelivered", outcome.undelivered},
                        {"last_seq", outcome.last_seq}}
      .dump();
}

absl::StatusOr<Outcome> DecodeOutcome(const std::string& json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const absl::Status damaged = absl::DataLossError("damaged outcome file");
  if (!parsed.is_object()) return damaged;
  Outcome outcome;
  for (const char* key : {"state", "class", "message"}) {
    if (!parsed.contains(key) || !parsed[key].is_string()) return damaged;
  }
  if (!v1::JobState_Parse(parsed["state"].get<std::string>(), &outcome.state) ||
      !v1::FailureClass_Parse(parsed["class"].get<std::string>(), &outcome.failure_class)) {
    return damaged;
  }
  outcome.message = parsed["message"].get<std::string>();
  // An older daemon says nothing of these.
  const auto undelivered = parsed.find("undelivered"), last_seq = parsed.find("last_seq");
  if (undelivered != parsed.end() && undelivered->is_string()) outcome.undelivered = undelivered->get<std::string>();
  if (last_seq != parsed.end() && last_seq->is_number_unsigned()) outcome.last_seq = last_seq->get<uint64_t>();
  return outcome;
}

}  // namespace sink::worker
