// See removal.h.
#include "coordinator/report/removal.h"

#include <algorithm>
#include <set>

#include "coordinator/report/evidence.h"
#include "coordinator/report/measures.h"

namespace sink::report {
namespace {

constexpr double kSink = 0.3;        // of the strongest head
constexpr double kLeastLoss = 0.01;  // nats a token
constexpr size_t kLeastVariants = 3;

bool IsMechanism(const std::string& key) { return key.starts_with("model.variant.") || key == "train.optimizer"; }

// Settings of the sweep, each once.
std::vector<Case> DistinctSettings(const Study& study, const Evidence& evidence) {
  std::vector<Case> cases;
  std::set<std::string> seen;
  for (const Experiment& experiment : study.experiments)
    for (const Case& c : evidence.Cases(experiment, {}))
      if (!IsEvaluation(*c.run) && seen.insert(SettingsWithout(*c.run, {})).second) cases.push_back(c);
  return cases;
}

bool IsVariant(const std::vector<std::string>& keys) {
  return !keys.empty() && std::all_of(keys.begin(), keys.end(), IsMechanism);
}

// The setting from which the others differ in the fewest keys, all together; of two as near the first.
const Case* BaseOf(const std::vector<Case>& cases) {
  const Case* base = nullptr;
  size_t least = 0;
  for (const Case& c : cases) {
    size_t keys = 0;
    for (const Case& other : cases) keys += DifferingKeys(*c.run, *other.run).size();
    if (base && keys >= least) continue;
    base = &c;
    least = keys;
  }
  return base;
}

std::optional<Effect> DifferenceOf(const std::vector<double>& a, const std::vector<double>& b, double least,
                                   const char* unit) {
  if (a.empty() || b.empty()) return std::nullopt;
  Effect effect{Summarize(a).mean - Summarize(b).mean, std::nullopt, least, unit};
  if (std::min(a.size(), b.size()) >= static_cast<size_t>(kLeastSeeds))
    effect.interval = DifferenceInterval(a, b, kOutside);
  return effect;
}

std::string VerdictOn(const Variant& variant, const std::vector<double>& alpha, const std::vector<double>& bias,
                      double base_alpha) {
  if (!variant.change || !variant.change->interval || base_alpha < kSink) return "not enough data";
  const Interval& interval = *variant.change->interval;
  if (interval.high < 0 && variant.change->value <= -kLeastAlpha) {
    if (MeanInterval(alpha, kOutside)->high >= kSink) return "weakens it";
    const auto of_bias = MeanInterval(bias, kOutside);
    if (bias.empty() || (of_bias && of_bias->high < kSink)) return "removes it";
    return of_bias && of_bias->low >= kSink ? "moves it to the bias" : "removes it from position 1";
  }
  if (interval.low > 0 && variant.change->value >= kLeastAlpha) return "strengthens it";
  if (interval.low > -kLeastAlpha) return "keeps it";
  return "not enough data";
}

}  // namespace

std::optional<Removal> WhatRemovesTheSink(const Study& study) {
  const Evidence evidence(study, Source::kOurs);
  const std::vector<Case> cases = DistinctSettings(study, evidence);
  const Case* const base = BaseOf(cases);
  if (!base) return std::nullopt;
  const auto values = [&evidence](const Case& c, Measure measure, const std::string& position = "1") {
    return evidence.Values(c, measure, position);
  };
  const std::vector<double> alpha = values(*base, Measure::kAlphaMax), loss = values(*base, Measure::kValidationLoss);
  Removal removal{&base->point(),   ShortLabel(base->point().label),
                  Summarize(alpha), Summarize(values(*base, Measure::kSinkRate)),
                  Summarize(loss),  {}};
  for (const Case& c : cases) {
    const std::vector<std::string> keys = DifferingKeys(*base->run, *c.run);
    if (!IsVariant(keys)) continue;
    Variant variant;
    variant.point = &c.point();
    for (const std::string& key : keys) {
      const std::string word = key + "=" + SettingText(*c.run, key);
      variant.label += (variant.label.empty() ? "" : " ") + ShortLabel(word);
    }
    const std::vector<double> of_alpha = values(c, Measure::kAlphaMax), of_loss = values(c, Measure::kValidationLoss);
    variant.alpha = Summarize(of_alpha);
    variant.rate = Summarize(values(c, Measure::kSinkRate));
    variant.loss = Summarize(of_loss);
    const std::vector<double> of_bias = values(c, Measure::kAlphaMax, "bias");
    if (!of_bias.empty()) variant.bias = Summarize(of_bias).mean;
    variant.change = DifferenceOf(of_alpha, alpha, kLeastAlpha, "alpha");
    variant.price = DifferenceOf(of_loss, loss, kLeastLoss, "nats");
    variant.verdict = VerdictOn(variant, of_alpha, of_bias, removal.alpha.mean);
    removal.variants.push_back(std::move(variant));
  }
  if (removal.variants.size() < kLeastVariants) return std::nullopt;
  return removal;
}

}  // namespace sink::report
