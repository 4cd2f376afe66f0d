// See after_the_loss.h.
#include "coordinator/report/after_the_loss.h"

#include <algorithm>
#include <string>
#include <vector>

#include "coordinator/report/emergence.h"
#include "coordinator/report/measures.h"

namespace sink::report {

Judgement JudgeAfterTheLoss(const Study& study, const Experiment& experiment) {
  Judgement judgement;
  judgement.measure = "steps from the loss to the sink";
  const Emerged emerged = RunsWithAnEmergedSink(study, experiment);
  const std::vector<Order> orders = OrderOfEmergence(emerged);
  const auto loss =
      std::find_if(orders.begin(), orders.end(), [](const Order& order) { return order.quantity == Quantity::kLoss; });
  if (loss == orders.end() || loss->lag.empty()) {
    judgement.remark = "no sink that emerged";
    judgement.comparison = "needs runs in which a sink emerges and stays, and which measured their loss";
    return judgement;
  }
  judgement.numbers = loss->lag;
  const Effect effect{
      .value = loss->mean, .interval = loss->interval, .least = std::max(1.0, loss->every), .unit = "steps"};
  judgement.effect = effect;
  judgement.comparison =
      "the loss has gone half of its way before alpha_1 of the strongest head has gone half of its "
      "own in " +
      std::to_string(loss->before) + ", and after it in " + std::to_string(loss->after) + ", of " +
      std::to_string(loss->lag.size()) + " trainings in which a sink emerged: " + ShowEffect(effect);
  const Summary gone = GoneAtTheSink(emerged, Quantity::kLoss);
  if (gone.n > 0) judgement.comparison += "; by then it has gone " + Fixed(100 * gone.mean, 0) + " % of its way";
  judgement.verdict = VerdictOf(effect);
  if (judgement.verdict == Verdict::kNotEnoughData)
    judgement.remark = effect.interval ? "not surely before it" : "too few trainings with a sink, or they disagree";
  return judgement;
}

}  // namespace sink::report
