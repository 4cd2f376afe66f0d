// See emergence.h.
#include "coordinator/report/emergence.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "coordinator/report/claims.h"
#include "coordinator/report/measures.h"
#include "coordinator/report/repeats.h"
#include "coordinator/report/samples.h"
#include "proto/base/counted.h"
#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

constexpr double kLeastWay = 0.1;  // of the first value, that a quantity must go

// Whether a metric is one of the layers' of a quantity.
bool IsOf(const pipe::MetricName& name, Quantity quantity) {
  const bool of_layer = !name.layer.empty() && name.layer != pipe::kAllLayers;
  switch (quantity) {
    case Quantity::kHiddenNorm:
      return of_layer && name.kind == pipe::MetricKind::kHiddenNormRatio;
    case Quantity::kKeyNorm:
      return of_layer && name.kind == pipe::MetricKind::kEvalMetric && name.metric == "key_norm_ratio";
    case Quantity::kValueNorm:
      return of_layer && name.kind == pipe::MetricKind::kEvalMetric && name.metric == "value_norm_ratio";
    case Quantity::kSink:
    case Quantity::kLoss:
      break;
  }
  return false;
}

bool IsUsable(const Curve& curve) {
  return curve.size() >= 3 &&
         std::all_of(curve.begin(), curve.end(), [](const Sample& sample) { return std::isfinite(sample.value); });
}

// By how much a curve changes, as a share of its first value; ratios of 2 and of 1/2 change alike.
double Change(const Curve& curve) {
  const double first = std::fabs(curve.front().value), last = std::fabs(curve.back().value);
  return first > 0 && last > 0 ? std::fabs(std::log(last / first)) : 0;
}

const Curve* CurveOf(const Run& run, Quantity quantity) {
  const auto named = [&run](const std::string& name) -> const Curve* {
    const auto curve = run.curves.find(name);
    return curve != run.curves.end() && IsUsable(curve->second) ? &curve->second : nullptr;
  };
  if (quantity == Quantity::kSink) return named(MetricName(run, Measure::kAlphaMax, "1"));
  if (quantity == Quantity::kLoss) {
    const std::string validation = MetricName(run, Measure::kValidationLoss, "1");
    return named(validation.empty() ? MetricName(run, Measure::kTrainLoss, "1") : validation);
  }
  const Curve* most = nullptr;
  for (const auto& [text, curve] : run.curves) {
    const auto name = pipe::ParseMetricName(text);
    if (!name || !IsOf(*name, quantity) || !IsUsable(curve)) continue;
    if (!most || Change(curve) > Change(*most)) most = &curve;
  }
  return most;
}

Onsets OnsetsOf(const Study& study, const Point& point, Measure measure, double level) {
  Onsets onsets;
  for (const std::string& id : point.runs) {
    const Run& run = study.run(id);
    const std::string metric = MetricName(run, measure, "1");
    if (!run.final() || IsEvaluation(run) || metric.empty()) continue;
    ++onsets.runs;
    onsets.tokens_a_step = TokensOfAStep(run);
    for (const Sample& sample : run.curves.at(metric)) onsets.end = std::max(onsets.end, sample.step);
    if (Diverged(run)) {
      ++onsets.diverged;
      continue;
    }
    if (!run.succeeded()) {  // early stopping picks out runs by what they measure: those left are no sample
      ++onsets.unfinished;
      continue;
    }
    if (const auto step = Onset(run, metric, level))
      onsets.steps.push_back(static_cast<double>(*step));
    else
      onsets.unconfirmed += !run.curves.at(metric).empty() && run.curves.at(metric).back().value >= level;
  }
  std::sort(onsets.steps.begin(), onsets.steps.end());
  return onsets;
}

// Whether the lags of every setting lie on one side of 0, surely where they are enough to tell.
bool Agree(const std::vector<std::vector<double>>& settings, double resolution) {
  size_t before = 0, after = 0;
  for (const std::vector<double>& lags : settings) {
    const double mean = Summarize(lags).mean;
    const bool enough = static_cast<int>(lags.size()) >= kLeastSeeds;
    const Interval span = enough ? *MeanInterval(lags, kOutside, resolution) : Interval{mean, mean};
    before += span.low > 0;
    after += span.high < 0;
  }
  return std::max(before, after) == settings.size();
}

// The mean lag and its interval, from the lags of each setting that has any, known up to `resolution`.
void DrawFrom(const std::vector<std::vector<double>>& settings, double resolution, Order* order) {
  if (settings.empty()) return;
  const auto smaller = [](const auto& a, const auto& b) { return a.size() < b.size(); };
  const bool many = static_cast<int>(settings.size()) >= kLeastSeeds;
  std::vector<double> draws = *std::max_element(settings.begin(), settings.end(), smaller);
  if (many) {
    draws.clear();
    for (const std::vector<double>& lags : settings) draws.push_back(Summarize(lags).mean);
    const size_t fewest = std::min_element(settings.begin(), settings.end(), smaller)->size();
    resolution /= std::sqrt(static_cast<double>(fewest));
  }
  order->mean = Summarize(draws).mean;
  if (static_cast<int>(draws.size()) < kLeastSeeds) return;
  if (many || settings.size() == 1 || Agree(settings, resolution))
    order->interval = MeanInterval(draws, kOutside, resolution);
}

std::string TokenText(double tokens) {
  for (const auto& [unit, name] : {std::pair(1e9, "B"), {1e6, "M"}, {1e3, "k"}})
    if (tokens >= unit) return Fixed(tokens / unit, tokens / unit < 10 ? 1 : 0) + name;
  return Fixed(tokens, 0);
}

}  // namespace

std::string QuantityText(Quantity quantity) {
  switch (quantity) {
    case Quantity::kSink:
      return "alpha_1 of the strongest head";
    case Quantity::kLoss:
      return "validation loss";
    case Quantity::kHiddenNorm:
      return "norm of the first token's hidden state";
    case Quantity::kKeyNorm:
      return "norm of its keys";
    case Quantity::kValueNorm:
      return "norm of its values";
  }
  return "";
}

std::optional<double> Onsets::median() const {
  const size_t low = static_cast<size_t>(runs - 1) / 2, high = static_cast<size_t>(runs) / 2;
  if (runs == 0 || high >= steps.size()) return std::nullopt;
  return (steps[low] + steps[high]) / 2;
}

int Onsets::from_start() const { return static_cast<int>(std::count(steps.begin(), steps.end(), 0.0)); }

Onsets AlphaOnsets(const Study& study, const Point& point, double level) {
  return OnsetsOf(study, point, Measure::kAlphaMax, level);
}
Onsets RateOnsets(const Study& study, const Point& point, double percent) {
  return OnsetsOf(study, point, Measure::kSinkRate, percent / 100);
}

std::string ShowOnsets(const Onsets& onsets) {
  if (onsets.runs == 0) return "";
  std::string notes;
  const int from_start = onsets.from_start() < onsets.runs ? onsets.from_start() : 0;
  for (const auto& [count, what] : {std::pair(onsets.diverged, " diverged"),
                                    {onsets.unfinished, " did not finish"},
                                    {onsets.unconfirmed, " at the last measurement alone"},
                                    {from_start, " from the start"}})
    if (count > 0) notes += (notes.empty() ? "" : ", ") + std::to_string(count) + what;
  const std::string in = "in " + (onsets.steps.empty() ? "none" : std::to_string(onsets.steps.size())) + " of " +
                         Counted(onsets.runs, "run") + (notes.empty() ? "" : " (" + notes + ")");
  const auto tokens = [&onsets](double step, const char* before, const char* after) {
    if (!onsets.tokens_a_step) return std::string();
    return before + TokenText(step * static_cast<double>(*onsets.tokens_a_step)) + " tokens" + after;
  };
  const std::optional<double> median = onsets.median();
  if (!median) {
    const std::string text = "not within " + std::to_string(onsets.end) + " steps, " + in;
    if (onsets.steps.empty()) return text;
    const double first = onsets.steps.front();
    return text + ", the earliest at step " + Fixed(first, 0) + tokens(first, " (", ")");
  }
  if (*median == 0) return "there from the start, " + in;
  std::string text = "step " + Fixed(*median, 0);
  if (onsets.steps.size() > 1)
    text += " (" + Fixed(onsets.steps.front(), 0) + " to " + Fixed(onsets.steps.back(), 0) + ")";
  return text + tokens(*median, ", ", "") + ", " + in;
}

bool ThereFromTheStart(const Run& run) {
  return Onset(run, MetricName(run, Measure::kAlphaMax, "1"), kOnsetAlpha) == 0;
}

Emerged RunsWithAnEmergedSink(const Study& study, const Experiment& experiment) {
  struct Candidate {
    const Run* run;
    const Point* point;
  };
  Emerged emerged;
  std::vector<Candidate> candidates;
  std::set<std::string> seen;  // a run may stand under two settings' labels
  for (const Point& point : experiment.points)
    for (const std::string& id : point.runs) {
      const Run& run = study.run(id);
      const auto alpha = Value(run, Measure::kAlphaMax);
      if (!run.succeeded() || IsEvaluation(run) || !alpha || *alpha < kOnsetAlpha || !seen.insert(id).second) continue;
      if (ThereFromTheStart(run))
        ++emerged.from_start;
      else
        candidates.push_back({&run, &point});
    }
  // Of trainings that are one the longest counts: a shorter one would leave it the seeds whose sinks come late.
  const auto is_repeated = [&candidates](size_t i) {
    for (size_t k = 0; k < candidates.size(); ++k) {
      const Run &run = *candidates[i].run, &other = *candidates[k].run;
      const bool goes_before = other.step != run.step ? other.step > run.step : k < i;
      if (k != i && goes_before && AreOneTraining(run, other)) return true;
    }
    return false;
  };
  const Point* last = nullptr;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto& [run, point] = candidates[i];
    if (is_repeated(i)) {
      ++emerged.repeats;
    } else if (!Onset(*run, MetricName(*run, Measure::kAlphaMax, "1"), kOnsetAlpha)) {
      ++emerged.unconfirmed;
    } else {
      if (point != last) emerged.settings.emplace_back();
      emerged.settings.back().push_back(run);
      ++emerged.runs;
      last = point;
    }
  }
  return emerged;
}

std::optional<double> HalfWay(const Run& run, Quantity quantity) {
  const Curve* curve = CurveOf(run, quantity);
  if (!curve) return std::nullopt;
  const double first = curve->front().value, last = curve->back().value, way = last - first;
  if (std::fabs(way) < kLeastWay * std::fabs(first)) return std::nullopt;
  std::optional<double> step;
  for (const Sample& sample : *curve) {
    if ((sample.value - first) / way < 0.5)
      step.reset();
    else if (!step)
      step = static_cast<double>(sample.step);
  }
  return step;
}

std::vector<Order> OrderOfEmergence(const Emerged& emerged) {
  std::vector<Order> orders;
  for (const Quantity quantity : {Quantity::kLoss, Quantity::kHiddenNorm, Quantity::kKeyNorm, Quantity::kValueNorm}) {
    Order order;
    order.quantity = quantity;
    bool measured = false;
    std::vector<std::vector<double>> of_settings;
    for (const std::vector<const Run*>& runs : emerged.settings) {
      std::vector<double> lags;
      for (const Run* run : runs) {
        measured |= CurveOf(*run, quantity) != nullptr;
        const auto of_sink = HalfWay(*run, Quantity::kSink), of_quantity = HalfWay(*run, quantity);
        if (of_sink && of_quantity) lags.push_back(*of_sink - *of_quantity);
        const Json& steps = Setting(*run, "eval.every");
        if (steps.is_number()) order.every = std::max(order.every, steps.get<double>());
      }
      for (const double lag : lags) {
        order.lag.push_back(lag);
        order.before += lag > 0;
        order.after += lag < 0;
      }
      if (!lags.empty()) of_settings.push_back(std::move(lags));
    }
    if (!measured) continue;
    // A lag is a difference of two steps, each known up to the pause between measurements.
    DrawFrom(of_settings, std::sqrt(2.0) * order.every, &order);
    orders.push_back(std::move(order));
  }
  return orders;
}

std::string OrderText(const Order& order) {
  if (!order.interval) return "not decided";
  if (order.interval->low > 0) return "before the sink";
  if (order.interval->high < 0) return "after the sink";
  return "not decided";
}

Summary GoneAtTheSink(const Emerged& emerged, Quantity quantity) {
  std::vector<double> shares;
  for (const std::vector<const Run*>& runs : emerged.settings)
    for (const Run* run : runs) {
      const std::optional<double> sink = HalfWay(*run, Quantity::kSink);
      if (!sink || !HalfWay(*run, quantity)) continue;  // the quantity goes no way
      const Curve& curve = *CurveOf(*run, quantity);
      const double first = curve.front().value, way = curve.back().value - first;
      double value = first;
      for (const Sample& sample : curve)
        if (static_cast<double>(sample.step) <= *sink) value = sample.value;
      shares.push_back((value - first) / way);
    }
  return Summarize(shares);
}

}  // namespace sink::report
