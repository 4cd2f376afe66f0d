// When a sweep will be over, judged by what its jobs have taken so far. A SettingNumbers belongs to one thread; the
// rest is pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/job/job_state.h"

namespace sink {

struct TimeLeft {
  double seconds = 0;  // the estimate
  double least = 0;    // when all that nobody has measured goes as fast as the fastest that somebody has,
  double most = 0;     // and as slow as the slowest

  // The bounds lie so far apart that the estimate alone would say too much.
  bool IsRange() const { return most > least && most >= 1.2 * least; }
};

// What is judged of a job. Its setting is what it has in common with its seeds.
struct PacedJob {
  int experiment = 0;
  int setting = 0;  // no other experiment has this number
  JobState state = JobState::kQueued;
  int attempt = 0;
  int64_t step = 0, max_steps = 0;  // max_steps 0: unknown yet
  int64_t tokens = 0;
  double tokens_per_second = 0;
  int64_t started_ms = 0, finished_ms = 0;  // Unix; 0: not yet
};

// Numbers for the experiments and settings of one sweep.
class SettingNumbers {
 public:
  // Of a job by its place in the sweep; of the label without " replica=N".
  void Set(std::string_view experiment, std::string_view label, PacedJob* job);

 private:
  std::map<std::string, int, std::less<>> experiments_;
  std::map<std::pair<int, std::string>, int> settings_;
};

// A step of a job takes what the steps of its setting took on average, its seeds together: from the start of the job to
// its end, or to now. A setting that has not run is taken to be like the others of its experiment, or of the sweep.
// What is left is shared by as many jobs as run now. Where a job was tried again, or has only begun, the rate that its
// trainer tells stands in. Nothing while no job runs or none has made a step.
std::optional<TimeLeft> EstimateTimeLeft(const std::vector<PacedJob>& jobs, int64_t now_ms);

}  // namespace sink
