// See time_left.h.
#include "coordinator/cli/views/time_left.h"

#include <vector>

#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/documents.h"

namespace sink::cli {

std::optional<TimeLeft> EstimateTimeLeft(const v1::GetSweepResponse& status, int64_t now_ms) {
  SettingNumbers numbers;
  std::vector<PacedJob> jobs;
  jobs.reserve(static_cast<size_t>(status.jobs_size()));
  for (const v1::Job& job : status.jobs()) {
    const v1::Progress& p = job.progress();
    PacedJob& paced = jobs.emplace_back();
    // The same numbers.
    paced.state = static_cast<JobState>(IsLeftToOthers(job, status.sweep().name()) ? v1::CANCELLED : job.state());
    paced.attempt = job.attempt();
    paced.step = p.step();
    paced.max_steps = p.max_steps();
    paced.tokens = p.tokens();
    paced.tokens_per_second = p.tokens_per_second();
    paced.started_ms = job.started_ms();
    paced.finished_ms = job.finished_ms();
    const v1::Membership* place = nullptr;
    for (const v1::Membership& membership : job.sweeps())
      if (place == nullptr && membership.sweep() == status.sweep().name()) place = &membership;
    numbers.Set(place == nullptr ? "" : place->experiment(), place == nullptr ? "" : place->label(), &paced);
  }
  return sink::EstimateTimeLeft(jobs, now_ms);
}

std::string FormatTimeLeft(const TimeLeft& left) {
  if (!left.IsRange()) return "ETA " + FormatDuration(left.seconds);
  return "ETA " + FormatDuration(left.least) + " to " + FormatDuration(left.most);
}

}  // namespace sink::cli
