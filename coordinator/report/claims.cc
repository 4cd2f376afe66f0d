// See claims.h.
#include "coordinator/report/claims.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

#include "coordinator/report/after_the_loss.h"
#include "coordinator/report/labels.h"
#include "coordinator/report/measures.h"
#include "coordinator/report/places.h"
#include "coordinator/report/samples.h"
#include "proto/base/counted.h"
#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

constexpr double kRatesFrom = 10;   // percent: a mean from which sink rates are what is compared
constexpr double kSinkPercent = 1;  // a sink rate from which we say that there is a sink
constexpr double kSinkAlpha = 0.3;  // the same of a head's alpha, where a run names no epsilon
constexpr char kFirst[] = "1";

// Remarks.
constexpr char kTooFewSeeds[] = "fewer than three seeds", kTooWide[] = "the seeds lie too far apart",
               kNoSink[] = "no sink on either side", kNoControl[] = "no setting to hold it against",
               kNotRun[] = "not run", kStillThere[] = "the sink is there";

// Where the learning rate stays as it is, a shorter run is the beginning of a longer one.
bool IsConstantRate(const Run& run) { return Setting(run, "train.min_learning_rate").is_null(); }

std::string Name(const Case& c) { return ShortLabel(c.point().label); }
std::string Name(const Case& c, const std::string& key) {
  return key.substr(key.rfind('.') + 1) + " " + SettingText(*c.run, key);
}

// Of which settings a claim speaks.
Where WhereOf(const Claim& claim) {
  return std::visit(
      [](const auto& kind) -> Where {
        if constexpr (requires { kind.where; }) return kind.where;
        return {};
      },
      claim);
}

// Judges a claim about an experiment, of whatever kind. Judges one claim at a time: `rates_`, `exact_` and `outside_`
// belong to it.
class ClaimJudge {
 public:
  ClaimJudge(const Study& study, const Experiment& experiment, Source source)
      : evidence_(study, source), experiment_(experiment) {}

  Judgement operator()(const Trend& claim) {
    const std::vector<Case> cases = SeriesOf(claim.key, claim.where, claim.within, claim.equal_steps);
    if (cases.empty()) return NoSeries(claim.key, claim.where);
    const auto [low, high] = Extremes(cases, claim.key);
    UseMeasureFor(cases, {claim.position});
    int64_t step = kEnd;
    std::string at = claim.position == kFirst ? "" : " at position " + claim.position;
    if (claim.equal_steps && !IsPaper()) {
      step = std::min(low.run->step, high.run->step);
      at += " at step " + std::to_string(step);
    }
    const Numbers of_low = Measured(low, claim.position, step), of_high = Measured(high, claim.position, step);
    std::string text = Quantity() + at + " " + Show(high, of_high) + " at " + Name(high, claim.key) + " against " +
                       Show(low, of_low) + " at " + Name(low, claim.key) +
                       Others(cases, claim.key, {low, high}, claim.position, step);
    Judgement judgement =
        Stronger(claim.rising ? of_high : of_low, claim.rising ? of_low : of_high, 1, std::move(text), {high, low});
    if (const std::string bound = BoundOfWindow(*low.run); claim.key == kWindow && !bound.empty()) {
      judgement.comparison += "; " + bound;
      judgement.remark += (judgement.remark.empty() ? "" : "; ") + bound;
    }
    return judgement;
  }

  Judgement operator()(const Earlier& claim) {
    if (IsPaper()) return {};  // curves without numbers
    const std::vector<Case> cases = SeriesOf(claim.key, claim.where, "", true);
    if (cases.empty()) return NoSeries(claim.key, claim.where);
    const auto [low, high] = Extremes(cases, claim.key);
    UseMeasureFor(cases, {kFirst});
    const int64_t both = std::min(low.run->step, high.run->step);
    const Onsets of_low = OnsetsOf(low, both), of_high = OnsetsOf(high, both);
    Judgement judgement = Begin({high, low});
    judgement.comparison = std::string("the sink (") + (rates_ ? "rate 1 %" : "strongest head above epsilon") +
                           ", for good) comes " + of_high.text + " at " + Name(high, claim.key) + ", " + of_low.text +
                           " at " + Name(low, claim.key);
    const double every = NumberOf(*low.run, "eval.every");
    for (const Numbers& numbers :
         {of_low.steps, of_high.steps, Measured(low, kFirst, both), Measured(high, kFirst, both)})
      Note(numbers, &judgement);
    judgement.effect = Difference(of_low.steps, of_high.steps, 1, every);
    judgement.effect->unit = "steps";
    judgement.effect->least = std::max(1.0, every);
    judgement.effect->at_least = of_high.all_reached() && !of_low.all_reached();
    if (of_low.reached + of_high.reached == 0) {
      judgement.comparison += "; there is no sink to come";
      judgement.remark = kNoSink;
      return judgement;
    }
    if (!of_low.all_reached() || !of_high.all_reached())
      judgement.comparison += "; a run without one counts as step " + std::to_string(both);
    judgement.comparison += ": " + ShowEffect(*judgement.effect);
    if (std::fabs(judgement.effect->value) <= every) judgement.comparison += ", no more than one measurement";
    judgement = Decided(std::move(judgement), !TooFew(of_low.steps) && !TooFew(of_high.steps));
    if (judgement.verdict == Verdict::kDoesNotHold && !of_low.all_reached()) {
      judgement.verdict = Verdict::kNotEnoughData;  // a sink that comes later would make the effect larger
      judgement.remark = "runs that are too short";
      judgement.comparison += "; not every run at " + Name(low, claim.key) + " was long enough for its sink to come";
    }
    return judgement;
  }

  Judgement operator()(const AfterTheLoss&) {
    // The paper's are curves without numbers.
    return IsPaper() ? Judgement() : JudgeAfterTheLoss(evidence_.study(), experiment_);
  }

  Judgement operator()(const NoEffect& claim) {
    const std::vector<Case> cases = SeriesOf(claim.key, {}, "", {});
    if (cases.empty()) return NoSeries(claim.key, {});
    UseMeasureFor(cases, {kFirst});
    std::vector<Numbers> numbers;
    std::string list;
    bool sink = false, enough = true;
    for (const Case& c : cases) {
      numbers.push_back(Measured(c, kFirst));
      sink |= Summarize(numbers.back()).mean >= SinkFrom(c);
      enough &= !TooFew(numbers.back());
      list += (list.empty() ? "" : ", ") + Show(c, numbers.back()) + " at " + Name(c, claim.key);
    }
    // Every pair of settings that have a value, and of them the two that lie furthest apart.
    const size_t pairs = cases.size() * (cases.size() - 1) / 2;
    const double tolerance = rates_ ? claim.tolerance : claim.alpha_tolerance;
    bool inside = true, outside = false;
    std::optional<Effect> widest;
    std::vector<Case> widest_pair;
    for (size_t i = 0; i < cases.size(); ++i)
      for (size_t j = i + 1; j < cases.size(); ++j) {
        if (numbers[i].empty() || numbers[j].empty()) continue;
        const bool swap = Summarize(numbers[j]).mean > Summarize(numbers[i]).mean;
        const Effect effect = Difference(numbers[swap ? j : i], numbers[swap ? i : j], pairs);
        inside &= effect.interval && effect.interval->low > -tolerance && effect.interval->high < tolerance;
        outside |= effect.interval && effect.interval->low > tolerance;
        if (widest && effect.value < widest->value) continue;
        widest = effect;
        widest->least = tolerance;
        widest->of_bound = true;
        widest_pair = {cases[swap ? j : i], cases[swap ? i : j]};
      }
    Judgement judgement = Begin(widest_pair);
    for (const Numbers& of_case : numbers) Note(of_case, &judgement);
    judgement.effect = widest;
    judgement.comparison = Quantity() + " " + list;
    if (widest)
      judgement.comparison += ": at most " + ShowEffect(*widest) + " apart, tolerance " + ShowNumber(tolerance);
    if (!enough) {
      judgement.comparison += SeedsText();
      judgement.remark = kTooFewSeeds;
    } else if (!sink) {
      judgement.comparison += "; there is no sink to be moved";
      judgement.remark = kNoSink;
    } else {
      judgement.verdict = inside ? Verdict::kHolds : outside ? Verdict::kDoesNotHold : Verdict::kNotEnoughData;
      if (judgement.verdict == Verdict::kNotEnoughData) judgement.remark = TooWide(*widest);
    }
    return OfFinished(std::move(judgement), {});
  }

  Judgement operator()(const Increases& claim) {
    const std::vector<Case> cases = SeriesOf(claim.key, {}, "", {});
    if (cases.empty()) return NoSeries(claim.key, {});
    const Case low = Extremes(cases, claim.key).first;
    UseMeasureFor(cases, {kFirst});
    const Case peak = StrongestBut(cases, low);
    const Numbers of_peak = Measured(peak, kFirst), of_low = Measured(low, kFirst);
    return Stronger(of_peak, of_low, cases.size() - 1,
                    Quantity() + " at most " + Show(peak, of_peak) + ", at " + Name(peak, claim.key) + ", against " +
                        Show(low, of_low) + " at " + Name(low, claim.key) +
                        Others(cases, claim.key, {peak, low}, kFirst, kEnd),
                    {peak, low});
  }

  Judgement operator()(const Removed& claim) {
    const std::vector<Case> cases = SeriesOf(claim.key, {}, "", {});
    if (cases.empty()) return NoSeries(claim.key, {});
    UseMeasureFor(cases, {kFirst});
    const auto [low, high] = Extremes(cases, claim.key);
    const Case& extreme = claim.smallest ? low : high;
    const Case peak = StrongestBut(cases, extreme);
    return Gone(extreme, Name(extreme, claim.key), peak, Name(peak, claim.key), cases.size() - 1);
  }

  Judgement operator()(const Present& claim) {
    const std::vector<Case> cases = evidence_.Cases(experiment_, claim.where);
    if (cases.empty()) return Missing(claim.where);
    UseMeasureFor(cases, {kFirst});
    Judgement all = Together(PartsOf(cases, [this](const Case& c) {
      const Numbers numbers = Measured(c, kFirst);
      Judgement part = Begin({});
      Note(numbers, &part);
      if (!numbers.empty()) part.effect = Level(c, numbers);
      part.comparison = Show(c, numbers) + " at " + Name(c);
      // Here nothing smaller than a sink would count: what is above the level of one is one.
      return Decided(std::move(part), !TooFew(numbers));
    }));
    if (all.verdict == Verdict::kDoesNotHold && !SweepHasASink()) {
      all.verdict = Verdict::kNotEnoughData;
      all.comparison += "; nothing in this sweep has a sink";
      all.remark = "nothing in this sweep has a sink";
    }
    return OfFinished(std::move(all), claim.where);
  }

  Judgement operator()(const Absent& claim) {
    const std::vector<Case> cases = evidence_.Cases(experiment_, claim.where);
    if (cases.empty()) return Missing(claim.where);
    std::set<std::string> about;
    for (const Where& where : {claim.where, claim.control})
      for (const auto& [key, value] : where) about.insert(key);
    std::vector<Case> controlled, all = cases;
    std::map<size_t, Case> controls;  // by the index of the case
    std::string alone;
    for (const Case& c : cases) {
      if (const std::optional<Case> control = ControlOf(c, claim.control, about)) {
        controlled.push_back(c);
        controls.emplace(c.index, *control);
        all.push_back(*control);
      } else {
        alone += (alone.empty() ? "" : ", ") + Name(c);
      }
    }
    std::string keys, want;
    for (const std::string& key : about) keys += (keys.empty() ? "" : ", ") + key.substr(key.rfind('.') + 1);
    for (const auto& [key, value] : claim.control)
      want += (want.empty() ? "" : ", ") + key.substr(key.rfind('.') + 1) + " " + value;
    const std::string lacking =
        "this sweep has no control (" + want + ") that differs in " + keys + " alone from " + alone;
    if (controlled.empty()) return {.remark = kNoControl, .comparison = lacking};
    UseMeasureFor(all, {kFirst});
    Judgement together = Together(PartsOf(controlled, [&](const Case& c) {
      const Case& control = controls.at(c.index);
      return Gone(c, Name(c), control, NameIn(control), 1);
    }));
    if (!alone.empty()) {
      if (together.verdict == Verdict::kHolds) {
        together.verdict = Verdict::kNotEnoughData;
        together.remark = std::string(kNoControl) + " for " + alone;
      }
      together.comparison += "; " + lacking;
    }
    return OfFinished(std::move(together), claim.where);
  }

  Judgement operator()(const SitsAt& claim) {
    std::vector<Case> cases = evidence_.Cases(experiment_, claim.where);
    if (claim.largest == kWindow) {
      const auto hides = [this](const Point& point) {
        return !point.runs.empty() && !SeesEverything(evidence_.study().run(point.runs.front()));
      };
      const char* const what = "two windows that are shorter than the sequences";
      if (std::count_if(experiment_.points.begin(), experiment_.points.end(), hides) < 2)
        return {.remark = "no wide window is shorter than the sequences", .comparison = std::string("needs ") + what};
      std::erase_if(cases, [&hides](const Case& c) { return !hides(c.point()); });
      if (cases.size() < 2) return {.remark = kNotRun, .comparison = std::string("needs finished runs of ") + what};
    }
    if (!claim.largest.empty() && !cases.empty()) cases = {Extremes(cases, claim.largest).second};
    std::erase_if(cases, [&claim](const Case& c) { return Inside(c, claim.place).empty(); });
    if (cases.empty()) return Missing(claim.where);
    // A place that holds every position that is measured says nothing: nothing is outside.
    std::string full;
    std::erase_if(cases, [&](const Case& c) {
      const std::set<std::string> inside = Inside(c, claim.place), measured = evidence_.Positions(c);
      if (!std::includes(inside.begin(), inside.end(), measured.begin(), measured.end())) return false;
      full += (full.empty() ? "" : ", ") + NameInExperiment(c);
      return true;
    });
    const std::string left_out = full.empty() ? "" : "no position outside is measured at " + full;
    if (cases.empty()) return {.remark = "no position outside is measured", .comparison = left_out};
    std::set<std::string> positions;
    for (const Case& c : cases) positions.merge(evidence_.Positions(c));
    UseMeasureFor(cases, positions);
    Judgement all = Together(PartsOf(cases, [&](const Case& c) { return PlaceOf(c, Inside(c, claim.place)); }));
    if (!left_out.empty()) all.comparison += "; " + left_out;
    return OfFinished(std::move(all), claim.where);
  }

 private:
  using Numbers = Seeds;
  struct Part {  // of a claim about several settings
    std::string setting;
    Judgement judgement;
  };

  bool IsPaper() const { return evidence_.source() == Source::kPaper; }

  // --- Which settings.

  std::vector<Case> SeriesOf(const std::string& key, const Where& where, const std::string& within, bool any_length) {
    const std::vector<Case> cases = evidence_.Cases(experiment_, where);
    std::vector<std::string> also = Companions(key);
    const bool constant = std::all_of(cases.begin(), cases.end(), [](const Case& c) { return IsConstantRate(*c.run); });
    if (any_length && constant && !IsPaper()) also.emplace_back("train.max_steps");
    return Series(cases, key, within, also);
  }

  // What must follow a key, so that it is no other difference.
  static std::vector<std::string> Companions(const std::string& key) {
    if (key == "model.variant.prefix_length") return {"train.ignore_loss"};
    return {};
  }

  // A setting of `want` that differs from the case in keys of `about` alone: of the case's experiment; else of one that
  // varies the same keys; else of any. A profile may lay several experiments' settings over each other, whose published
  // numbers are of different ones.
  std::optional<Case> ControlOf(const Case& c, const Where& want, const std::set<std::string>& about) const {
    const std::vector<std::string> varied = VaryingKeys(evidence_.study(), experiment_);
    std::optional<Case> found;
    for (const Case& other : evidence_.CasesOfSweep(experiment_, want)) {
      const std::vector<std::string> keys = DifferingKeys(*c.run, *other.run);
      if (keys.empty() || !std::all_of(keys.begin(), keys.end(), [&](const auto& key) { return about.contains(key); }))
        continue;
      if (other.experiment == &experiment_ || VaryingKeys(evidence_.study(), *other.experiment) == varied) return other;
      if (!found) found = other;
    }
    return found;
  }

  int Unfinished(const Where& where) const {
    const Study& study = evidence_.study();
    int count = 0;
    for (const Point& point : experiment_.points)
      count += std::any_of(point.runs.begin(), point.runs.end(),
                           [&](const std::string& id) { return Matches(study.run(id), where); }) &&
               std::none_of(point.runs.begin(), point.runs.end(),
                            [&](const std::string& id) { return study.run(id).succeeded(); });
    return count;
  }

  // A claim about settings does not hold of them while some have no result: not yet, or because they failed.
  Judgement OfFinished(Judgement judgement, const Where& where) const {
    const int waiting = IsPaper() ? 0 : Unfinished(where);
    if (waiting == 0 || judgement.verdict != Verdict::kHolds) return judgement;
    judgement.verdict = Verdict::kNotEnoughData;
    judgement.remark = Counted(waiting, "setting") + " without a result";
    judgement.comparison += "; " + judgement.remark;
    return judgement;
  }

  static Judgement Missing(const Where& where) {
    std::string what = "needs a finished run";
    for (const auto& [name, value] : where) what += (&value == &where[0].second ? " with " : ", ") + name + " " + value;
    return {.remark = kNotRun, .comparison = what};
  }

  Judgement NoSeries(const std::string& key, const Where& where) const {
    std::set<double> values;
    for (const Case& c : evidence_.Cases(experiment_, where)) values.insert(NumberOf(*c.run, key));
    if (values.size() < 2) return {.remark = kNotRun, .comparison = "needs finished runs at two values of " + key};
    return {.remark = kNoControl,
            .comparison = "no two finished settings differ in " + key + " alone, so none is the other's control"};
  }

  // The cases with the smallest and the largest value, of each the longest.
  static std::pair<Case, Case> Extremes(const std::vector<Case>& cases, const std::string& key) {
    Case low, high;
    const auto longer = [](const Case& a, const Case& b) { return a.run->step > b.run->step; };
    for (const Case& c : cases) {
      const double value = NumberOf(*c.run, key);
      if (!low.run || value < NumberOf(*low.run, key) || (value == NumberOf(*low.run, key) && longer(c, low))) low = c;
      if (!high.run || value > NumberOf(*high.run, key) || (value == NumberOf(*high.run, key) && longer(c, high)))
        high = c;
    }
    return {low, high};
  }

  Case StrongestBut(const std::vector<Case>& cases, const Case& but) const {
    Case best;
    for (const Case& c : cases) {
      if (c.run == but.run) continue;
      if (!best.run || Summarize(Measured(c, kFirst)).mean > Summarize(Measured(best, kFirst)).mean) best = c;
    }
    return best;
  }

  // Whether the models of this sweep are large and old enough for one at all.
  bool SweepHasASink() const {
    const std::vector<Case> cases = evidence_.CasesOfSweep(experiment_, {});
    return std::any_of(cases.begin(), cases.end(),
                       [this](const Case& c) { return Summarize(Measured(c, kFirst)).mean >= SinkFrom(c); });
  }

  // --- Which number.

  void UseMeasureFor(const std::vector<Case>& cases, const std::set<std::string>& positions) {
    exact_ = !IsPaper() && std::all_of(cases.begin(), cases.end(), [](const Case& c) { return IsEvaluation(*c.run); });
    rates_ = IsPaper();
    for (const Case& c : cases)
      for (const std::string& position : positions)
        rates_ |= Summarize(evidence_.Values(c, Measure::kSinkRate, position)).mean >= kRatesFrom;
  }
  Measure TheMeasure() const { return rates_ ? Measure::kSinkRate : Measure::kAlphaMax; }
  std::string Quantity() const { return rates_ ? "sink rate (%)" : "alpha of the strongest head"; }
  Numbers Measured(const Case& c, const std::string& position, int64_t step = kEnd) const {
    return evidence_.Values(c, TheMeasure(), position, step);
  }

  std::string ShowNumber(double value) const { return Fixed(value, rates_ ? 1 : 3); }
  // "15.0 ± 0.5 (4 of 5 seeds)".
  std::string Show(const Case& c, const Numbers& numbers) const {
    if (numbers.empty()) return "(not measured)";
    const std::string text = ShowSummary(Summarize(numbers), rates_ ? 1 : 3);
    if (IsPaper() || exact_) return text;
    const size_t runs = c.point().runs.size(), n = numbers.size();
    return text + " (" + std::to_string(n) + (n < runs ? " of " + std::to_string(runs) : "") +
           (runs == 1 ? " seed)" : " seeds)");
  }
  // What tells the case from the others of the experiment.
  std::string NameInExperiment(const Case& c) const { return LabelOf(*c.experiment, c.point()); }
  std::string NameIn(const Case& c) const {
    return Name(c) + (c.experiment == &experiment_ ? "" : " of " + c.experiment->name);
  }

  double SinkFrom(const Case& c) const {
    if (rates_) return kSinkPercent;
    const double epsilon = std::atof(Epsilon(*c.run).c_str());
    return epsilon > 0 ? epsilon : kSinkAlpha;
  }

  struct Onsets {
    Numbers steps;  // of every run whose outcome is known
    int reached = 0;
    std::string text;

    bool all_reached() const { return reached == static_cast<int>(steps.size()); }
  };
  // `end`: to which both sides are read, and what counts for a run whose sink does not stay by then: a mean of onsets
  // that leaves out seeds without one would make a setting earlier for every late seed that it loses. In a run that
  // diverged no sink stays.
  Onsets OnsetsOf(const Case& c, int64_t end) const {
    const double level = rates_ ? kSinkPercent / 100 : SinkFrom(c);
    Onsets onsets;
    std::vector<double> reached;
    for (const std::string& id : c.point().runs) {
      const Run& run = evidence_.study().run(id);
      const bool diverged = Diverged(run);
      if (!run.succeeded() && !diverged) continue;
      const auto step = diverged ? std::nullopt : Onset(run, MetricName(run, TheMeasure(), kFirst), level, end);
      if (step) reached.push_back(static_cast<double>(*step));
      onsets.steps.Add(static_cast<double>(step.value_or(end)), SeedOf(run));
    }
    const Summary s = Summarize(reached);
    onsets.reached = s.n;
    const std::string by = "by step " + std::to_string(end),
                      of = " of " + std::to_string(onsets.steps.size()) + " runs";
    onsets.text = s.n == 0 ? "not " + by + " (in none" + of : "from step " + Fixed(s.mean, 0);
    if (s.n > 1) onsets.text += " ± " + Fixed(s.deviation, 0);
    if (s.n > 0) onsets.text += " (in " + std::to_string(s.n) + of + (onsets.all_reached() ? "" : " " + by);
    onsets.text += ")";
    return onsets;
  }

  // --- What follows.

  bool TooFew(const Numbers& numbers) const {
    return static_cast<int>(numbers.size()) < (IsPaper() || exact_ ? 1 : kLeastSeeds);
  }
  static std::string SeedsText() { return "; a verdict takes three seeds of each"; }

  Judgement Begin(const std::vector<Case>& pair) const {
    Judgement judgement;
    judgement.measure = Quantity();
    if (pair.size() == 2) judgement.against.push_back({pair[0].run->id, pair[1].run->id});
    return judgement;
  }

  // See Judgement::numbers.
  static void Note(const Numbers& numbers, Judgement* judgement) {
    judgement->numbers.insert(judgement->numbers.end(), numbers.values.begin(), numbers.values.end());
  }

  Effect Sized(double value) const {
    return {value, std::nullopt, rates_ ? kLeastPercent : kLeastAlpha, rates_ ? "points" : "alpha"};
  }
  // Of what is known without seeds there is no spread.
  void Bound(const std::optional<Interval>& interval, bool too_few, Effect* effect) const {
    if (exact_) effect->interval = Interval{effect->value, effect->value};
    if (!exact_ && !too_few) effect->interval = interval;
  }
  Effect Difference(const Numbers& a, const Numbers& b, size_t comparisons, double resolution = 0) const {
    Effect effect = Sized(Summarize(a).mean - Summarize(b).mean);
    effect.seeds = static_cast<int>(std::min(a.size(), b.size()));
    Bound(DifferenceInterval(a, b, outside_ / static_cast<double>(comparisons), resolution), TooFew(a) || TooFew(b),
          &effect);
    return effect;
  }
  // How far above the level of a sink.
  Effect Level(const Case& c, const Numbers& numbers) const {
    Effect effect = Sized(Summarize(numbers).mean - SinkFrom(c));
    effect.least = 0;
    effect.seeds = static_cast<int>(numbers.size());
    if (const auto interval = MeanInterval(numbers.values, outside_))
      Bound(Interval{interval->low - SinkFrom(c), interval->high - SinkFrom(c)}, TooFew(numbers), &effect);
    else
      Bound(std::nullopt, true, &effect);
    return effect;
  }

  // The same, of a claim of the opposite.
  static Effect Opposite(Effect effect) {
    effect.value = -effect.value;
    if (effect.interval) effect.interval = Interval{-effect.interval->high, -effect.interval->low};
    return effect;
  }

  static std::string TooWide(const Effect& effect) {
    const std::string more = MoreSeedsText(effect);
    return kTooWide + (more.empty() ? "" : "; " + more);
  }
  // The verdict that the effect's interval gives; `enough`: seeds, without which there may be no effect.
  static Judgement Decided(Judgement judgement, bool enough) {
    if (!enough) {
      judgement.remark = kTooFewSeeds;
      judgement.comparison += SeedsText();
      return judgement;
    }
    const Effect& effect = *judgement.effect;
    judgement.verdict = VerdictOf(effect);
    judgement.remark = judgement.verdict == Verdict::kNotEnoughData ? TooWide(effect) : "";
    return judgement;
  }

  // Of a claim that `larger` has the stronger sink.
  Judgement Stronger(const Numbers& larger, const Numbers& smaller, size_t comparisons, std::string text,
                     const std::vector<Case>& pair) const {
    Judgement judgement = Begin(pair);
    judgement.comparison = std::move(text);
    judgement.remark = kNotRun;
    if (larger.empty() || smaller.empty()) return judgement;
    for (const Numbers& numbers : {larger, smaller}) Note(numbers, &judgement);
    judgement.effect = Difference(larger, smaller, comparisons);
    judgement.comparison += ": " + ShowEffect(*judgement.effect);
    if (std::max(Summarize(larger).mean, Summarize(smaller).mean) < SinkFrom(pair[0])) {
      judgement.comparison += "; neither has a sink";
      judgement.remark = kNoSink;
      return judgement;
    }
    return Decided(std::move(judgement), !TooFew(larger) && !TooFew(smaller));
  }

  // Of a claim that a case has no sink where its control has one.
  Judgement Gone(const Case& c, const std::string& name, const Case& control, const std::string& control_name,
                 size_t comparisons) const {
    const Numbers without = Measured(c, kFirst), with = Measured(control, kFirst);
    Judgement judgement = Begin({c, control});
    judgement.comparison =
        Quantity() + " " + Show(c, without) + " at " + name + " against " + Show(control, with) + " at " + control_name;
    judgement.remark = kNotRun;
    if (without.empty() || with.empty()) return judgement;
    for (const Numbers& numbers : {without, with}) Note(numbers, &judgement);
    judgement.remark.clear();
    judgement.effect = Difference(with, without, comparisons);
    judgement.comparison += ": " + ShowEffect(*judgement.effect) + " less";
    const bool enough = !TooFew(without) && !TooFew(with);
    const Effect left = Level(c, without);
    if (enough && left.interval && left.interval->low > 0) {
      judgement.verdict = Verdict::kDoesNotHold;
      judgement.comparison += "; the sink is there: " + ShowEffect(left) + " above the level of one";
      judgement.remark = kStillThere;
      judgement.effect = Opposite(left);  // what decided; how much weaker it is would speak for the claim
      return judgement;
    }
    if (Summarize(with).mean < SinkFrom(control)) {
      judgement.comparison += "; there is no sink to be missed";
      judgement.remark = kNoSink;
      return judgement;
    }
    judgement = Decided(std::move(judgement), enough);
    const bool gone = left.interval ? left.interval->high < 0 || (exact_ && left.value < 0) : left.value < 0;
    if (judgement.verdict == Verdict::kHolds && !gone) {
      judgement.verdict = Verdict::kNotEnoughData;
      judgement.remark = "weaker, but not surely gone";
      judgement.comparison += "; " + judgement.remark;
    }
    return judgement;
  }

  // Of a claim that the sink of a case is inside these positions: in each run the strongest of them against the
  // strongest other.
  Judgement PlaceOf(const Case& c, const std::set<std::string>& inside) const {
    // Comparable between positions: without what uniform attention gives there.
    const auto excess = [&](const std::string& position, double value) {
      return rates_ ? value
                    : value - UniformAlpha(NumberOfPosition(position),
                                           static_cast<int64_t>(NumberOf(*c.run, "eval.tokens")));
    };
    struct Best {
      std::string position;
      double value = 0;
    };
    std::map<std::string, std::array<std::optional<Best>, 2>> of_runs;  // inside, outside
    for (const std::string& position : evidence_.Positions(c))
      for (const auto& [run, value] : evidence_.ByRun(c, TheMeasure(), position)) {
        std::optional<Best>& best = of_runs[run][inside.contains(position) ? 0 : 1];
        if (!best || excess(position, value) > excess(best->position, best->value)) best = {position, value};
      }
    Numbers lead, of_inside, of_outside;
    std::set<std::string> at_inside, at_outside;
    for (const auto& [run, best] : of_runs) {
      const auto& [in, out] = best;
      if (!in || !out) continue;
      lead.values.push_back(excess(in->position, in->value) - excess(out->position, out->value));
      of_inside.values.push_back(in->value);
      of_outside.values.push_back(out->value);
      at_inside.insert(in->position);
      at_outside.insert(out->position);
    }
    if (lead.empty())
      return {.remark = kNotRun, .comparison = "needs a run's values inside and outside the place (" + Name(c) + ")"};
    Judgement judgement = Begin({});
    judgement.comparison = Quantity() + " " + Show(c, of_inside) + " at " + PositionText(at_inside) + " against " +
                           Show(c, of_outside) + " at " + PositionText(at_outside) + " (" + Name(c) + ")";
    for (const Numbers& numbers : {of_inside, of_outside}) Note(numbers, &judgement);
    judgement.effect = Sized(Summarize(lead).mean);
    judgement.effect->seeds = static_cast<int>(lead.size());
    Bound(MeanInterval(lead.values, outside_), TooFew(lead), &*judgement.effect);
    judgement.comparison += ": " + ShowEffect(*judgement.effect);
    if (std::max(Summarize(of_inside).mean, Summarize(of_outside).mean) < SinkFrom(c)) {
      judgement.comparison += "; there is no sink";
      judgement.remark = "no sink at any position";
      return judgement;
    }
    return Decided(std::move(judgement), !TooFew(lead));
  }

  // Of a claim about each of several settings. It holds when it does for each, which needs no wider intervals; but it
  // is refuted by the one of them that the numbers choose, so that a part which refutes is judged again for as many.
  template <typename JudgeOne>
  std::vector<Part> PartsOf(const std::vector<Case>& cases, const JudgeOne& judge) {
    std::vector<Part> parts;
    for (const Case& c : cases) {
      Judgement judgement = judge(c);
      if (judgement.verdict == Verdict::kDoesNotHold) {
        outside_ = kOutside / static_cast<double>(cases.size());
        judgement = judge(c);
        outside_ = kOutside;
      }
      parts.push_back({NameInExperiment(c), std::move(judgement)});
    }
    return parts;
  }

  // The one that decides lends its effect and, where it refutes the claim, says how.
  static Judgement Together(const std::vector<Part>& parts) {
    Judgement all = parts.front().judgement;
    all.verdict = Verdict::kHolds;
    all.comparison.clear();
    all.against.clear();
    all.numbers.clear();
    for (const auto& [setting, part] : parts) {
      all.numbers.insert(all.numbers.end(), part.numbers.begin(), part.numbers.end());
      if (part.verdict == Verdict::kDoesNotHold || all.verdict == Verdict::kHolds) all.verdict = part.verdict;
      all.comparison += (all.comparison.empty() ? "" : "; ") + part.comparison;
      all.against.insert(all.against.end(), part.against.begin(), part.against.end());
    }
    const Judgement* decides = nullptr;
    const auto floor = [](const Effect& effect) { return effect.interval ? effect.interval->low : effect.value; };
    for (const auto& [setting, part] : parts)
      if (part.effect && part.verdict == all.verdict && (!decides || floor(*part.effect) < floor(*decides->effect)))
        decides = &part;
    all.effect = decides ? decides->effect : std::nullopt;
    if (parts.size() == 1) return all;
    all.remark = RemarkOn(parts);
    if (all.verdict == Verdict::kDoesNotHold && decides && !decides->remark.empty())
      all.remark += "; " + decides->remark;
    return all;
  }

  // "holds at 4 of 6; not at relative; undecided at alibi".
  static std::string RemarkOn(const std::vector<Part>& parts) {
    std::string fails, open;
    size_t held = 0;
    for (const auto& [setting, part] : parts) {
      held += part.verdict == Verdict::kHolds;
      if (part.verdict == Verdict::kDoesNotHold) fails += (fails.empty() ? "; not at " : ", ") + setting;
      if (part.verdict == Verdict::kNotEnoughData) open += (open.empty() ? "; undecided at " : ", ") + setting;
    }
    return "holds at " + std::to_string(held) + " of " + std::to_string(parts.size()) + fails + open;
  }

  // " (others: 18.2 at 0.0004, ...)".
  std::string Others(const std::vector<Case>& cases, const std::string& key, const std::vector<Case>& named,
                     const std::string& position, int64_t step) const {
    std::string list;
    std::set<std::string> texts;
    for (const Case& c : cases) {
      if (std::any_of(named.begin(), named.end(), [&c](const Case& n) { return n.index == c.index; })) continue;
      if (step != kEnd && c.run->step < step) continue;
      const Summary s = Summarize(Measured(c, position, step));
      if (s.n == 0) continue;
      const std::string text = ShowSummary(s, rates_ ? 1 : 3) + " at " + SettingText(*c.run, key);
      if (texts.insert(text).second) list += (list.empty() ? " (others: " : ", ") + text;
    }
    return list.empty() ? "" : list + ")";
  }

  const Evidence evidence_;
  const Experiment& experiment_;
  bool rates_ = true;
  bool exact_ = false;         // models that are measured, not trained: no seeds
  double outside_ = kOutside;  // of the intervals
};

}  // namespace

bool Concerns(const Study& study, const Experiment& experiment, const Claim& claim) {
  const Where where = WhereOf(claim);
  return std::any_of(experiment.points.begin(), experiment.points.end(), [&](const Point& point) {
    return std::any_of(point.runs.begin(), point.runs.end(),
                       [&](const std::string& id) { return Matches(study.run(id), where); });
  });
}

namespace {

// The settings that a judgement is about: those of its experiment that the claim speaks of, and those that it held
// against each other.
std::vector<const Point*> PointsOf(const Study& study, const Experiment& experiment, const Where& where,
                                   const Judgement& judgement) {
  std::set<std::string> compared;
  for (const Contrast& contrast : judgement.against) compared.insert({contrast.setting, contrast.control});
  std::vector<const Point*> points;
  for (const Experiment& other : study.experiments)
    for (const Point& point : other.points)
      if (std::any_of(point.runs.begin(), point.runs.end(), [&](const std::string& id) {
            return compared.contains(id) || (&other == &experiment && Matches(study.run(id), where));
          }))
        points.push_back(&point);
  return points;
}

// The judgement, where the runs are a sample that allows one; and how many of them have no value to compare.
Judgement OfSample(Judgement judgement, const Flaws& flaws) {
  const std::string why = WhyNoSample(flaws), without = SeedsWithoutValue(flaws);
  if (!why.empty() && judgement.verdict != Verdict::kNotEnoughData) {
    judgement.verdict = Verdict::kNotEnoughData;
    judgement.remark = why;
    judgement.comparison += "; " + why;
  }
  if (!without.empty()) {
    judgement.remark += (judgement.remark.empty() ? "" : "; ") + without;
    judgement.comparison += "; " + without;
  }
  return judgement;
}

}  // namespace

Judgement Judge(const Study& study, const Experiment& experiment, const Claim& claim) {
  Judgement judgement = std::visit(ClaimJudge(study, experiment, Source::kOurs), claim);
  const Flaws flaws = FlawsOf(study, PointsOf(study, experiment, WhereOf(claim), judgement));
  judgement = OfSample(std::move(judgement), flaws);
  const Judgement published = std::visit(ClaimJudge(study, experiment, Source::kPaper), claim);
  if (published.effect) {
    judgement.paper = published.comparison;
    judgement.paper_effect = published.effect;
    judgement.paper_effect->interval.reset();
    // Ours is what is left of a sink, the paper's how much weaker it is: not to be compared.
    const auto of_level = [](const Effect& effect) { return effect.least == 0; };
    if (judgement.effect && of_level(*judgement.effect) != of_level(*judgement.paper_effect))
      judgement.paper_effect.reset();
  }
  return judgement;
}

}  // namespace sink::report
