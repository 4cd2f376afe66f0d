// What removes a sink, and at what price in loss: every variant of a sweep against the setting that they are variants
// of. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/report/claims.h"
#include "coordinator/report/statistics.h"
#include "coordinator/report/study.h"

namespace sink::report {

// A setting that differs from the base in how attention works or is trained: model.variant.*, train.optimizer.
struct Variant {
  const Point* point = nullptr;               // of the study
  std::string label;                          // what differs: "sink_logit=zero"
  int runs = 0, succeeded = 0, diverged = 0;  // seeds
  Summary alpha, rate, loss;                  // alpha_1 of the strongest head, Sink_1 in percent, validation loss
  Summary bias;                               // alpha of its strongest head on a place that is no token of the text: a
                                              // bias, a sink logit or a sink token; of none where it has no such place
  bool from_start = false;                    // every run has a sink at step 0 already (emergence.h)
  std::optional<Effect> change;               // of alpha_1, against the base; positive is stronger
  std::optional<Effect> price;                // in validation loss (nats a token); positive is worse
  // "removes it": surely below the level of a sink, not in the mean alone, and no bias has it instead; "moves it to the
  // bias": surely weaker, and the bias surely has one, whatever some seed keeps at position 1; "weakens it", "keeps
  // it", "strengthens it"; "there from the start", unless it is surely gone at the end: what is built in is not what
  // training brings about in the base; "not enough data", "did not finish" (no run succeeded), "still to come".
  std::string verdict;
  std::string remark;  // why its runs and the base's are no sample (samples.h), where they are none
};

struct Removal {
  const Point* point = nullptr;  // the base
  std::string base;              // its label
  int runs = 0, succeeded = 0, diverged = 0;
  Summary alpha, rate, loss, bias;
  bool from_start = false;
  std::vector<Variant> variants;  // those with results in file order, each setting once; then those without
};

// The setting that the study's others are variants of: from which they differ in the fewest keys, all together. Nothing
// while no run that trains has succeeded.
const Point* BaseOf(const Study& study);

// Nothing for a sweep with fewer than three variants of one base.
std::optional<Removal> WhatRemovesTheSink(const Study& study);

}  // namespace sink::report
