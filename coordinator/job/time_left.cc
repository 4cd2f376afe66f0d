// See time_left.h.
#include "coordinator/job/time_left.h"

#include <algorithm>

namespace sink {
namespace {

// Seconds a step of several jobs.
struct Pace {
  double sum = 0, least = 0, most = 0;
  int jobs = 0;

  void Add(double seconds) {
    least = jobs == 0 ? seconds : std::min(least, seconds);
    most = std::max(most, seconds);
    sum += seconds;
    ++jobs;
  }
  double mean() const { return sum / jobs; }
};

// By number, which grows as they come.
class Paces {
 public:
  Pace& operator[](int number) {
    const auto at = static_cast<size_t>(number);
    if (at >= paces_.size()) paces_.resize(at + 1);
    return paces_[at];
  }

 private:
  std::vector<Pace> paces_;
};

// Of a job's own steps; nothing when it has made too few to tell.
std::optional<double> SecondsPerStep(const PacedJob& job, int64_t now_ms) {
  constexpr double kEarly = 0.1;  // until here a job's start weighs too much, and the trainer's own rate is better
  if (job.step <= 0) return std::nullopt;
  const auto steps = static_cast<double>(job.step);
  const bool early = !IsFinal(job.state) && steps < kEarly * static_cast<double>(job.max_steps);
  if (job.attempt <= 1 && job.started_ms > 0 && !early) {
    const int64_t end = job.finished_ms > 0 ? job.finished_ms : now_ms;
    return static_cast<double>(std::max<int64_t>(1, end - job.started_ms)) / 1000 / steps;
  }
  if (job.state == JobState::kRunning && job.tokens_per_second > 0)
    return static_cast<double>(job.tokens) / steps / job.tokens_per_second;
  return std::nullopt;
}

}  // namespace

void SettingNumbers::Set(std::string_view experiment, std::string_view label, PacedJob* job) {
  const std::string_view shared = label.substr(0, label.find(" replica="));
  auto found = experiments_.find(experiment);
  if (found == experiments_.end())
    found = experiments_.emplace(std::string(experiment), static_cast<int>(experiments_.size())).first;
  job->experiment = found->second;
  job->setting =
      settings_.try_emplace({found->second, std::string(shared)}, static_cast<int>(settings_.size())).first->second;
}

std::optional<TimeLeft> EstimateTimeLeft(const std::vector<PacedJob>& jobs, int64_t now_ms) {
  Paces settings, experiments;
  Pace all, lengths;
  int running = 0;
  bool over = true;
  for (const PacedJob& job : jobs) {
    over &= IsFinal(job.state);
    running += job.state == JobState::kRunning ? 1 : 0;
    if (job.max_steps > 0) lengths.Add(static_cast<double>(job.max_steps));
    if (job.state != JobState::kRunning && job.state != JobState::kSucceeded) continue;
    const std::optional<double> seconds = SecondsPerStep(job, now_ms);
    if (!seconds) continue;
    settings[job.setting].Add(*seconds);
    experiments[job.experiment].Add(*seconds);
    all.Add(*seconds);
  }
  if (over) return TimeLeft{};
  if (running == 0 || all.jobs == 0 || lengths.jobs == 0) return std::nullopt;

  TimeLeft work, longest;  // of all jobs together, and of the longest alone
  for (const PacedJob& job : jobs) {
    if (IsFinal(job.state)) continue;
    const double steps = job.max_steps > 0 ? static_cast<double>(job.max_steps - job.step) : lengths.mean();
    TimeLeft own;
    if (const Pace& measured = settings[job.setting]; measured.jobs > 0) {
      own.seconds = own.least = own.most = steps * measured.mean();
    } else {
      const Pace& like = experiments[job.experiment];
      const Pace& pace = like.jobs > 0 ? like : all;
      own = {steps * pace.mean(), steps * pace.least, steps * pace.most};
    }
    for (double TimeLeft::*part : {&TimeLeft::seconds, &TimeLeft::least, &TimeLeft::most}) {
      work.*part += own.*part;
      longest.*part = std::max(longest.*part, own.*part);
    }
  }
  TimeLeft left;
  for (double TimeLeft::*part : {&TimeLeft::seconds, &TimeLeft::least, &TimeLeft::most})
    left.*part = std::max(longest.*part, work.*part / running);
  return left;
}

}  // namespace sink
