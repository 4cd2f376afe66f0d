// When sinks emerge, over the seeds of a setting, and what comes before them. Pure; any thread.
//
// Passing a threshold "and staying": the first measurement from which on every later one, and there must be one, is at
// the threshold or above. A sink that is there at step 0, before any training, is built in: it is there from the start
// and has not emerged.
//
// Order: quantities as different as a loss and a norm are compared by when each has gone half of its way, from its
// first value to its last, for good. A quantity whose last value is within a tenth of its first went no way and has no
// such step. Norms are ratios of the first token's to the mean of the others', in the layer in which the ratio changes
// most.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/report/statistics.h"
#include "coordinator/report/study.h"

namespace sink::report {

// What is watched of a run.
enum class Quantity { kSink, kLoss, kHiddenNorm, kKeyNorm, kValueNorm };
std::string QuantityText(Quantity quantity);  // "alpha_1 of the strongest head"

// One threshold over the seeds of a setting.
struct Onsets {
  int runs = 0;               // that have trained, ended and measured it
  int unfinished = 0;         // of them, those that were stopped or failed: they count as runs without it
  int diverged = 0;           // of them, those that diverged: likewise
  int unconfirmed = 0;        // of them, those that have passed it at their last measurement alone: likewise
  std::vector<double> steps;  // of those in which the threshold is passed and kept, ascending; 0: from the start
  int64_t end = 0;            // the last step at which one of them measured it
  std::optional<int64_t> tokens_a_step;

  // Of all runs, where one in which the threshold is not kept is later than any; nothing where half or more are such.
  std::optional<double> median() const;
  // Those in which it is passed and kept at step 0 already.
  int from_start() const;
};

inline constexpr double kOnsetAlpha = 0.3;    // of the strongest head: the paper's epsilon
inline constexpr double kOnsetPercent = 1.0;  // of the sink rate

// When alpha_1 of the strongest head stays at `level`, and when Sink_1 in percent does.
Onsets AlphaOnsets(const Study& study, const Point& point, double level);
Onsets RateOnsets(const Study& study, const Point& point, double percent);
// "step 450 (300 to 700), 115k tokens, in 5 of 5 runs"; where half or more never come to it "not within 1000 steps, in
// 2 of 5 runs (1 diverged), the earliest at step 300 (77k tokens)", "not within 1000 steps, in none of 5 runs"; where
// half or more are so at step 0 "there from the start, in 5 of 5 runs".
std::string ShowOnsets(const Onsets& onsets);

// Whether its strongest head is a sink at step 0, before any training, and stays one; false where that was not
// measured.
bool ThereFromTheStart(const Run& run);

// The runs of an experiment that end with a sink which emerged in training and stayed, each training once: the longest
// where others only begin as it does. They are the study's own, which must outlive this.
struct Emerged {
  std::vector<std::vector<const Run*>> settings;  // those of each setting that has any
  int runs = 0;
  // Others that end with a sink, and why they do not count.
  int from_start = 0, unconfirmed = 0, repeats = 0;
};
Emerged RunsWithAnEmergedSink(const Study& study, const Experiment& experiment);

// The step at which the quantity has gone half of its way for good; nothing when it goes none or was not measured.
std::optional<double> HalfWay(const Run& run, Quantity quantity);

// How a quantity's half-way step lies to that of the sink, over the runs in which it emerged and in which both exist.
// Seeds of one setting are no independent draws of what settings do: with three settings or more the interval is of the
// settings' means, with fewer of the runs of the setting that has the most, if those of the other lie surely on the
// same side of 0.
struct Order {
  Quantity quantity = Quantity::kLoss;
  std::vector<double> lag;    // steps from the quantity to the sink: positive, the quantity comes first
  int before = 0, after = 0;  // runs in which the quantity comes before, and after, the sink
  double mean = 0;
  std::optional<Interval> interval;  // of the mean lag, 95 %
  double every = 0;                  // steps between measurements
};
// Of the quantities that some of the runs measure.
std::vector<Order> OrderOfEmergence(const Emerged& emerged);
// "before the sink", "after the sink", "not decided": by the interval; of fewer than three runs never decided.
std::string OrderText(const Order& order);

// Of the same runs: the share of its way that a quantity has gone at the step at which the sink has gone half of its
// own. A loss is half way down before anything else happens; this says how far down it is when the sink comes.
Summary GoneAtTheSink(const Emerged& emerged, Quantity quantity);

}  // namespace sink::report
