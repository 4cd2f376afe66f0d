// The kinds of statement that a takeaway can make about an experiment, and how each is judged against the numbers of
// finished runs. Pure; any thread.
//
// What is compared: the sink rate of a position, in percent. A model too small for any head to cross epsilon has none:
// where every run that a claim looks at has a sink rate of 0, the mean importance (alpha) of that position stands in,
// and the comparison says so. It counts as a sink from 1.5 times what uniform attention scores (measures.h).
//
// When a difference counts: it must exceed the noise. With replicas on both sides that is twice the standard error of
// the difference of their means, and at least 1 percentage point (0.005 of alpha); of single runs, 2 points (0.01): the
// paper's own numbers are single runs, whose gaps of 1 to 2 points say nothing. What stays inside the noise is "not
// enough data".
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/report/study.h"

namespace sink::report {

enum class Verdict { kHolds, kDoesNotHold, kNotEnoughData };
std::string VerdictText(Verdict verdict);  // "holds", "does not hold", "not enough data"

struct Judgement {
  Verdict verdict = Verdict::kNotEnoughData;
  std::string comparison;  // the numbers, one sentence or two
};

// Settings that a point has, by dotted key: {{"model.variant.similarity", "sigmoid"}}. Empty: every point.
using Where = std::vector<std::pair<std::string, std::string>>;

// The sink at the largest value of `key` against that at the smallest, each of its longest run.
struct Trend {
  std::string key;
  bool rising = true;        // the larger value has the stronger sink
  bool equal_steps = false;  // both at the step where the shorter run ended
  std::string within;        // only among points of one value of this key: its smallest that has two of `key`
  std::string position = "1";
  Where where = {};
};

// The larger value of `key` reaches a sink (1 %; of alpha, 1.25 times uniform) at an earlier step.
struct Earlier {
  std::string key;
  Where where = {};
};

// All points lie within `tolerance` percentage points (of alpha: a tenth of their mean) of each other.
struct NoEffect {
  std::string key;
  double tolerance = 4;
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

// The points have no sink at position 1, where those of `control`, looked for in the whole sweep, have one.
struct Absent {
  Where where;
  Where control;
};

// The sink sits at these positions: the mean over them exceeds every other position's.
struct SitsAt {
  enum class Place { kFirst, kBias, kPrefix, kFixedToken, kLastRandomToken };
  Place place;
  Where where = {};
  std::string largest = {};  // only the point with the largest value of this key
};

using Claim = std::variant<Trend, Earlier, NoEffect, Increases, Removed, Present, Absent, SitsAt>;

Judgement Judge(const Study& study, const Experiment& experiment, const Claim& claim);

}  // namespace sink::report
