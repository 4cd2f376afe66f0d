// See sections.h.
#include "coordinator/report/sections.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "coordinator/report/measures.h"
#include "coordinator/report/removal.h"
#include "proto/base/counted.h"

namespace sink::report {
namespace {

TableCell NumberCell(std::string text) { return {text.empty() ? "–" : std::move(text), true}; }

// "90 ± 3" percent.
std::string GoneText(const Summary& share) {
  if (share.n == 0) return "";
  return Fixed(100 * share.mean, 0) + (share.n > 1 ? " ± " + Fixed(100 * share.deviation, 0) : "");
}

// "25 runs are counted; not counted are 5 with a sink that is there from the start."
std::string CountedRuns(const Emerged& emerged) {
  std::string others;
  for (const auto& [count, what] : {std::pair(emerged.from_start, " with a sink that is there from the start"),
                                    {emerged.unconfirmed, " with one at the last measurement alone"},
                                    {emerged.repeats, " that repeat another training or only go on with it"}})
    if (count > 0) others += (others.empty() ? "" : ", ") + std::to_string(count) + what;
  return Counted(emerged.runs, "run is", "runs are") + " counted" +
         (others.empty() ? "." : "; not counted are " + others + ".");
}

// What the verdicts of the table mean, those that may be in it.
std::string VerdictsOnSinks(const Removal& removal, bool biases) {
  std::string text =
      "Weakened is a sink whose strongest head is surely weaker, and by 0.05 or more; removed is one that is then "
      "surely below 0.3, too.";
  if (biases)
    text +=
        " alpha_bias is what the strongest head gives to a place that is no token of the text, where a variant has one "
        "(a bias, a sink logit, a sink token). Moved to the bias is a sink that is surely weaker at position 1 while "
        "alpha_bias is surely 0.3 or more, even where some seed keeps one at position 1; removed from position 1 is "
        "one of which alpha_bias does not surely say whether it moved.";
  const auto from_start = [](const auto& of) { return of.from_start; };
  if (from_start(removal) || std::any_of(removal.variants.begin(), removal.variants.end(), from_start))
    text +=
        " There from the start is a sink that every run has at step 0, before any training: it is built in and did not "
        "emerge, and its change tells nothing of a sink that did.";
  return text;
}

}  // namespace

void AddRemoval(const Study& study, const Palette& palette, Document* document) {
  const std::optional<Removal> removal = WhatRemovesTheSink(study);
  if (!removal) return;
  const std::string against = "the base (" + removal->base + ")";
  document->blocks.push_back(Heading{2, "What removes a sink, and at what price in loss"});
  document->blocks.push_back(
      Paragraph{"Every setting that differs from " + against +
                " in the model's variant or the optimizer alone. Changes are differences of means over seeds with 95 % "
                "intervals (seed by seed where both have the same); intervals are not widened for the number of rows; "
                "a positive price is a higher validation loss (nats a token)."});
  const auto& variants = removal->variants;
  const auto has_bias = [](const auto& of) { return of.bias.n > 0; };
  const bool biases = has_bias(*removal) || std::any_of(variants.begin(), variants.end(), has_bias);
  DataTable table;
  table.columns = {"Variant", "The sink", "alpha_1, strongest head", "change"};
  if (biases) table.columns.emplace_back("alpha_bias, strongest head");
  table.columns.insert(table.columns.end(), {"Sink_1 %", "Validation loss", "price", "Runs"});
  const auto add = [&](const auto& of, TableCell label, std::string verdict, const std::optional<Effect>& change,
                       const std::optional<Effect>& price) {
    const auto effect = [](const std::optional<Effect>& e) { return NumberCell(e ? ShowEffect(*e) : ""); };
    label.color = palette.ColorOf(*of.point);
    std::vector<TableCell> row = {
        std::move(label), {std::move(verdict)}, NumberCell(ShowSummary(of.alpha, 2)), effect(change)};
    if (biases) row.push_back(NumberCell(ShowSummary(of.bias, 2)));
    const std::string diverged = of.diverged > 0 ? ", " + std::to_string(of.diverged) + " diverged" : "";
    row.insert(row.end(), {NumberCell(ShowSummary(of.rate, 1)),
                           NumberCell(ShowSummary(of.loss, 3)),
                           effect(price),
                           {std::to_string(of.succeeded) + " of " + std::to_string(of.runs) + diverged, true}});
    table.rows.push_back(std::move(row));
  };
  add(*removal, {"base (" + removal->base + ")"}, removal->from_start ? "the base, there from the start" : "the base",
      {}, {});
  charts::IntervalChart sink, price;
  for (const Variant& variant : variants) {
    add(variant, {variant.label}, variant.verdict + (variant.remark.empty() ? "" : ": " + variant.remark),
        variant.change, variant.price);
    const auto row = [&](const std::optional<Effect>& e, const std::string& note) {
      charts::IntervalRow out{variant.label, e ? e->value : NAN, std::nullopt, palette.ColorOf(*variant.point), note};
      if (e && e->interval) out.interval = {e->interval->low, e->interval->high};
      return out;
    };
    sink.rows.push_back(row(variant.change, variant.verdict));
    price.rows.push_back(row(variant.price, ""));
  }
  document->blocks.push_back(std::move(table));
  document->blocks.push_back(Paragraph{VerdictsOnSinks(*removal, biases)});
  sink.title = "Change of alpha_1 of the strongest head";
  sink.description = "Against " + against + ", with 95 % intervals; left of 0 the sink is weaker.";
  sink.x_label = "change of alpha_1";
  price.title = "Price in validation loss";
  price.description = "Against " + against + ", with 95 % intervals; right of 0 the loss is higher.";
  price.x_label = "nats a token";
  sink.marks = price.marks = {0};
  document->blocks.push_back(FigureBlock{{"removal-sink", sink.title + ". " + sink.description, sink}});
  document->blocks.push_back(FigureBlock{{"removal-price", price.title + ". " + price.description, price}});
}

OnsetTable TableOfOnsets(const Study& study, const std::vector<Line>& lines) {
  OnsetTable onsets;
  onsets.table.columns = {"Setting", "alpha_1 of the strongest head stays above 0.3", "above 0.5",
                          "Sink_1 stays above 1 %"};
  for (const Line& line : lines) {
    const Onsets third = AlphaOnsets(study, *line.point, kOnsetAlpha), half = AlphaOnsets(study, *line.point, 0.5),
                 rate = RateOnsets(study, *line.point, kOnsetPercent);
    onsets.measured |= third.runs > 0;
    onsets.any |= !third.steps.empty() || !rate.steps.empty();
    onsets.unfinished += third.unfinished + third.diverged;
    onsets.unconfirmed += third.unconfirmed;
    onsets.from_start |= third.from_start() + half.from_start() + rate.from_start() > 0;
    const auto cell = [](const Onsets& one) { return TableCell{one.runs == 0 ? "–" : ShowOnsets(one)}; };
    onsets.table.rows.push_back({{line.label, false, false, line.color}, cell(third), cell(half), cell(rate)});
  }
  return onsets;
}

void AddOrder(const Emerged& emerged, const std::vector<Order>& orders, Document* document) {
  if (orders.empty()) return;
  DataTable table;
  table.columns = {"Goes half of its way",     "", "steps before the sink, 95 %", "before", "after", "together",
                   "of its way at the sink, %"};
  for (const Order& order : orders) {
    const int runs = static_cast<int>(order.lag.size());
    std::string lag = runs == 0 ? "" : Fixed(order.mean, 0);
    if (order.interval) lag += " [" + Fixed(order.interval->low, 0) + ", " + Fixed(order.interval->high, 0) + "]";
    table.rows.push_back({{QuantityText(order.quantity)},
                          {runs == 0 ? "goes no way" : OrderText(order)},
                          NumberCell(lag),
                          NumberCell(std::to_string(order.before)),
                          NumberCell(std::to_string(order.after)),
                          NumberCell(std::to_string(runs - order.before - order.after)),
                          NumberCell(GoneText(GoneAtTheSink(emerged, order.quantity)))});
  }
  document->blocks.push_back(
      Paragraph{"What comes first, over the runs that end with a sink which emerged in training: the step at which a "
                "quantity has gone half of its way from its first value to its last for good, against the same step of "
                "alpha_1 of the strongest head; and how much of its way it has gone by then. " +
                CountedRuns(emerged) +
                (orders.size() > 1 ? " The intervals are not widened for the number of quantities." : "")});
  document->blocks.push_back(std::move(table));
}

void AddEmergence(const Study& study, const Experiment& experiment, const Palette& palette, Document* document) {
  if (!Trains(study, experiment)) return;
  OnsetTable onsets = TableOfOnsets(study, LinesOf(experiment, palette));
  if (!onsets.measured) return;
  document->blocks.push_back(Heading{3, "When the sink emerges"});
  if (!onsets.any) {
    std::string text = "In no run does it emerge and stay";
    if (onsets.unconfirmed > 0)
      text += "; " + std::to_string(onsets.unconfirmed) + " have it at the last measurement alone";
    if (onsets.unfinished > 0) text += "; " + std::to_string(onsets.unfinished) + " diverged or did not finish";
    document->blocks.push_back(Paragraph{text + "."});
    return;
  }
  document->blocks.push_back(Paragraph{
      "The first measurement from which on every later one is above, of which there must be one (at the last "
      "measurement alone a sink is not shown to stay): median over the runs, where one in which that never happens is "
      "later than any (so that there is none where half or more are such), and the earliest and the latest of those in "
      "which it does." +
      std::string(onsets.from_start
                      ? " There from the start is what is above at step 0, before any training: it is built in and did "
                        "not emerge."
                      : "")});
  document->blocks.push_back(std::move(onsets.table));
  const Emerged emerged = RunsWithAnEmergedSink(study, experiment);
  AddOrder(emerged, OrderOfEmergence(emerged), document);
}

}  // namespace sink::report
