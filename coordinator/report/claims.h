// The kinds of statement that a takeaway can make about an experiment, and how each is judged against the numbers of
// finished runs. Pure; any thread.
//
// The rule, which reports print (RuleText):
//   What is measured. The sink rate of a position in percent, where a setting that the claim compares has a mean of 10
//   or more; in smaller models that says little (one head of 48 is 2 percent), and alpha of the strongest head stands
//   in. What is compared. Settings that differ in what the claim is about and in nothing else; where there are none,
//   that is said, and there is no verdict. The effect is a difference of means over seeds, positive in the direction of
//   the claim, in a 95 % interval, seed by seed where both sides have the same ones (statistics.h). Where the numbers
//   choose which settings are compared, the interval is widened for as many comparisons as there were to choose from
//   (Bonferroni). The claim holds when the whole interval is above 0 and the effect is at least the least that counts:
//   2 points of sink rate, 0.05 of alpha. It does not hold when the whole interval is below that least effect.
//   Everything else is not enough data: fewer than three seeds on a side always are, and so is a comparison in which no
//   setting has a sink (a sink rate of 1 percent; a strongest head above epsilon), settings without a result, and runs
//   that are no sample of what settings do (samples.h). Of a claim that a sink is there, the effect is how far it lies
//   above that level, and 0 is the least that counts. That a sink is gone takes an interval of what is left that lies
//   below that level; where that lies above it the claim does not hold, and the effect is that distance below 0,
//   however much weaker the sink has become. A claim about each of several settings holds when it does for all, and
//   does not when one refutes it in an interval widened for their number. Models that are measured and not trained have
//   no seeds: what was measured decides.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/report/evidence.h"
#include "coordinator/report/statistics.h"
#include "coordinator/report/study.h"

namespace sink::report {

inline constexpr int kLeastSeeds = 3;
inline constexpr double kOutside = 0.05;                        // the probability that an interval misses
inline constexpr double kLeastPercent = 2, kLeastAlpha = 0.05;  // effects that count

enum class Verdict { kHolds, kDoesNotHold, kNotEnoughData };
std::string VerdictText(Verdict verdict);  // "holds", "does not hold", "not enough data"
std::string RuleText();                    // the rule above, for a reader of the report

struct Effect {
  double value = 0;                  // positive in the direction of the claim
  std::optional<Interval> interval;  // nothing for too few seeds and for published numbers
  double least = 0;                  // from which it counts: 0 of a distance to a level; of NoEffect the tolerance
  std::string unit;                  // "points", "alpha", "steps", "nats"
  bool of_bound = false;             // NoEffect's: the claim is that it is below `least`
  bool at_least = false;             // Earlier's: some of the later sinks came after what was read, if at all
  int seeds = 0;                     // that it was measured with, on the side that has fewer; 0: none, or not known
};
std::string ShowEffect(const Effect& effect);  // "+0.36 [0.16, 0.57] alpha", "at least +900 [214, 1586] steps"
// What the effect's interval decides by the rule above; without one, nothing.
Verdict VerdictOf(const Effect& effect);
// "about 14 of a setting would tell": with how many seeds the interval of an effect of this size would decide, if their
// spread stays what it is; "would refute it" where it would decide against the claim. Empty where nothing is known of
// it.
std::string MoreSeedsText(const Effect& effect);

// Two settings that were compared, each named by a run of it.
struct Contrast {
  std::string setting;
  std::string control;

  bool operator==(const Contrast&) const = default;
};

struct Judgement {
  Verdict verdict = Verdict::kNotEnoughData;
  // For a table, in a few words: why nothing is decided, where a claim about several settings holds and where not, and
  // how many seeds have no value. Empty where the effect says it all.
  std::string remark;
  std::string comparison;         // our numbers, one sentence or two
  std::optional<Effect> effect;   // of the comparison that decided
  std::vector<Contrast> against;  // empty where settings are not held against each other
  std::string measure;            // "sink rate (%)", "alpha of the strongest head"
  // What was compared, every value of every seed in a fixed order: two judgements of a claim that have the same are one
  // comparison, whatever the sweeps call the settings.
  std::vector<double> numbers;
  // The same claim on the published numbers, which are single runs; empty where there are none for it.
  std::string paper;
  std::optional<Effect> paper_effect;
};

// The sink at the largest value of `key` against that at the smallest, each of its longest run.
struct Trend {
  std::string key;
  bool rising = true;        // the larger value has the stronger sink
  bool equal_steps = false;  // both at the step where the shorter run ended, so that lengths may differ, too
  std::string within;        // only among points of one value of this key: its smallest that has two of `key`
  std::string position = "1";
  Where where = {};
};

// With the larger value of `key` the sink passes what counts as one, for good, at an earlier step. A run in which it
// never does, or at the last measurement alone, or that diverged, counts as one in which it does at the end of the
// shorter runs.
struct Earlier {
  std::string key;
  Where where = {};
};

// In runs that end with a sink, the validation loss goes half of its way before alpha_1 of the strongest head does
// (emergence.h).
struct AfterTheLoss {};

// All points lie within `tolerance` percentage points, or `alpha_tolerance`, of each other.
struct NoEffect {
  std::string key;
  double tolerance = 4;
  double alpha_tolerance = 0.1;
};

// Some value of `key` above the smallest has a stronger sink than the smallest.
struct Increases {
  std::string key;
};

// The largest value of `key` (or, with `smallest`, the smallest) has no sink, where the strongest has one.
struct Removed {
  std::string key;
  bool smallest = false;
};

// Every point has a sink at position 1.
struct Present {
  Where where = {};
};

// The points have no sink at position 1, where their controls have one: settings of `control`, looked for in the whole
// sweep, that differ from the point in the keys of `where` and `control` alone.
struct Absent {
  Where where;
  Where control;
};

// The sink sits at these positions: the strongest of them exceeds every other position, in the same runs.
struct SitsAt {
  enum class Place { kFirst, kBias, kPrefix, kFixedToken, kLastRandomToken };
  Place place;
  Where where = {};
  std::string largest = {};  // only the point with the largest value of this key
};

using Claim = std::variant<Trend, Earlier, AfterTheLoss, NoEffect, Increases, Removed, Present, Absent, SitsAt>;

// Whether the experiment has a setting, finished or not, that the claim speaks of.
bool Concerns(const Study& study, const Experiment& experiment, const Claim& claim);

Judgement Judge(const Study& study, const Experiment& experiment, const Claim& claim);

}  // namespace sink::report
