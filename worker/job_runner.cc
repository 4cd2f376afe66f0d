// See job_runner.h.
#include "worker/job_runner.h"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <variant>

#include "absl/strings/str_cat.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/log/log.h"
#include "proto/base/counted.h"
#include "proto/config/job_config.h"
#include "proto/pipe/other_rank.h"
#include "worker/model_folder.h"
#include "worker/process_tree.h"
#include "worker/protocol/lease_term.h"
#include "worker/resume.h"
#include "worker/set_list.h"
#include "worker/timing.h"
#include "worker/valid_utf8.h"

namespace sink::worker {
namespace {

constexpr size_t kShownDigits = 8;  // of a set's content

// Of a line for the job's log: with a prefix, and every byte escaped, it is still one that the coordinator takes.
constexpr size_t kMaxLogBytes = pipe::kMaxLineBytes / 8;

// For the other workers of a gang to say why their ranks have failed: some milliseconds after the leader's saw it. What
// they say after the attempt's end counts no more.
constexpr absl::Duration kCausePatience = absl::Seconds(1);

v1::Grant GrantOf(const v1::LeaseRef& lease) {
  v1::Grant grant;
  *grant.mutable_lease() = lease;
  return grant;
}

// A leftover has no configuration any more: all that waits on disk is delivered then.
int64_t KeepPeriod(const v1::Grant& grant) {
  if (grant.config_json().empty()) return 1;
  const JobConfigResult parsed = ParseJobConfig(grant.config_json());
  return parsed.config ? parsed.config->checkpoint.keep_period : 0;
}

// What has ended well without all of its events or its last checkpoint has not, and what was stopped for them ends for
// them; what has ended otherwise says what it leaves behind.
Outcome WithLoss(Outcome outcome, const absl::Status& delivered) {
  if (delivered.ok() || absl::IsCancelled(delivered)) return outcome;
  const std::string told(delivered.message());
  if (outcome.state == v1::SUCCEEDED || outcome == JudgeStop(StopReason::kRefused)) return Failure(v1::INFRA, told);
  if (outcome.undelivered.empty()) outcome.undelivered = ValidUtf8(std::string_view(told).substr(0, kMaxLogBytes));
  return outcome;
}

// The step of the newest checkpoint that the coordinator has as this attempt begins, 0 for none; none where nobody
// knows, as of a leftover.
std::optional<int64_t> StoredStep(const v1::Grant& grant, bool leftover) {
  return leftover ? std::nullopt : std::optional<int64_t>(grant.resume_from().step());
}

}  // namespace

SupervisionLimits LimitsFor(const v1::Grant& grant, SupervisionLimits limits) {
  const JobConfigResult parsed = ParseJobConfig(grant.config_json());
  const bool trains = !parsed.config || parsed.config->kind == JobKind::kTrain;
  if (grant.stall_ms() > 0) limits.stall = absl::Milliseconds(grant.stall_ms());
  if (grant.stall_ms() > 0 || !trains) limits.idle = absl::InfiniteDuration();
  return limits;
}

JobRunner::JobRunner(const RunnerContext* context, v1::Grant grant, std::unique_ptr<DevicePool::Claim> claim)
    : context_(context),
      grant_(std::move(grant)),
      leftover_(false),
      folder_(RunFolder::ForNew(context->data, grant_.lease())),
      claim_(std::move(claim)),
      calls_(context->link, context->worker_id, grant_.lease(), &control_, context->on_unregistered),
      saved_step_(grant_.resume_from().step()) {}

JobRunner::JobRunner(const RunnerContext* context, const v1::LeaseRef& leftover)
    : context_(context),
      grant_(GrantOf(leftover)),
      leftover_(true),
      folder_(context->data, grant_.lease()),
      calls_(context->link, context->worker_id, grant_.lease(), &control_, context->on_unregistered),
      phase_(v1::FINALIZING),
      saved_step_(0) {}

JobRunner::~JobRunner() {
  if (thread_.joinable()) thread_.join();
}

void JobRunner::Start() {
  thread_ = std::thread([this] {
    Run();
    done_ = true;
  });
}

void JobRunner::RenewLease(absl::Duration sent_at, absl::Duration lease_duration) {
  const LeaseTerm term = TermOf(sent_at, lease_duration);
  lease_stop_ms_ = absl::ToInt64Milliseconds(term.stop_at);
  lease_grace_ms_ = absl::ToInt64Milliseconds(term.grace);
}

v1::HeldJob JobRunner::held() const {
  v1::HeldJob held;
  *held.mutable_lease() = lease();
  held.set_phase(phase_);
  return held;
}

void JobRunner::Run() {
  const LogScope scope(lease().job_id(), lease().lease_id());
  absl::Status opened = leftover_ ? absl::OkStatus() : folder_.Create(grant_.lease());
  if (opened.ok()) {
    auto spool = Spool::Open(folder_.spool(), context_->spool);
    opened = spool.status();
    if (spool.ok()) spool_ = *std::move(spool);
  }
  if (!opened.ok()) {
    claim_.reset();
    phase_ = v1::FINALIZING;
    Finish(Failure(v1::INFRA, absl::StrCat("the worker cannot use its folder: ", opened.message())), 0);
    return;
  }
  Outcome outcome;
  if (leftover_) {
    // The trainers died with their daemon; what they had started may not have.
    KillProcessesOfRun(folder_.marker(), 0, context_->limits.cleanup);
    CloseFolder();
    outcome = TakeUpOutcome();
  }
  sender_ = std::make_unique<EventSender>(&calls_, spool_.get());
  uploader_ = std::make_unique<Uploader>(&calls_, spool_.get(), folder_.upload(), KeepPeriod(grant_), Limits().grace,
                                         StoredStep(grant_, leftover_));
  if (!leftover_) {
    outcome = RunTrainers();
    phase_ = v1::FINALIZING;  // before the device is free: whoever is woken by that tells the coordinator
    CloseFolder();
    if (!left_.empty()) context_->occupied->Hold({lease(), folder_.marker(), std::move(left_)}, std::move(claim_));
    claim_.reset();
  }
  Deliver(std::move(outcome));
  // Without a reason to go on, the threads of these end by themselves.
  control_.AbandonDelivery();
  uploader_.reset();
  sender_.reset();
}

Outcome JobRunner::TakeUpOutcome() {
  Outcome outcome = folder_.LoadOutcome().value_or(Failure(v1::INFRA, "worker restarted"));
  const uint64_t needed = std::max(outcome.last_seq, Uploader::NewestSeq(folder_.upload()));
  return WithLoss(std::move(outcome), MendSpool(needed));
}

absl::Status JobRunner::MendSpool(uint64_t needed) {
  // Only then: of a gang's other workers, whose spools are empty and must be, the coordinator takes no report.
  if (needed <= spool_->last_seq()) return absl::OkStatus();
  uint64_t durable = 0;
  absl::Status status = calls_.Retry(control_.abandoned(), [&] {
    const auto response = calls_.link().Report(calls_.Fill<v1::ReportRequest>());  // of no event: it asks
    if (response.ok()) durable = response->durable_seq();
    return response.status();
  });
  if (status.ok()) status = spool_->GoOnAfter(durable);
  if (status.ok() && needed > spool_->last_seq()) status = absl::DataLossError(SpoolDamage(spool_->last_seq()));
  if (!status.ok() && !absl::IsCancelled(status))
    spdlog::warn("job {}: {}: {}", lease().job_id(), folder_.spool(), LogText(std::string(status.message())));
  return status;
}

void JobRunner::CloseFolder() const {
  if (context_->trainer_users.empty()) return;
  if (absl::Status closed = CloseRun(folder_); !closed.ok()) spdlog::warn("{}", closed.ToString());
}

const TrainerUser* JobRunner::User() const {
  const std::vector<TrainerUser>& users = context_->trainer_users;
  if (users.empty()) return nullptr;
  return &users[users.size() == 1 ? 0 : claim_->first()];
}

Outcome JobRunner::RunTrainers() {
  if (claim_ == nullptr) {
    return Failure(v1::INFRA, absl::StrCat("the worker does not have ", Counted(grant_.devices(), "device"), " free"));
  }
  const TrainerUser* const user = User();
  std::vector<std::string> environment = context_->environment;
  if (user != nullptr) environment.push_back(absl::StrCat("HOME=", user->home));
  const std::vector<Rank> ranks = PlanRanks(grant_, folder_, *claim_, environment);
  if (auto prepared = PrepareFolders(ranks); !prepared.ok()) {
    // A stop that came meanwhile explains it better than the call that it interrupted.
    if (control_.reason() != StopReason::kNone) return JudgeStop(control_.reason());
    const auto failure_class = absl::IsInvalidArgument(prepared) ? v1::USER : v1::INFRA;
    return Failure(failure_class, absl::StrCat("the attempt could not be prepared: ", prepared.message()));
  }
  if (control_.reason() != StopReason::kNone) return JudgeStop(control_.reason());
  RankHooks hooks;
  hooks.lease = lease();
  hooks.on_event = [this](const Rank& rank, std::string_view line, const pipe::Event& event) {
    OnEvent(rank, line, event);
  };
  hooks.on_log = [this](const Rank& rank, std::string_view level, std::string_view text) { Log(rank, level, text); };
  hooks.on_tick = [this](absl::Duration now) {
    if (absl::ToInt64Milliseconds(now) > lease_stop_ms_) control_.Request(StopReason::kLeaseLost);
  };
  const std::vector<RankReport> reports =
      RunRanks(ranks, context_->trainer, user, context_->groups.get(), Limits(), control_, hooks);
  for (const RankReport& report : reports) {
    const TrainerReport& trainer = report.trainer;
    if (!trainer.trainer_gone || !trainer.descendants_gone) left_.push_back({trainer.pid, trainer.trainer_gone});
  }
  if (leads()) TellKilled(ranks.front(), reports.front().trainer);
  Outcome outcome = JudgeRanks(reports);
  // What this machine lacks is not the job's fault: another may have it.
  if (const std::string lacking = LackingHere(); outcome.failure_class == v1::USER && !lacking.empty()) {
    return Failure(v1::INFRA, absl::StrCat("this worker has no ", lacking, "; the trainer said: ", outcome.message));
  }
  return outcome;
}

std::string JobRunner::LackingHere() const {
  const JobConfigResult parsed = ParseJobConfig(grant_.config_json());
  if (!parsed.config) return "";
  const bool trains = parsed.config->kind == JobKind::kTrain;
  if (!trains && parsed.config->evaluate.inputs != InputKind::kNatural) return "";  // it reads no texts
  const std::string& name = trains ? parsed.config->data.set : parsed.config->evaluate.texts;
  if (name.empty()) return "";
  std::error_code ignored;
  const std::string path = absl::StrCat(context_->data_root, "/", name);
  // A folder without a set, of a disk that is not mounted say, is none.
  const bool here = trains ? !ContentOfSet(context_->data_root, name).empty() : std::filesystem::exists(path, ignored);
  if (here) return "";
  return absl::StrCat(trains ? "data set " : "file ", path);
}

absl::Status JobRunner::PrepareFolders(const std::vector<Rank>& ranks) {
  const TrainerUser* const user = User();
  if (auto status = FillFolders(ranks); !status.ok() || user == nullptr) return status;
  for (const Rank& rank : ranks) {
    if (auto status = OpenRun(*user, context_->data, rank.folder); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status JobRunner::FillFolders(const std::vector<Rank>& ranks) {
  const JobConfigResult parsed = ParseJobConfig(grant_.config_json());
  std::string model;
  if (parsed.config && parsed.config->kind == JobKind::kEvaluate) {
    const EvaluateConfig& evaluate = parsed.config->evaluate;
    auto found = FindModel(context_->model_root, evaluate.model, evaluate.inputs == InputKind::kNatural);
    if (!found.ok()) return found.status();
    model = *std::move(found);
  }
  if (auto status = CheckContent(); !status.ok()) return status;
  for (const Rank& rank : ranks) {
    auto status = rank.folder.WriteJob(grant_, context_->data_root, model, rank.device);
    if (!status.ok()) return status;
  }
  // The other ranks get what rank 0 has read; those on other workers are there already and wait for it to listen.
  if (!grant_.has_resume_from() || !leads()) return absl::OkStatus();
  std::optional<uid_t> reader;
  if (const TrainerUser* const user = User()) reader = user->uid;
  return PrepareResume(context_->data, grant_.resume_from(), folder_, reader, calls_);
}

absl::Status JobRunner::CheckContent() const {
  if (grant_.data_content().empty()) return absl::OkStatus();
  const JobConfigResult parsed = ParseJobConfig(grant_.config_json());
  if (!parsed.config || parsed.config->kind != JobKind::kTrain) return absl::OkStatus();
  const std::string& set = parsed.config->data.set;
  const std::string here = ContentOfSet(context_->data_root, set);
  if (here.empty() || here == grant_.data_content()) return absl::OkStatus();
  // Another worker may have what the run was trained on.
  return absl::FailedPreconditionError(
      absl::StrCat("data set ", context_->data_root, "/", set, " holds something else here (",
                   here.substr(0, kShownDigits), ") than the job was given for (",
                   grant_.data_content().substr(0, kShownDigits), "): it may have been packed anew"));
}

SupervisionLimits JobRunner::Limits() const {
  SupervisionLimits limits = LimitsFor(grant_, context_->limits);
  limits.lease_grace = std::min(limits.grace, absl::Milliseconds(lease_grace_ms_.load()));
  limits.rank_grace = std::min(limits.grace, limits.rank_grace);
  return limits;
}

void JobRunner::OnEvent(const Rank& rank, std::string_view line, const pipe::Event& event) {
  phase_ = v1::RUNNING;
  if (rank.number == 0) return DeliverEvent(rank, line, event);
  // Of the other ranks only what may explain a failure is of interest.
  if (const auto* log = std::get_if<pipe::Log>(&event); log != nullptr && log->level != "info") {
    Log(rank, log->level, log->message);
  } else if (const auto* failed = std::get_if<pipe::Failed>(&event)) {
    Log(rank, "error", absl::StrCat("failed (", std::string(NameOf(failed->failure_class)), "): ", failed->message));
  }
}

void JobRunner::DeliverEvent(const Rank& rank, std::string_view line, const pipe::Event& event) {
  const uint64_t seq = Append(line);
  const auto* checkpoint = std::get_if<pipe::Checkpoint>(&event);
  if (checkpoint == nullptr || checkpoint->step == 0) return;  // at step 0 there is nothing to resume
  // The next attempt is to train again what was lost, and so must not go on from behind it.
  if (!spool_->loss().ok()) return;
  offer_error_ = uploader_->Offer(checkpoint->path, checkpoint->step, checkpoint->manifest_hash, seq);
  if (offer_error_.ok()) {
    saved_step_ = checkpoint->step;
    return;
  }
  offer_error_ = absl::Status(offer_error_.code(),
                              absl::StrCat("the newest checkpoint could not be uploaded: ", offer_error_.message()));
  Log(rank, "error", std::string(offer_error_.message()));
}

void JobRunner::Log(const Rank& rank, std::string_view level, std::string_view text) {
  // Rank 0 speaks for the job, so that its lines look as those of a job of one process.
  std::string message = ValidUtf8(text.substr(0, kMaxLogBytes));
  if (rank.number > 0) message.insert(0, rank.prefix);
  if (leads()) {
    Append(pipe::Encode(pipe::Log{std::string(level), std::move(message)}));
  } else {
    spdlog::log(level == "error" ? spdlog::level::err : spdlog::level::info, "job {}: {}: {}", lease().job_id(),
                LogText(level), LogText(message));
  }
}

uint64_t JobRunner::Append(std::string_view line) {
  const uint64_t seq = spool_->Append(line, WallTimeMs());
  // Nothing that it trains from here on would count. A line that comes after the end is no loss.
  if (seq == 0 && !spool_->loss().ok()) control_.Request(StopReason::kRefused);
  return seq;
}

void JobRunner::TellKilled(const Rank& rank, const TrainerReport& trainer) {
  const bool had_whole_grace = trainer.reason == StopReason::kCancel || trainer.reason == StopReason::kHandBack ||
                               trainer.reason == StopReason::kDrain;
  if (!had_whole_grace || !trainer.killed_here || trainer.exit.signal != SIGKILL) return;
  const std::string lost =
      saved_step_ > 0 ? absl::StrCat("what it trained after its last checkpoint (step ", saved_step_, ") is lost")
                      : "it has saved no checkpoint, and what it trained is lost";
  Log(rank, "warning",
      absl::StrCat("the trainer did not stop within the grace of ", absl::FormatDuration(Limits().grace),
                   " and was killed; ", lost));
}

void JobRunner::Deliver(Outcome outcome) {
  if (control_.reason() != StopReason::kStale) {
    // Known from here on: a daemon that starts after this one's death says the same.
    KeepOutcome(outcome = WithLoss(WithLoss(std::move(outcome), spool_->loss()), offer_error_));
    // Of a checkpoint that was refused nothing is left for that daemon to offer again, and the events may take long.
    if (Outcome now = WithLoss(outcome, uploader_->WaitUntilCommitted()); now != outcome)
      KeepOutcome(outcome = std::move(now));
    uint64_t last_seq = spool_->Seal(WallTimeMs());  // now that the log says what was refused
    if (!sender_->WaitUntilDurable(last_seq) && calls_.events_given_up()) {
      last_seq = spool_->acknowledged_seq();
      KeepOutcome(outcome = Failure(v1::INFRA, calls_.why_given_up()));
    }
    if (AwaitsCause(outcome)) control_.abandoned().WaitFor(kCausePatience);
    if (Finish(outcome, last_seq)) return;  // once it is told, a heartbeat that finds the attempt gone says nothing new
  }
  if (control_.reason() != StopReason::kStale) return;
  spdlog::warn(
      "job {}: the coordinator has given it to another worker or ended it; attempt {} was stopped here and counts "
      "no more",
      lease().job_id(), lease().attempt());
  if (auto closed = folder_.Close(); !closed.ok()) spdlog::warn("{}", closed.ToString());
}

bool JobRunner::AwaitsCause(const Outcome& outcome) const {
  const bool has_others = leads() && grant_.gang().world_size() > grant_.devices();
  return has_others && outcome.state == v1::FAILED && pipe::IsOfAnotherRank(outcome.message);
}

void JobRunner::KeepOutcome(Outcome outcome) const {
  // No fewer than a former daemon counted on: where this one has not got to the end of the matter, the next one must.
  outcome.last_seq = std::max(outcome.last_seq, spool_->last_seq());
  if (auto synced = spool_->Sync(); !synced.ok()) spdlog::warn("{}", synced.ToString());
  if (auto saved = folder_.SaveOutcome(outcome); !saved.ok()) spdlog::warn("{}", saved.ToString());
}

bool JobRunner::Finish(const Outcome& outcome, uint64_t last_seq) {
  if (outcome.state == v1::FAILED) {
    std::string why = outcome.message.substr(0, outcome.message.find('\n'));
    if (!outcome.undelivered.empty()) absl::StrAppend(&why, "; ", outcome.undelivered);
    spdlog::warn("job {}: attempt {} failed here: {}", lease().job_id(), lease().attempt(), LogText(why));
  }
  auto request = calls_.Fill<v1::FinishRequest>();
  request.set_outcome(outcome.state);
  request.set_failure_class(outcome.failure_class);
  request.set_message(outcome.message);
  request.set_undelivered(outcome.undelivered);
  request.set_last_seq(last_seq);
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  const absl::Status status = calls_.Retry(control_.abandoned(), [&]() -> absl::Status {
    auto response = calls_.link().Finish(request);
    if (response.ok()) state = response->state();
    if (!absl::IsOutOfRange(response.status()) || sender_ == nullptr) return response.status();
    // A coordinator that was restored from a backup lacks events that it had: the sender sends them again, and where
    // the spool has forgotten them, the attempt is void.
    calls_.NoteMissingEvents(response.status());
    if (calls_.events_given_up()) {
      request.set_outcome(v1::FAILED);
      request.set_failure_class(v1::INFRA);
      request.set_message(ValidUtf8(calls_.why_given_up()));
      request.set_last_seq(0);
    }
    return absl::UnavailableError(response.status().message());
  });
  if (IsStaleLease(status)) return false;
  if (absl::IsCancelled(status)) {
    spdlog::warn("job {}: the end of attempt {} is kept in {} for the next start", lease().job_id(), lease().attempt(),
                 folder_.path());
    return false;
  }
  if (!status.ok())
    spdlog::error("job {}: the coordinator did not accept how it ended: {}", lease().job_id(), status.ToString());
  if (status.ok())
    spdlog::info("job {}: all of it is delivered, and the coordinator has it as {}", lease().job_id(),
                 v1::JobState_Name(state));
  if (auto closed = folder_.Close(); !closed.ok()) spdlog::warn("{}", closed.ToString());
  return true;
}

}  // namespace sink::worker
