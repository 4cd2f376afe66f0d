// See claims.h.
#include "coordinator/report/claims.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>

#include "coordinator/report/measures.h"
#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

constexpr double kSinkPercent = 1;                       // a sink rate from which we say that there is a sink
constexpr double kSinkAlpha = 1.5;                       // the same of alpha, in units of uniform attention
constexpr double kOnsetAlpha = 1.25;                     // the same where a sink begins
constexpr double kNearZero = 0.005;                      // percent; prints as 0.00
constexpr double kNoisePercent = 2, kNoiseAlpha = 0.01;  // of single runs; half of it with replicas

// A point with finished runs, and its settings as those of its first one.
struct Case {
  const Point* point = nullptr;
  const Run* run = nullptr;
};

bool Matches(const Run& run, const Where& where) {
  return std::all_of(where.begin(), where.end(),
                     [&run](const auto& want) { return SettingText(run, want.first) == want.second; });
}

double NumberOf(const Run& run, const std::string& key) {
  const Json& value = Setting(run, key);
  // No window at all is the widest.
  if (key == "model.variant.window" && value == 0) return INFINITY;
  return value.is_number() ? value.get<double>() : 0;
}

int64_t TokensOf(const Run& run) { return static_cast<int64_t>(NumberOf(run, "eval.tokens")); }

std::string Name(const Case& c) { return ShortLabel(c.point->label); }
std::string Name(const Case& c, const std::string& key) {
  return key.substr(key.rfind('.') + 1) + " " + SettingText(*c.run, key);
}

// Number of a position for UniformAlpha; a bias sees what position 1 sees.
int64_t Number(const std::string& position) { return position == "bias" ? 1 : std::atoll(position.c_str()); }

// Judges a claim about an experiment, of whatever kind. Judges one claim at a time: `rates_` belongs to it.
class ClaimJudge {
 public:
  ClaimJudge(const Study& study, const Experiment& experiment) : study_(study), experiment_(experiment) {}

  Judgement operator()(const Trend& claim) {
    std::vector<Case> cases = Finished(claim.where);
    if (!claim.within.empty()) cases = WithinSmallest(cases, claim.within, claim.key);
    const auto [low, high] = Extremes(cases, claim.key);
    if (!low.run || !high.run) return Missing(claim.key, claim.where);
    UseRatesIfAny(cases, {claim.position});
    int64_t step = kEnd;
    std::string at = claim.position == "1" ? "" : " at position " + claim.position;
    if (claim.equal_steps) {
      step = std::min(low.run->step, high.run->step);
      at += " at step " + std::to_string(step);
    }
    const Summary of_low = Measured(low, claim.position, step), of_high = Measured(high, claim.position, step);
    const std::string also = Others(cases, claim.key, {low, high}, claim.position, step);
    const Summary& larger = claim.rising ? of_high : of_low;
    const Summary& smaller = claim.rising ? of_low : of_high;
    return Compare(high, larger, smaller,
                   Quantity() + at + " " + Show(of_high) + " at " + Name(high, claim.key) + " against " + Show(of_low) +
                       " at " + Name(low, claim.key) + also);
  }

  Judgement operator()(const Earlier& claim) {
    const std::vector<Case> cases = Finished(claim.where);
    const auto [low, high] = Extremes(cases, claim.key);
    if (!low.run || !high.run) return Missing(claim.key, claim.where);
    UseRatesIfAny(cases, {"1"});
    const Onsets of_low = OnsetsOf(low), of_high = OnsetsOf(high);
    const int64_t both = std::min(low.run->step, high.run->step);
    const std::string text = std::string("a sink (") + (rates_ ? "rate 1 %" : "mean alpha_1 1.25 times uniform") +
                             ") " + of_high.Text() + " at " + Name(high, claim.key) + ", " + of_low.Text() + " at " +
                             Name(low, claim.key) + Note();
    // Where there are replicas, every one of the one side must come before every one of the other.
    if (of_high.last < std::min(of_low.first, both)) return {Verdict::kHolds, text};
    if (of_low.last < std::min(of_high.first, both)) return {Verdict::kDoesNotHold, text};
    return {Verdict::kNotEnoughData, text};
  }

  Judgement operator()(const NoEffect& claim) {
    const std::vector<Case> cases = Finished({});
    const auto [low, high] = Extremes(cases, claim.key);
    if (!low.run || !high.run) return Missing(claim.key, {});
    UseRatesIfAny(cases, {"1"});
    Summary least, most;
    std::string list;
    double sum = 0;
    for (const Case& c : cases) {
      const Summary s = Measured(c, "1");
      if (least.n == 0 || s.mean < least.mean) least = s;
      if (most.n == 0 || s.mean > most.mean) most = s;
      sum += s.mean / static_cast<double>(cases.size());
      list += (list.empty() ? "" : ", ") + Show(s) + " at " + Name(c, claim.key);
    }
    const double range = most.mean - least.mean;
    const double tolerance = rates_ ? claim.tolerance : 0.1 * sum;
    const std::string text =
        Quantity() + " " + list + ": a range of " + ShowNumber(range) + ", tolerance " + ShowNumber(tolerance) + Note();
    if (!HasSink(cases.front(), most)) return {Verdict::kNotEnoughData, text + "; there is no sink to be moved"};
    if (range <= tolerance) return {Verdict::kHolds, text};
    if (range > tolerance + Noise(most, least)) return {Verdict::kDoesNotHold, text};
    return {Verdict::kNotEnoughData, text + ", noise " + ShowNumber(Noise(most, least))};
  }

  Judgement operator()(const Increases& claim) {
    const std::vector<Case> cases = Finished({});
    const auto [low, high] = Extremes(cases, claim.key);
    if (!low.run || !high.run) return Missing(claim.key, {});
    UseRatesIfAny(cases, {"1"});
    const Case peak = Strongest(cases, &low);
    const Summary of_peak = Measured(peak, "1"), of_low = Measured(low, "1");
    return Compare(peak, of_peak, of_low,
                   Quantity() + " at most " + Show(of_peak) + ", at " + Name(peak, claim.key) + ", against " +
                       Show(of_low) + " at " + Name(low, claim.key) + Others(cases, claim.key, {peak, low}, "1", kEnd));
  }

  Judgement operator()(const Removed& claim) {
    const std::vector<Case> cases = Finished({});
    const auto [low, high] = Extremes(cases, claim.key);
    if (!low.run || !high.run) return Missing(claim.key, {});
    UseRatesIfAny(cases, {"1"});
    const Case& extreme = claim.smallest ? low : high;
    const Case peak = Strongest(cases, &extreme);
    return Gone(extreme, Measured(extreme, "1"), Name(extreme, claim.key), peak, Name(peak, claim.key));
  }

  Judgement operator()(const Present& claim) {
    const std::vector<Case> cases = Finished(claim.where);
    if (cases.empty()) return Missing("", claim.where);
    UseRatesIfAny(cases, {"1"});
    std::string list;
    int with = 0;
    for (const Case& c : cases) {
      const Summary s = Measured(c, "1");
      with += HasSink(c, s);
      list += (list.empty() ? "" : ", ") + Show(s) + " at " + Name(c);
    }
    const std::string text = Quantity() + " " + list + Note();
    if (with == static_cast<int>(cases.size())) {
      if (Unfinished(claim.where) == 0) return {Verdict::kHolds, text};
      return {Verdict::kNotEnoughData,
              text + "; " + std::to_string(Unfinished(claim.where)) + " settings not finished"};
    }
    // Where most settings have no sink, the models may just be too small or too young.
    if (!rates_ || 2 * with < static_cast<int>(cases.size())) return {Verdict::kNotEnoughData, text};
    return {Verdict::kDoesNotHold, text};
  }

  Judgement operator()(const Absent& claim) {
    const std::vector<Case> cases = Finished(claim.where);
    if (cases.empty()) return Missing("", claim.where);
    Case control;
    for (const Experiment& experiment : study_.experiments)
      for (const Case& c : FinishedOf(experiment, claim.control))
        if (!control.run) control = c;
    std::vector<Case> all = cases;
    if (control.run) all.push_back(control);
    UseRatesIfAny(all, {"1"});
    const Case strongest = Strongest(cases, nullptr);
    const Summary s = Measured(strongest, "1");
    if (!control.run) {
      return {Verdict::kNotEnoughData, Quantity() + " " + Show(s) + " at " + Name(strongest) +
                                           "; no finished run with a sink to hold it against" + Note()};
    }
    return Gone(strongest, s, Name(strongest), control, Name(control));
  }

  Judgement operator()(const SitsAt& claim) {
    std::vector<Case> cases = Finished(claim.where);
    if (!claim.largest.empty() && !cases.empty()) {
      const auto [low, high] = Extremes(cases, claim.largest);
      cases = {high.run ? high : cases.front()};
    }
    std::erase_if(cases, [&claim](const Case& c) { return Inside(c, claim.place).empty(); });
    if (cases.empty()) return Missing("", claim.where);
    UseRatesIfAny(cases, Positions(cases));
    Judgement all{Verdict::kHolds, Quantity() + " "};
    for (const Case& c : cases) {
      const std::set<std::string> inside = Inside(c, claim.place);
      double within = 0, beyond = 0;
      Summary of_inside, of_outside;
      std::string where_outside, where_inside;
      for (const std::string& position : Positions({c})) {
        const Summary s = Measured(c, position);
        if (s.n == 0) continue;
        if (inside.contains(position)) {
          within += s.mean / static_cast<double>(inside.size());
          of_inside = s;
          where_inside += (where_inside.empty() ? "" : ", ") + position;
        } else if (of_outside.n == 0 || Excess(c, position, s) > beyond) {
          beyond = Excess(c, position, s);
          of_outside = s;
          where_outside = position;
        }
      }
      if (of_inside.n == 0 || of_outside.n == 0) return Missing("", claim.where);
      of_inside.mean = within;
      const double noise = Noise(of_inside, of_outside);
      const double lead = Excess(c, where_inside.substr(0, where_inside.find(',')), of_inside) - beyond;
      const Verdict verdict = !HasSink(c, of_inside) && !HasSink(c, of_outside) ? Verdict::kNotEnoughData
                              : lead > noise                                    ? Verdict::kHolds
                              : lead < -noise                                   ? Verdict::kDoesNotHold
                                                                                : Verdict::kNotEnoughData;
      if (&c != &cases.front()) all.comparison += "; ";
      all.comparison += ShowNumber(within) + " at position " + where_inside + " against " + Show(of_outside) +
                        " at position " + where_outside + " (" + Name(c) + ")";
      if (verdict == Verdict::kDoesNotHold || all.verdict == Verdict::kHolds) all.verdict = verdict;
    }
    all.comparison += Note();
    return all;
  }

 private:
  // --- Which runs.

  std::vector<Case> FinishedOf(const Experiment& experiment, const Where& where) const {
    std::vector<Case> cases;
    for (const Point& point : experiment.points) {
      const auto run = std::find_if(point.runs.begin(), point.runs.end(),
                                    [this](const std::string& id) { return study_.run(id).succeeded(); });
      if (run == point.runs.end() || !Matches(study_.run(*run), where)) continue;
      if (Summarize(study_, point, Measure::kAlphaMean).n + Summarize(study_, point, Measure::kSinkRate).n == 0)
        continue;
      cases.push_back({&point, &study_.run(*run)});
    }
    return cases;
  }
  std::vector<Case> Finished(const Where& where) const { return FinishedOf(experiment_, where); }

  int Unfinished(const Where& where) const {
    int count = 0;
    for (const Point& point : experiment_.points)
      count += std::any_of(point.runs.begin(), point.runs.end(),
                           [&](const std::string& id) { return Matches(study_.run(id), where); }) &&
               std::none_of(point.runs.begin(), point.runs.end(),
                            [this](const std::string& id) { return study_.run(id).succeeded(); });
    return count;
  }

  Judgement Missing(const std::string& key, const Where& where) const {
    std::string what = key.empty() ? "needs a finished run" : "needs finished runs at two values of " + key;
    for (const auto& [name, value] : where) what += (&value == &where[0].second ? " with " : ", ") + name + " " + value;
    return {Verdict::kNotEnoughData, what};
  }

  // The points with the smallest and the largest value, of each the longest; both empty when there is only one value.
  static std::pair<Case, Case> Extremes(const std::vector<Case>& cases, const std::string& key) {
    Case low, high;
    const auto longer = [](const Case& a, const Case& b) { return a.run->step > b.run->step; };
    for (const Case& c : cases) {
      const double value = NumberOf(*c.run, key);
      if (!low.run || value < NumberOf(*low.run, key) || (value == NumberOf(*low.run, key) && longer(c, low))) low = c;
      if (!high.run || value > NumberOf(*high.run, key) || (value == NumberOf(*high.run, key) && longer(c, high)))
        high = c;
    }
    if (low.run && NumberOf(*low.run, key) == NumberOf(*high.run, key)) return {};
    return {low, high};
  }

  static std::vector<Case> WithinSmallest(const std::vector<Case>& cases, const std::string& within,
                                          const std::string& key) {
    std::set<double> values;
    for (const Case& c : cases) values.insert(NumberOf(*c.run, within));
    for (double value : values) {
      std::vector<Case> some;
      for (const Case& c : cases)
        if (NumberOf(*c.run, within) == value) some.push_back(c);
      if (Extremes(some, key).first.run) return some;
    }
    return {};
  }

  // Leaves `but` out, unless it is the only one.
  Case Strongest(const std::vector<Case>& cases, const Case* but) const {
    Case best;
    for (const Case& c : cases) {
      if (but && c.run == but->run && cases.size() > 1) continue;
      if (!best.run || Measured(c, "1").mean > Measured(best, "1").mean) best = c;
    }
    return best;
  }

  // Where the sinks of a point's replicas begin; kEnd for one that never does.
  struct Onsets {
    int64_t first = kEnd;
    int64_t last = 0;
    std::string Text() const {
      if (first == kEnd) return "never";
      if (first == last) return "from step " + std::to_string(first);
      return "from step " + std::to_string(first) + " to " + (last == kEnd ? "never" : std::to_string(last));
    }
  };
  Onsets OnsetsOf(const Case& c) const {
    const double level = rates_ ? kSinkPercent / 100 : kOnsetAlpha * UniformAlpha(1, TokensOf(*c.run));
    Onsets onsets;
    for (const std::string& id : c.point->runs) {
      const Run& run = study_.run(id);
      if (!run.succeeded()) continue;
      const int64_t step = Onset(run, MetricName(run, TheMeasure(), "1"), level).value_or(kEnd);
      onsets.first = std::min(onsets.first, step);
      onsets.last = std::max(onsets.last, step);
    }
    return onsets;
  }

  // --- Which number.

  void UseRatesIfAny(const std::vector<Case>& cases, const std::set<std::string>& positions) {
    rates_ = false;
    for (const Case& c : cases)
      for (const std::string& position : positions)
        rates_ |= Summarize(study_, *c.point, Measure::kSinkRate, position).most > kNearZero;
  }
  Measure TheMeasure() const { return rates_ ? Measure::kSinkRate : Measure::kAlphaMean; }
  std::string Quantity() const { return rates_ ? "sink rate (%)" : "mean alpha"; }
  std::string Note() const {
    return rates_ ? "" : "; every sink rate here is 0 at this epsilon, so the mean importance alpha stands in";
  }
  Summary Measured(const Case& c, const std::string& position, int64_t step = kEnd) const {
    return Summarize(study_, *c.point, TheMeasure(), position, step);
  }
  std::string Show(const Summary& s) const { return s.n == 0 ? "(not measured)" : ShowSummary(s, rates_ ? 1 : 3); }
  std::string ShowNumber(double value) const { return Fixed(value, rates_ ? 1 : 3); }

  bool HasSink(const Case& c, const Summary& s) const {
    return s.n > 0 && s.mean > (rates_ ? kSinkPercent : kSinkAlpha * UniformAlpha(1, TokensOf(*c.run)));
  }
  // Comparable between positions: alpha without what uniform attention gives there.
  double Excess(const Case& c, const std::string& position, const Summary& s) const {
    return rates_ ? s.mean : s.mean - UniformAlpha(Number(position), TokensOf(*c.run));
  }
  double Noise(const Summary& a, const Summary& b) const {
    const double single = rates_ ? kNoisePercent : kNoiseAlpha;
    if (a.n < 2 || b.n < 2) return single;
    return std::max(single / 2, 2 * std::sqrt(a.deviation * a.deviation / a.n + b.deviation * b.deviation / b.n));
  }

  // --- What follows.

  // `c`: any of the cases, for what uniform attention scores.
  Judgement Compare(const Case& c, const Summary& larger, const Summary& smaller, std::string text) const {
    if (larger.n == 0 || smaller.n == 0) return {Verdict::kNotEnoughData, text + Note()};
    const double lead = larger.mean - smaller.mean, noise = Noise(larger, smaller);
    text += ": a difference of " + ShowNumber(std::fabs(lead)) + ", noise " + ShowNumber(noise) + Note();
    const double uniform = UniformAlpha(1, TokensOf(*c.run));
    if (!rates_ && std::max(larger.mean, smaller.mean) < kOnsetAlpha * uniform)
      return {Verdict::kNotEnoughData,
              text + "; uniform attention scores " + ShowNumber(uniform) + ", so neither is near a sink"};
    return {lead > noise ? Verdict::kHolds : lead < -noise ? Verdict::kDoesNotHold : Verdict::kNotEnoughData, text};
  }

  Judgement Gone(const Case& c, const Summary& s, const std::string& name, const Case& control,
                 const std::string& control_name) const {
    const Summary with = Measured(control, "1");
    const std::string text = Quantity() + " " + Show(s) + " at " + name + " against " + Show(with) + " at " +
                             control_name + ", noise " + ShowNumber(Noise(with, s)) + Note();
    if (HasSink(c, s)) {
      const bool clear = rates_ ? s.mean > kSinkPercent + Noise(with, s) / 2 : true;
      return {clear ? Verdict::kDoesNotHold : Verdict::kNotEnoughData, text};
    }
    if (!HasSink(control, with)) return {Verdict::kNotEnoughData, text + "; there is no sink to be missed"};
    return {with.mean - s.mean > Noise(with, s) ? Verdict::kHolds : Verdict::kNotEnoughData, text};
  }

  // ", between them 18.2 at 0.0004, ...".
  std::string Others(const std::vector<Case>& cases, const std::string& key, const std::vector<Case>& named,
                     const std::string& position, int64_t step) const {
    std::string list;
    for (const Case& c : cases) {
      if (std::any_of(named.begin(), named.end(), [&c](const Case& n) { return n.point == c.point; })) continue;
      if (step != kEnd && c.run->step < step) continue;
      list +=
          (list.empty() ? " (others: " : ", ") + Show(Measured(c, position, step)) + " at " + SettingText(*c.run, key);
    }
    return list.empty() ? "" : list + ")";
  }

  static std::set<std::string> Inside(const Case& c, SitsAt::Place place) {
    const auto number = [&c](const char* key) { return static_cast<int>(NumberOf(*c.run, key)); };
    std::set<std::string> positions;
    switch (place) {
      case SitsAt::Place::kFirst:
        positions.emplace(pipe::kFirstPosition);
        break;
      case SitsAt::Place::kBias:
        positions.emplace(pipe::kBiasPosition);
        break;
      case SitsAt::Place::kPrefix:
        for (int p = 1; p <= number("model.variant.prefix_length"); ++p) positions.insert(std::to_string(p));
        break;
      case SitsAt::Place::kFixedToken:
        if (const int p = number("data.fixed_token_position"); p > 0) positions.insert(std::to_string(p));
        break;
      case SitsAt::Place::kLastRandomToken:
        if (const int end = number("data.random_tokens_end"); end > 0) positions.insert(std::to_string(end));
        break;
    }
    return positions;
  }

  // Every position whose alpha the cases measured.
  static std::set<std::string> Positions(const std::vector<Case>& cases) {
    std::set<std::string> positions;
    for (const Case& c : cases)
      for (const auto& [text, curve] : c.run->curves) {
        const auto name = pipe::ParseMetricName(text);
        if (name && name->kind == pipe::MetricKind::kAlphaMean) positions.emplace(name->position);
      }
    return positions;
  }

  const Study& study_;
  const Experiment& experiment_;
  bool rates_ = true;
};

}  // namespace

std::string VerdictText(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHolds:
      return "holds";
    case Verdict::kDoesNotHold:
      return "does not hold";
    case Verdict::kNotEnoughData:
      break;
  }
  return "not enough data";
}

Judgement Judge(const Study& study, const Experiment& experiment, const Claim& claim) {
  return std::visit(ClaimJudge(study, experiment), claim);
}

}  // namespace sink::report
