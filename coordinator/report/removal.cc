// See removal.h.
#include "coordinator/report/removal.h"

#include <algorithm>
#include <set>

#include "coordinator/report/emergence.h"
#include "coordinator/report/evidence.h"
#include "coordinator/report/measures.h"
#include "coordinator/report/samples.h"

namespace sink::report {
namespace {

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
const Case* BaseAmong(const std::vector<Case>& cases) {
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

// Whether each run that succeeded, and any did, has a sink before any training.
bool AllFromTheStart(const Study& study, const Point& point) {
  int succeeded = 0, from_start = 0;
  for (const std::string& id : point.runs) {
    const Run& run = study.run(id);
    succeeded += run.succeeded();
    from_start += run.succeeded() && ThereFromTheStart(run);
  }
  return succeeded > 0 && from_start == succeeded;
}

// `alpha`, `bias`: of the strongest head at position 1, and on a place that is no token.
std::string VerdictOn(const Variant& variant, const Seeds& alpha, const Seeds& bias, double base_alpha) {
  const auto of_alpha = MeanInterval(alpha.values, kOutside), of_bias = MeanInterval(bias.values, kOutside);
  const bool is_gone = of_alpha && of_alpha->high < kOnsetAlpha;
  if (variant.from_start && !is_gone) return "there from the start";
  if (!variant.remark.empty() || !variant.change || !variant.change->interval || base_alpha < kOnsetAlpha)
    return "not enough data";
  const Interval& interval = *variant.change->interval;
  if (interval.high < 0 && variant.change->value <= -kLeastAlpha) {
    if (of_bias && of_bias->low >= kOnsetAlpha) return "moves it to the bias";
    if (!is_gone) return "weakens it";
    const bool bias_has_none = bias.empty() || (of_bias && of_bias->high < kOnsetAlpha);
    return bias_has_none ? "removes it" : "removes it from position 1";
  }
  if (interval.low > 0 && variant.change->value >= kLeastAlpha) return "strengthens it";
  if (interval.low > -kLeastAlpha) return "keeps it";
  return "not enough data";
}

}  // namespace

const Point* BaseOf(const Study& study) {
  const std::vector<Case> cases = DistinctSettings(study, Evidence(study, Source::kOurs));
  const Case* const base = BaseAmong(cases);
  return base ? &base->point() : nullptr;
}

std::optional<Removal> WhatRemovesTheSink(const Study& study) {
  const Evidence evidence(study, Source::kOurs);
  const std::vector<Case> cases = DistinctSettings(study, evidence);
  const Case* const base = BaseAmong(cases);
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
  removal.bias = Summarize(values(*base, Measure::kAlphaMax, "bias"));
  removal.from_start = AllFromTheStart(study, base->point());
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
    variant.bias = Summarize(of_bias);
    variant.from_start = AllFromTheStart(study, c.point());
    variant.change = DifferenceOf(of_alpha, alpha, kLeastAlpha, "alpha");
    variant.price = DifferenceOf(of_loss, loss, kLeastLoss, "nats");
    variant.remark = WhyNoSample(FlawsOf(study, {&base->point(), &c.point()}));
    variant.verdict = VerdictOn(variant, of_alpha, of_bias, removal.alpha.mean);
    removal.variants.push_back(std::move(variant));
  }
  if (removal.variants.size() < kLeastVariants) return std::nullopt;
  for (Variant& variant : Unfinished(study, *base->run)) removal.variants.push_back(std::move(variant));
  return removal;
}

}  // namespace sink::report
