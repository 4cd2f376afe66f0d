#include "model/train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "model/backend/device.h"
#include "model/base/data_error.h"
#include "model/train/learning/divergence.h"
#include "model/train/link/train_error.h"
#include "model/train/measure/batch.h"
#include "proto/pipe/metric_name.h"

namespace sink::train {
namespace {

using pipe::FormatMetricName;
using pipe::MetricKind;

constexpr int kLockWaitMs = 10'000;
constexpr std::chrono::seconds kProgressInterval{1};
constexpr std::chrono::seconds kSignOfLife{5};  // of a rank that waits for rank 0, which is what its worker looks for

at::Device Prepare(const JobFile& job) {
  PrepareProcess(static_cast<int>(job.config.train.threads));
  ComputeTheSameEveryTime();
  return OpenDevice(job.device);
}

// What a rank does while it waits for the others. Rank 0 waits for a short time and in silence: its first record is to
// be `hello`, which the coordinator gets.
std::function<void()> WhileMeeting(const RankWorld& world, EventSink& events, TrainerCommands& commands) {
  const std::string what = "rank " + std::to_string(world.rank) + " of " + std::to_string(world.size) +
                           " waits for rank 0 at " + world.host + ":" + std::to_string(world.port);
  return [=, first = world.rank == 0, &events, &commands, last = std::chrono::steady_clock::now()]() mutable {
    if (commands.StopRequested()) throw StoppedBeforeStart();
    const auto now = std::chrono::steady_clock::now();
    if (first || now - last < kSignOfLife) return;
    last = now;
    events.Send(pipe::Log{"info", what});
  };
}

data::LoaderOptions TrainingRowsOf(const JobFile& job, const RankWorld& world) {
  data::LoaderOptions options = LoaderOptionsOf(job, "train");
  options.rank = world.rank;
  options.ranks = world.size;
  return options;
}

}  // namespace

Trainer::Trainer(const std::filesystem::path& run_dir, EventSink& events, TrainerCommands& commands,
                 const RankWorld& world, bool overlap, SnapshotFunction snapshot, WriteFunction write)
    : events_(events),
      commands_(commands),
      job_(ReadJobFile(run_dir)),
      device_(Prepare(job_)),
      lock_(run_dir, kLockWaitMs),
      checkpoints_(std::filesystem::absolute(run_dir) / "checkpoints"),
      ranks_(world, device_, WhileMeeting(world, events, commands)),
      overlap_(overlap || HasQueue(device_)),
      snapshot_(snapshot),
      write_(std::move(write)),
      learner_(job_.config, device_, &ranks_),
      data_(DataContent(job_)),
      saves_(device_) {
  data::Loader loader(TrainingRowsOf(job_, world));
  ExpectSameData(ranks_, job_.config.data.set, data_);
  if (ranks_.first()) ReadTokenizer();
  Restore([&](const std::string& warning) { warnings_.push_back(warning); });
  const int64_t rows = learner_.micro_batch_size();  // as restored
  if (ranks_.first()) evaluator_.emplace(job_, device_, RowsToMeasure(job_.config.train, rows));
  feeder_.emplace(std::move(loader), rows, job_.config.train.sequence_length, device_, overlap_);
  feeder_->Seek(state_.cursor);
}

void Trainer::ReadTokenizer() {
  const std::filesystem::path set = std::filesystem::path(job_.data_root) / job_.config.data.set;
  try {
    tokenizer_ = ReadSetTokenizer(set, job_.config.model.max_position_embeddings);
  } catch (const data::DataError& e) {  // training reads ids alone
    warnings_.push_back(std::string("checkpoints will have no tokenizer: ") + e.what());
  }
}

void Trainer::Restore(const std::function<void(const std::string&)>& warn) {
  const std::shared_ptr<Optimizer> whole = learner_.WholeOptimizer();
  const auto read = [&] {
    AwaitSave();
    saved_ = checkpoints_.FindNewest(warn);
    if (saved_) state_ = ReadCheckpoint(saved_->path, job_.config, learner_.model(), *whole, data_, warn);
    if (saved_ && state_.step != saved_->step)
      throw UserError(saved_->path.string() + " says that it is of step " + std::to_string(state_.step) +
                      "; remove this checkpoint");
    return saved_.has_value();
  };
  const auto idle = [this] {
    if (feeder_) Tick();  // in the constructor nothing is sent yet: the first record is to be `hello`
  };
  if (ranks_.OnFirst(read, idle)) {
    learner_.Scatter(*whole);
    state_ = ShareRunState(ranks_, device_, state_);
    if (feeder_) state_.division.sequences = learner_.division().sequences;  // whose batches have that size
    learner_.GoOnWith(state_.division);
    if (!ranks_.first()) saved_ = CheckpointRef{.step = state_.step, .path = "rank 0's checkpoint"};
  } else if (feeder_) {  // it rolls back; the constructor begins at step 0 as it is
    saved_.reset();
    learner_.Reset();
    state_ = {};
  }
}

RunOutcome Trainer::Run() try { return TrainToEnd(); } catch (...) {
  // How far it has come and a checkpoint that reaches the disk are told of, however the run ends. What else fails now
  // is not what ended it.
  try {
    GiveUpSteps();
    SendProgress();
    AwaitSave();
  } catch (const std::exception&) {
  }
  throw;
}

RunOutcome Trainer::TrainToEnd() {
  Start();
  bool stop = false;
  while (true) {
    if (EvaluationDue() || CheckpointDue()) FinishSteps();
    if (EvaluationDue()) Evaluate();
    const std::vector<double> asked = ranks_.Sum({commands_.StopRequested() ? 1.0 : 0.0,  // of any rank
                                                  commands_.TakeCheckpointRequest() ? 1.0 : 0.0});
    stop = asked[0] > 0;
    const bool asked_to_save = stop || asked[1] > 0;
    if (asked_to_save) FinishSteps();
    if (asked_to_save || CheckpointDue()) Save();
    if (stop || state_.step == job_.config.train.max_steps) break;
    TrainStep();
  }
  AwaitSave();
  // What has been done since the last Tick; of a run shorter than its interval, everything.
  SendProgress();
  ranks_.Leave();
  if (!stop) events_.Send(pipe::Finished{state_.step});
  return stop ? RunOutcome::kStopped : RunOutcome::kFinished;
}

void Trainer::TrainStep() {
  const data::Cursor start = feeder_->cursor();
  const TrainConfig& config = job_.config.train;
  const double limit = LossLimit(config, state_.step, state_.running_loss);
  std::optional<BegunStep> begun = learner_.Begin(
      state_.step, [this] { return NextBatch(); }, limit);
  SendWarnings();
  step_tokens_ = 0;
  if (!begun) return feeder_->Seek(start);  // asked to stop: as if the step had not begun

  running_.push_back({*std::move(begun), state_.step, state_.tokens, feeder_->cursor()});
  ++state_.step;
  state_.tokens += config.global_batch_size * config.sequence_length;
  state_.cursor = feeder_->cursor();
  state_.measured = false;
  FinishSteps(overlap_ && config.loss_spike_factor == 0 ? 1 : 0);
}

void Trainer::FinishSteps(size_t but) {
  while (running_.size() > but) {
    const Running& first = running_.front();
    const StepResult result = learner_.Finish(first.begun);
    const int64_t step = first.step + 1;
    if (result.diverged) {
      // As if nothing had been begun after it; and it was not done.
      const double limit = first.begun.loss_limit;
      feeder_->Seek(first.after);
      GiveUpSteps();
      return OnDivergence(result, limit);
    }
    running_.pop_front();
    Record(step, result);
  }
}

void Trainer::GiveUpSteps() {
  step_tokens_ = 0;
  if (running_.empty()) return;
  state_.step = running_.front().step;
  state_.tokens = running_.front().tokens;
  running_.clear();
}

void Trainer::Record(int64_t step, const StepResult& result) {
  const TrainConfig& config = job_.config.train;
  state_.running_loss = AddLoss(state_.running_loss, result.loss);
  const bool logged = step == 1 || step % config.log_every == 0 || step == config.max_steps;
  if (logged && ranks_.first())
    events_.Send(pipe::Metrics{step,
                               {{FormatMetricName({.kind = MetricKind::kTrainLoss}), result.loss},
                                {FormatMetricName({.kind = MetricKind::kGradientNorm}), result.gradient_norm},
                                {FormatMetricName({.kind = MetricKind::kLearningRate}), result.learning_rate}}});
}

void Trainer::OnDivergence(const StepResult& diverged, double limit) {
  const TrainConfig& config = job_.config.train;
  const std::string what = DescribeDivergence(config, state_.step, limit, diverged.loss, diverged.gradient_norm);
  switch (config.on_divergence) {
    case DivergencePolicy::kStop:
      throw NanError(what + "; lower train.learning_rate, clip more, or set train.on_divergence to roll_back");
    case DivergencePolicy::kRollBack:
      break;
  }
  if (state_.roll_backs >= config.max_roll_backs)
    throw NanError(what + ", after " + std::to_string(state_.roll_backs) +
                   " roll-backs (train.max_roll_backs); lower train.learning_rate or clip more");
  const int64_t from = state_.step, roll_backs = state_.roll_backs + 1;
  const auto warn = [this](const std::string& warning) { events_.Send(pipe::Log{"warning", warning}); };
  Restore(warn);
  state_.cursor = feeder_->cursor();
  state_.roll_backs = roll_backs;
  warn("rolled back from step " + std::to_string(from) + " to " + std::to_string(state_.step) + " (" + what +
       "), roll-back " + std::to_string(roll_backs) + " of " + std::to_string(config.max_roll_backs));
  StartWindow();
}

std::optional<at::Tensor> Trainer::NextBatch() {
  Tick();
  // Alone, it need not wait for the end of a step.
  if (ranks_.size() == 1 && commands_.StopRequested()) return std::nullopt;
  const TrainConfig& config = job_.config.train;
  const int64_t tokens = learner_.micro_batch_size() * config.sequence_length * ranks_.size();
  step_tokens_ += tokens;
  window_tokens_ += tokens;
  return feeder_->Next();
}

void Trainer::Evaluate() {
  state_.measured = ranks_.OnFirst([this] { return Measure(); }, [this] { Tick(); });
  if (state_.measured) StartWindow();
}

bool Trainer::Measure() {
  const auto go_on = [this] {
    Tick();
    return !commands_.StopRequested();
  };
  const auto make_room = [this](const std::string& why) {
    learner_.ForgetRecording();
    WarnOnce(warned_of_measuring_,
             "out of memory while measuring: what a recorded micro-batch holds is given back for "
             "that every time (" +
                 why + ")");
  };
  std::optional<Measurement> measurement = evaluator_->Measure(learner_.exact_model(), go_on, make_room);
  if (!measurement) return false;  // asked to stop: the next attempt measures
  measurement->metrics.step = state_.step;
  events_.Send(measurement->metrics);
  for (pipe::Heatmap& heatmap : measurement->heatmaps) {
    heatmap.step = state_.step;
    events_.Send(heatmap);
  }
  return true;
}

void Trainer::Save() {
  if (!saved_ || saved_->step != state_.step) {
    const std::shared_ptr<Optimizer> whole = learner_.WholeOptimizer();
    learner_.Gather(*whole);
    learner_.AgreeOnDivision();
    state_.division = learner_.division();
    const auto write = [&] {
      WriteCheckpointOf(*whole);
      return true;
    };
    ranks_.OnFirst(write, [this] { Tick(); });
    if (!ranks_.first()) saved_ = CheckpointRef{.step = state_.step};
  } else if (ranks_.first() && !saving_.pending()) {
    SendCheckpoint(*saved_);
  }
  StartWindow();
}

void Trainer::WriteCheckpointOf(const Optimizer& whole) {
  AwaitSave();
  const CheckpointContent content = ContentOf(job_.config, learner_.model(), whole, state_, tokenizer_, data_);
  if (overlap_ && SaveBehind(content)) return;
  BeginSave(content);
  AwaitSave();
}

void Trainer::BeginSave(const CheckpointContent& content) {
  const auto ready = std::make_shared<Milestone>(device_);
  ready->Set();
  saving_.Begin([this, step = state_.step, content, ready] {
    CheckpointRef saved;
    saves_.Run([&] {
      ready->Block();
      saved = Write(step, content);
    });
    return saved;
  });
}

void Trainer::AwaitSave() {
  StartWindow();
  while (saving_.pending()) {
    if (const std::optional<CheckpointRef> saved = saving_.TakeIfDone(kProgressInterval)) return SendCheckpoint(*saved);
    Tick();
  }
}

CheckpointRef Trainer::Write(int64_t step, const CheckpointContent& content) const {
  const CheckpointRef saved =
      checkpoints_.Save(step, [&](const std::filesystem::path& folder) { write_(folder, content); });
  checkpoints_.Prune(job_.config.checkpoint.keep);
  return saved;
}

bool Trainer::SaveBehind(const CheckpointContent& content) try {
  BeginSave(snapshot_(content));
  saved_ = CheckpointRef{.step = state_.step};
  return true;
} catch (const std::exception& e) {
  if (!IsOutOfMemory(e)) throw;
  WarnOnce(warned_of_saving_, "out of memory for a copy of the model: training waits while a checkpoint is written (" +
                                  Classify(e).message + ")");
  return false;
}

void Trainer::WarnOnce(bool& warned, const std::string& warning) {
  if (!std::exchange(warned, true)) events_.Send(pipe::Log{"warning", warning});
}

void Trainer::SendCheckpoint(const CheckpointRef& saved) {
  if (!saved_ || saved_->step <= saved.step) saved_ = saved;
  events_.Send(pipe::Checkpoint{saved.step, saved.path.string(), saved.manifest_hash});
}

void Trainer::Start() {
  events_.Send(pipe::Hello{pipe::kVersion, getpid(), device_.str(), state_.step, job_.config.train.max_steps,
                           learner_.model().values().numel()});
  for (const std::string& warning : warnings_) events_.Send(pipe::Log{"warning", warning});
  SendWarnings();
  const std::string rank =
      ranks_.size() > 1 ? ", rank " + std::to_string(ranks_.rank()) + " of " + std::to_string(ranks_.size()) : "";
  events_.Send(pipe::Log{"info", "job " + job_.job + ", attempt " + std::to_string(job_.attempt) + rank + ": " +
                                     (saved_ ? "resumes from " + saved_->path.string() : "starts at step 0")});
  if (job_.config.train.micro_batch_size == 0)
    events_.Send(pipe::Log{
        "info", "train.micro_batch_size auto: " + std::to_string(learner_.micro_batch_size()) + " sequences, " +
                    (state_.division == learner_.division() ? "as before" : "the most that fit " + device_.str())});
  StartWindow();
}

bool Trainer::EvaluationDue() const {
  const bool end = state_.step == job_.config.train.max_steps;
  return !state_.measured && (end || state_.step % job_.config.eval.every == 0);
}

bool Trainer::CheckpointDue() const {
  const bool end = state_.step == job_.config.train.max_steps;
  const bool multiple = state_.step > 0 && state_.step % job_.config.checkpoint.every == 0;
  return end || (multiple && (!saved_ || saved_->step != state_.step));
}

void Trainer::SendWarnings() {
  for (const std::string& warning : learner_.TakeWarnings()) events_.Send(pipe::Log{"warning", warning});
}

void Trainer::StartWindow() {
  window_start_ = std::chrono::steady_clock::now();
  window_tokens_ = 0;
}

void Trainer::Tick() {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_progress_ < kProgressInterval) return;
  last_progress_ = now;
  if (const std::optional<CheckpointRef> saved = saving_.TakeIfDone()) SendCheckpoint(*saved);
  const double seconds = std::chrono::duration<double>(now - window_start_).count();
  if (window_tokens_ > 0) tokens_per_second_ = static_cast<double>(window_tokens_) / seconds;
  StartWindow();
  SendProgress();
}

void Trainer::SendProgress() {
  events_.Send(pipe::Progress{state_.step, state_.tokens + step_tokens_, tokens_per_second_});
}

}  // namespace sink::train
