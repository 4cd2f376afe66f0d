// What an effect decides, and what reports print of verdicts and effects; see claims.h.
#include <algorithm>
#include <cmath>

#include "coordinator/report/claims.h"
#include "coordinator/report/measures.h"

namespace sink::report {

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

std::string RuleText() {
  return "How takeaways are judged. Compared are settings that differ in what the takeaway is about and in nothing "
         "else. An effect is the difference of their means over seeds, positive in the takeaway's direction, with its "
         "95 % interval: where both have the same seeds, which give initial values and the order of the data, by "
         "Student's t over the differences of each seed, and else by Welch's t; where the numbers choose which "
         "settings are compared, the interval is widened for as many comparisons as there were (Bonferroni). Where a "
         "takeaway says that a sink is there, the effect "
         "is how far the mean lies above the level of one, and where it says at which position, by how much that "
         "position leads the others in the same run: both with Student's t over seeds. Where it says that a sink is "
         "gone and what is left lies surely above that level, it does not hold, and the effect is that distance below "
         "0, however much weaker the sink has become. Where it says that there is no effect, the intervals of all "
         "pairs must lie within a tolerance (4 points of sink rate, 0.1 of alpha). Where it says that a sink comes "
         "earlier, the effect is a difference of mean onsets, in which a run whose sink does not come to stay, or is "
         "there at the last measurement alone, or that diverged, counts as one at the end of the shorter runs, so that "
         "the effect and its interval are at least what is said where the later sinks are such; onsets are known up to "
         "the pause between "
         "measurements, which widens their interval and is the least that counts. Where it says what comes first, the "
         "effect is by how many steps the one has gone half of its way before the other, over settings, or over the "
         "seeds of one where there are few. Holds: the whole interval is above 0 "
         "and the effect is at least 2 points of sink rate or 0.05 of alpha (of a distance to the level of a sink, 0 "
         "is enough). Does not hold: the whole interval is below that. Not enough data: anything else, fewer than "
         "three seeds of a setting, settings of which more than half of the seeds diverged, or of which runs were "
         "cancelled or stopped early or had other data, for a takeaway about every setting those without a result, and "
         "comparisons in which nothing has a sink (a rate of 1 %, or a strongest head above epsilon). Other seeds that "
         "diverged have no value and are left out, as are settings all of whose seeds did and seeds still to come; how "
         "many is said beside the verdict. Sink rates are compared where one of the settings has a mean of 10 % or "
         "more; otherwise alpha of the strongest head is, because in a small model one head more is already several "
         "percent. That a sink is gone takes an interval of what is left that is below that level, not a mean: seeds "
         "differ much. A takeaway about several settings holds when it does for each, and does not when one of them "
         "refutes it in an interval widened for as many as there are. Models that are measured and not trained have no "
         "seeds: what was measured decides. Intervals are not widened for the number of takeaways: one in twenty may "
         "miss.";
}

std::string ShowEffect(const Effect& effect) {
  const int decimals = effect.unit == "nats" ? 3 : effect.unit == "alpha" ? 2 : effect.unit == "points" ? 1 : 0;
  std::string text =
      (effect.at_least ? "at least " : "") + std::string(effect.value > 0 ? "+" : "") + Fixed(effect.value, decimals);
  if (effect.interval)
    text += " [" + Fixed(effect.interval->low, decimals) + ", " + Fixed(effect.interval->high, decimals) + "]";
  return text + " " + effect.unit;
}

Verdict VerdictOf(const Effect& effect) {
  if (!effect.interval) return Verdict::kNotEnoughData;
  if (effect.interval->low > 0 && effect.value >= effect.least) return Verdict::kHolds;
  return effect.interval->high < effect.least ? Verdict::kDoesNotHold : Verdict::kNotEnoughData;
}

std::string MoreSeedsText(const Effect& effect) {
  constexpr double kMost = 99;
  if (!effect.interval || effect.seeds == 0) return "";
  // How far the effect lies from the values between which nothing is decided.
  const double size = std::fabs(effect.value);
  double distance = effect.value >= effect.least ? effect.value : effect.least - effect.value;
  if (effect.of_bound) distance = std::fabs(effect.least - size);
  const double half = (effect.interval->high - effect.interval->low) / 2;
  // An interval narrows with the root of the number of seeds.
  const double seeds = std::ceil(effect.seeds * std::pow(half / distance, 2));
  if (!(seeds <= kMost)) return "more than " + Fixed(kMost, 0) + " of a setting would be needed";
  const bool for_it = effect.at_least || (effect.of_bound ? size <= effect.least : effect.value >= effect.least);
  return "about " + Fixed(std::max(seeds, effect.seeds + 1.0), 0) + " of a setting would " +
         (for_it ? "tell" : "refute it");
}

}  // namespace sink::report
