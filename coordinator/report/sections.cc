// See sections.h.
#include "coordinator/report/sections.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "coordinator/report/measures.h"
#include "coordinator/report/removal.h"

namespace sink::report {
namespace {

TableCell NumberCell(std::string text) { return {text.empty() ? "–" : std::move(text), true}; }

// "90 ± 3" percent.
std::string GoneText(const Summary& share) {
  if (share.n == 0) return "";
  return Fixed(100 * share.mean, 0) + (share.n > 1 ? " ± " + Fixed(100 * share.deviation, 0) : "");
}

}  // namespace

void AddRemoval(const Study& study, const Palette& palette, Document* document) {
  const std::optional<Removal> removal = WhatRemovesTheSink(study);
  if (!removal) return;
  document->blocks.push_back(Heading{2, "What removes a sink, and at what price in loss"});
  document->blocks.push_back(
      Paragraph{"Every setting that differs from " + removal->base +
                " in the model's variant or the optimizer alone. Changes are differences of means over seeds with 95 % "
                "intervals (seed by seed where both have the same). Removed is a sink whose strongest head is surely "
                "weaker and surely below 0.3; intervals are not widened for the number of rows; a positive price is a "
                "higher validation loss (nats a token)."});
  DataTable table;
  table.columns = {"Variant", "The sink", "alpha_1, strongest head", "change", "Sink_1 %", "Validation loss",
                   "price",   "Runs"};
  const auto runs = [](const auto& of) {
    const std::string diverged = of.diverged > 0 ? ", " + std::to_string(of.diverged) + " diverged" : "";
    return TableCell{std::to_string(of.succeeded) + " of " + std::to_string(of.runs) + diverged, true};
  };
  table.rows.push_back({{removal->base, false, false, palette.ColorOf(*removal->point)},
                        {"the base"},
                        NumberCell(ShowSummary(removal->alpha, 2)),
                        NumberCell(""),
                        NumberCell(ShowSummary(removal->rate, 1)),
                        NumberCell(ShowSummary(removal->loss, 3)),
                        NumberCell(""),
                        runs(*removal)});
  charts::IntervalChart sink, price;
  for (const Variant& variant : removal->variants) {
    const auto effect = [](const std::optional<Effect>& e) { return NumberCell(e ? ShowEffect(*e) : ""); };
    const int color = palette.ColorOf(*variant.point);
    table.rows.push_back({{variant.label, false, false, color},
                          {variant.verdict + (variant.remark.empty() ? "" : ": " + variant.remark)},
                          NumberCell(ShowSummary(variant.alpha, 2)),
                          effect(variant.change),
                          NumberCell(ShowSummary(variant.rate, 1)),
                          NumberCell(ShowSummary(variant.loss, 3)),
                          effect(variant.price),
                          runs(variant)});
    const auto row = [&](const std::optional<Effect>& e, const std::string& note) {
      charts::IntervalRow out{variant.label, e ? e->value : NAN, std::nullopt, color, note};
      if (e && e->interval) out.interval = {e->interval->low, e->interval->high};
      return out;
    };
    sink.rows.push_back(row(variant.change, variant.verdict));
    price.rows.push_back(row(variant.price, ""));
  }
  document->blocks.push_back(std::move(table));
  sink.title = "Change of alpha_1 of the strongest head";
  sink.description = "Against " + removal->base + ", with 95 % intervals; left of 0 the sink is weaker.";
  sink.x_label = "change of alpha_1";
  price.title = "Price in validation loss";
  price.description = "Against " + removal->base + ", with 95 % intervals; right of 0 the loss is higher.";
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
    const auto cell = [](const Onsets& one) { return TableCell{one.runs == 0 ? "–" : ShowOnsets(one)}; };
    onsets.table.rows.push_back({{line.label, false, false, line.color}, cell(third), cell(half), cell(rate)});
  }
  return onsets;
}

void AddOrder(const Study& study, const Experiment& experiment, const std::vector<Order>& orders, Document* document) {
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
                          NumberCell(GoneText(GoneAtTheSink(study, experiment, order.quantity)))});
  }
  document->blocks.push_back(
      Paragraph{"What comes first, over the runs that end with a sink: the step at which a quantity has gone half of "
                "its way from its first value to its last for good, against the same step of alpha_1 of the strongest "
                "head; and how much of its way it has gone by then."});
  document->blocks.push_back(std::move(table));
}

void AddEmergence(const Study& study, const Experiment& experiment, const Palette& palette, Document* document) {
  if (!Trains(study, experiment)) return;
  OnsetTable onsets = TableOfOnsets(study, LinesOf(experiment, palette));
  if (!onsets.measured) return;
  document->blocks.push_back(Heading{3, "When the sink emerges"});
  if (!onsets.any) {
    document->blocks.push_back(Paragraph{
        "In no run does it emerge and stay" +
        (onsets.unfinished > 0 ? "; " + std::to_string(onsets.unfinished) + " diverged or did not finish." : ".")});
    return;
  }
  document->blocks.push_back(Paragraph{
      "The first measurement from which on every later one is above: median over the runs, where one in which that "
      "never happens is later than any (so that there is none where half or more are such), and the earliest and the "
      "latest of those in which it does."});
  document->blocks.push_back(std::move(onsets.table));
  AddOrder(study, experiment, OrderOfEmergence(study, experiment), document);
}

}  // namespace sink::report
