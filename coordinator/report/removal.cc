// See removal.h.
#include "coordinator/report/removal.h"

#include <algorithm>
#include <set>

#include "coordinator/report/evidence.h"
#include "coordinator/report/measures.h"
#include "coordinator/report/samples.h"

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

std::optional<Effect> DifferenceOf(const Seeds& a, const Seeds& b, double least, const char* unit) {
  if (a.empty() || b.empty()) return std::nullopt;
  Effect effect{Summarize(a).mean - Summarize(b).mean, std::nullopt, least, unit};
  if (std::min(a.size(), b.size()) >= static_cast<size_t>(kLeastSeeds))
    effect.interval = DifferenceInterval(a, b, kOutside);
  return effect;
}

// What differs: "sink_logit=zero".
std::string LabelOf(const Run& run, const std::vector<std::string>& keys) {
  std::string label;
  for (const std::string& key : keys)
    label += (label.empty() ? "" : " ") + ShortLabel(key + "=" + SettingText(run, key));
  return label;
}

// Sets how many seeds a setting has, and what became of them.
template <typename Setting>
void CountSeeds(const Study& study, const Point& point, Setting* setting) {
  setting->runs = static_cast<int>(point.runs.size());
  for (const std::string& id : point.runs) {
    setting->succeeded += study.run(id).succeeded();
    setting->diverged += Diverged(study.run(id));
  }
}

// Variants of the base of which no run has a result.
std::vector<Variant> Unfinished(const Study& study, const Run& base) {
  std::vector<Variant> variants;
  std::set<std::string> seen;
  for (const Experiment& experiment : study.experiments)
    for (const Point& point : experiment.points) {
      Variant variant;
      CountSeeds(study, point, &variant);
      if (variant.runs == 0 || variant.succeeded > 0) continue;
      const Run& run = study.run(point.runs.front());
      const std::vector<std::string> keys = DifferingKeys(base, run);
      if (IsEvaluation(run) || !IsVariant(keys) || !seen.insert(SettingsWithout(run, {})).second) continue;
      variant.point = &point;
      variant.label = LabelOf(run, keys);
      const bool over = std::all_of(point.runs.begin(), point.runs.end(),
                                    [&study](const std::string& id) { return study.run(id).final(); });
      variant.verdict = over ? "did not finish" : "still to come";
      variants.push_back(std::move(variant));
    }
  return variants;
}

std::string VerdictOn(const Variant& variant, const Seeds& alpha, const Seeds& bias, double base_alpha) {
  if (!variant.change || !variant.change->interval || base_alpha < kSink) return "not enough data";
  const Interval& interval = *variant.change->interval;
  if (interval.high < 0 && variant.change->value <= -kLeastAlpha) {
    if (MeanInterval(alpha.values, kOutside)->high >= kSink) return "weakens it";
    const auto of_bias = MeanInterval(bias.values, kOutside);
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
  const Seeds alpha = values(*base, Measure::kAlphaMax), loss = values(*base, Measure::kValidationLoss);
  Removal removal;
  removal.point = &base->point();
  removal.base = ShortLabel(base->point().label);
  CountSeeds(study, base->point(), &removal);
  removal.alpha = Summarize(alpha);
  removal.rate = Summarize(values(*base, Measure::kSinkRate));
  removal.loss = Summarize(loss);
  for (const Case& c : cases) {
    const std::vector<std::string> keys = DifferingKeys(*base->run, *c.run);
    if (!IsVariant(keys)) continue;
    Variant variant;
    variant.point = &c.point();
    variant.label = LabelOf(*c.run, keys);
    CountSeeds(study, c.point(), &variant);
    const Seeds of_alpha = values(c, Measure::kAlphaMax), of_loss = values(c, Measure::kValidationLoss);
    variant.alpha = Summarize(of_alpha);
    variant.rate = Summarize(values(c, Measure::kSinkRate));
    variant.loss = Summarize(of_loss);
    const Seeds of_bias = values(c, Measure::kAlphaMax, "bias");
    if (!of_bias.empty()) variant.bias = Summarize(of_bias).mean;
    variant.change = DifferenceOf(of_alpha, alpha, kLeastAlpha, "alpha");
    variant.price = DifferenceOf(of_loss, loss, kLeastLoss, "nats");
    variant.remark = WhyNoSample(FlawsOf(study, {&base->point(), &c.point()}));
    variant.verdict =
        variant.remark.empty() ? VerdictOn(variant, of_alpha, of_bias, removal.alpha.mean) : "not enough data";
    removal.variants.push_back(std::move(variant));
  }
  if (removal.variants.size() < kLeastVariants) return std::nullopt;
  for (Variant& variant : Unfinished(study, *base->run)) removal.variants.push_back(std::move(variant));
  return removal;
}

}  // namespace sink::report
