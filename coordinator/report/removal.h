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
  std::optional<double> bias;                 // alpha of a bias's or sink token's strongest head, where there is one
  std::optional<Effect> change;               // of alpha_1, against the base; positive is stronger
  std::optional<Effect> price;                // in validation loss (nats a token); positive is worse
  // "removes it": surely below the level of a sink, not in the mean alone, and no bias has it instead; "moves it to the
  // bias", "weakens it", "keeps it", "strengthens it", "not enough data", "did not finish" (no run succeeded),
  // "still to come".
  std::string verdict;
  std::string remark;  // why its runs and the base's are no sample (samples.h), where they are none
};

struct Removal {
  const Point* point = nullptr;  // the base
  std::string base;              // its label
  int runs = 0, succeeded = 0, diverged = 0;
  Summary alpha, rate, loss;
  std::vector<Variant> variants;  // those with results in file order, each setting once; then those without
};

// Nothing for a sweep with fewer than three variants of one base.
std::optional<Removal> WhatRemovesTheSink(const Study& study);

}  // namespace sink::report
