#include "coordinator/cli/views/time_left.h"

#include <algorithm>
#include <map>

#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/documents.h"

namespace sink::cli {
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

struct Setting {
  std::string experiment, label;  // without the replica
  friend auto operator<=>(const Setting&, const Setting&) = default;
};

Setting SettingOf(const v1::Job& job, const std::string& sweep) {
  for (const v1::Membership& place : job.sweeps()) {
    if (place.sweep() != sweep) continue;
    const std::string& label = place.label();
    return {place.experiment(), label.substr(0, std::min(label.find(" replica="), label.size()))};
  }
  return {};
}

// Of a job's own steps; nothing when it has made too few to tell.
std::optional<double> SecondsPerStep(const v1::Job& job, int64_t now_ms) {
  constexpr double kEarly = 0.1;  // until here a job's start weighs too much, and the trainer's own rate is better
  const v1::Progress& p = job.progress();
  if (p.step() <= 0) return std::nullopt;
  const double steps = static_cast<double>(p.step());
  const bool early = !IsFinal(job.state()) && steps < kEarly * static_cast<double>(p.max_steps());
  if (job.attempt() <= 1 && job.started_ms() > 0 && !early) {
    const int64_t end = job.finished_ms() > 0 ? job.finished_ms() : now_ms;
    return static_cast<double>(std::max<int64_t>(1, end - job.started_ms())) / 1000 / steps;
  }
  if (job.state() == v1::RUNNING && p.tokens_per_second() > 0)
    return static_cast<double>(p.tokens()) / steps / p.tokens_per_second();
  return std::nullopt;
}

}  // namespace

std::optional<TimeLeft> EstimateTimeLeft(const v1::GetSweepResponse& status, int64_t now_ms) {
  std::map<Setting, Pace> settings;
  std::map<std::string, Pace> experiments;
  Pace all, lengths;
  int running = 0;
  bool over = true;
  for (const v1::Job& job : status.jobs()) {
    over &= IsFinal(job.state());
    running += job.state() == v1::RUNNING;
    if (job.progress().max_steps() > 0) lengths.Add(static_cast<double>(job.progress().max_steps()));
    if (job.state() != v1::RUNNING && job.state() != v1::SUCCEEDED) continue;
    const std::optional<double> seconds = SecondsPerStep(job, now_ms);
    if (!seconds) continue;
    const Setting setting = SettingOf(job, status.sweep().name());
    settings[setting].Add(*seconds);
    experiments[setting.experiment].Add(*seconds);
    all.Add(*seconds);
  }
  if (over) return TimeLeft{};
  if (running == 0 || all.jobs == 0 || lengths.jobs == 0) return std::nullopt;

  TimeLeft work, longest;  // of all jobs together, and of the longest alone
  for (const v1::Job& job : status.jobs()) {
    if (IsFinal(job.state())) continue;
    const v1::Progress& p = job.progress();
    const double steps = p.max_steps() > 0 ? static_cast<double>(p.max_steps() - p.step()) : lengths.mean();
    const Setting setting = SettingOf(job, status.sweep().name());
    TimeLeft own;
    if (const auto measured = settings.find(setting); measured != settings.end()) {
      own.seconds = own.least = own.most = steps * measured->second.mean();
    } else {
      const auto like = experiments.find(setting.experiment);
      const Pace& pace = like != experiments.end() ? like->second : all;
      own = {steps * pace.mean(), steps * pace.least, steps * pace.most};
    }
    for (double TimeLeft::*part : {&TimeLeft::seconds, &TimeLeft::least, &TimeLeft::most}) {
      work.*part += own.*part;
      longest.*part = std::max(longest.*part, own.*part);
    }
  }
  TimeLeft out;
  for (double TimeLeft::*part : {&TimeLeft::seconds, &TimeLeft::least, &TimeLeft::most})
    out.*part = std::max(longest.*part, work.*part / running);
  return out;
}

std::string FormatTimeLeft(const TimeLeft& left) {
  constexpr double kApart = 1.2;
  if (left.most < kApart * left.least) return "ETA " + FormatDuration(left.seconds);
  return "ETA " + FormatDuration(left.least) + " to " + FormatDuration(left.most);
}

}  // namespace sink::cli
