// What a run or the replicas of a point measured, as the tables and the takeaways read it. Definitions of the measures:
// Gu et al., ICLR 2025, section 3 (importance alpha_k, sink rate Sink_k at epsilon). Pure; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/report/statistics.h"
#include "coordinator/report/study.h"

namespace sink::report {

inline constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

// Which number of a run. Sink rates are percentages.
enum class Measure { kSinkRate, kAlphaMean, kAlphaMax, kValidationLoss, kTrainLoss };

// Its best epsilon by pipe::IsBetterEpsilon; "" when it measured none yet.
std::string Epsilon(const Run& run);
// The metric that holds a measure, "" when the run has none. `position`: "1", "2", ..., "bias".
std::string MetricName(const Run& run, Measure measure, const std::string& position);
// Its newest value at `step` or before; nothing where that is not finite.
std::optional<double> Value(const Run& run, Measure measure, const std::string& position = "1", int64_t step = kEnd);

// What the runs of the point that succeeded measured (or, with `unfinished`, all of its runs).
Summary Summarize(const Study& study, const Point& point, Measure measure, const std::string& position = "1",
                  int64_t step = kEnd, bool unfinished = false);

// First step from which on the metric stays at `level` or above until its newest sample at `end` or before, with one
// sample later than it at least: the newest alone does not show that it stays. Nothing when it never does, and nothing
// for a run that trains nothing: its step counts layers. A sample that is not finite is below every level.
std::optional<int64_t> Onset(const Run& run, const std::string& metric, double level, int64_t end = kEnd);

// That one optimizer step trains on; nothing where the configuration does not say, and for a run that trains nothing,
// whatever the defaults of its settings are.
std::optional<int64_t> TokensOfAStep(const Run& run);

// alpha_k of attention that is uniform over what a causal query sees, T tokens:
// (1 / (T - k + 1)) sum_{i >= k} 1 / i. What a head without any preference scores.
double UniformAlpha(int64_t position, int64_t tokens);

// "12.3 ± 1.2", "12.3" of a single run, "" of none.
std::string ShowSummary(const Summary& summary, int decimals);
std::string Fixed(double value, int decimals);

}  // namespace sink::report
