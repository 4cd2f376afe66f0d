// See sweep_totals.h.
#include "coordinator/web/sweep_totals.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "coordinator/job/left_to_others.h"
#include "coordinator/web/json_text.h"

namespace sink::web {
namespace {

constexpr double kSinkAlpha = 0.3;  // the epsilon of the paper

}  // namespace

void SweepTotals::Put(const Job& job) {
  static const Membership kNoPlace;
  const Membership& place = job.sweeps.empty() ? kNoPlace : job.sweeps.front();
  const auto [entry, is_new] = entries_.try_emplace(job.id, jobs_.size());
  if (is_new) {
    ids_.push_back(job.id);
    alpha_maxs_.push_back(NAN);
    jobs_.emplace_back();
    numbers_.Set(place.experiment, place.label, &jobs_.back());
  }
  const Progress& progress = job.progress;
  PacedJob& paced = jobs_[entry->second];
  paced.state = IsLeftToOthers(job, place) ? JobState::kCancelled : job.state;
  paced.attempt = job.attempt;
  paced.step = std::min(progress.step, progress.max_steps);
  paced.max_steps = progress.max_steps;
  paced.tokens = progress.tokens;
  paced.tokens_per_second = progress.tokens_per_second;
  paced.started_ms = job.started_ms;
  paced.finished_ms = job.finished_ms;
  alpha_maxs_[entry->second] = progress.latest.Find("alpha_max/1").value_or(NAN);
}

std::string SweepTotals::Json(int64_t now_ms, bool disk_full) const {
  double all = 0, done = 0, rate = 0, alpha_max = NAN;
  int unfinished = 0, running = 0, measured = 0, sinks = 0;
  for (const PacedJob& job : jobs_) {
    all += static_cast<double>(job.max_steps);
    done += static_cast<double>(IsFinal(job.state) ? job.max_steps : job.step);
    unfinished += IsFinal(job.state) ? 0 : 1;
    if (job.state != JobState::kRunning) continue;
    ++running;
    rate += job.tokens_per_second;
  }
  for (const double alpha : alpha_maxs_) {
    if (std::isnan(alpha)) continue;
    ++measured;
    sinks += alpha > kSinkAlpha ? 1 : 0;
    alpha_max = std::isnan(alpha_max) ? alpha : std::max(alpha_max, alpha);
  }
  std::optional<TimeLeft> left;
  if (!disk_full || unfinished == 0) left = EstimateTimeLeft(jobs_, now_ms);
  std::string json = "{\"fraction\":";
  AppendNumber(all > 0 ? done / all : NAN, &json);
  json += ",\"eta_seconds\":";
  AppendNumber(left ? left->seconds : NAN, &json);
  json += ",\"eta_seconds_least\":";
  AppendNumber(left ? left->least : NAN, &json);
  json += ",\"eta_seconds_most\":";
  AppendNumber(left ? left->most : NAN, &json);
  json += ",\"tokens_per_second\":";
  AppendNumber(disk_full ? NAN : rate, &json);
  absl::StrAppend(&json, ",\"unfinished\":", unfinished, ",\"running\":", running, ",\"measured\":", measured,
                  ",\"sinks\":", sinks, ",\"alpha_max\":");
  AppendNumber(alpha_max, &json);
  return json += "}";
}

}  // namespace sink::web
