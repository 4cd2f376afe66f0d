// See comparison.h.
#include "coordinator/report/comparison.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "coordinator/report/after_the_loss.h"
#include "coordinator/report/emergence.h"
#include "coordinator/report/front_page.h"
#include "coordinator/report/measures.h"
#include "coordinator/report/recipe.h"
#include "coordinator/report/removal.h"
#include "coordinator/report/sections.h"
#include "coordinator/report/takeaways.h"
#include "proto/base/counted.h"
#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

constexpr double kMostMultiples = 20;  // that the figure of effects shows
constexpr char kFromZero[] = " *";     // of an effect there for which 0 is the least that counts

// The sweeps as one study. A run that several have is there once.
Study Together(const std::vector<EvaluatedStudy>& studies, const Origin& origin) {
  Study all;
  std::map<std::string, Machine> machines;
  for (const EvaluatedStudy& evaluated : studies) {
    const Study& study = *evaluated.study;
    all.sweep += (all.sweep.empty() ? "" : ", ") + study.sweep;
    all.created_ms = all.created_ms == 0 ? study.created_ms : std::min(all.created_ms, study.created_ms);
    all.reported_ms = std::max(all.reported_ms, study.reported_ms);
    all.command = study.command;
    all.version = study.version;
    for (Experiment experiment : study.experiments) {
      experiment.name = study.sweep + ", " + experiment.name;
      all.experiments.push_back(std::move(experiment));
    }
    all.runs.insert(study.runs.begin(), study.runs.end());
    for (const Machine& machine : study.machines) machines.emplace(machine.name, machine);
  }
  for (const auto& [name, machine] : machines) all.machines.push_back(machine);
  all.origin = origin;
  return all;
}

// The settings of all sweeps as those of one experiment.
Experiment AllSettings(const Study& all) {
  Experiment every;
  for (const Experiment& experiment : all.experiments)
    every.points.insert(every.points.end(), experiment.points.begin(), experiment.points.end());
  return every;
}

size_t PlaceInThePaper(const Verdicts::Item& item) {
  const std::vector<Takeaway>& takeaways = Takeaways();
  return static_cast<size_t>(std::find_if(takeaways.begin(), takeaways.end(),
                                          [&item](const Takeaway& t) { return t.statement == item.statement; }) -
                             takeaways.begin());
}

std::set<std::string> Statements(const std::vector<Verdicts::Item>& items) {
  std::set<std::string> statements;
  for (const Verdicts::Item& item : items) statements.insert(item.statement);
  return statements;
}

// Every comparison once, in the paper's order: sweeps that share jobs, or train what others train for longer, make some
// of them twice.
std::vector<Verdicts::Item> Comparisons(const std::vector<EvaluatedStudy>& studies, const Study& all) {
  std::vector<Verdicts::Item> items;
  for (const EvaluatedStudy& evaluated : studies)
    for (const ExperimentResult& result : *evaluated.results)
      for (Verdicts::Item item : result.takeaways) {
        item.experiment = evaluated.study->sweep + ", " + item.experiment;
        const auto same = std::find_if(items.begin(), items.end(), [&item](const Verdicts::Item& other) {
          const Judgement &a = other.judgement, &b = item.judgement;
          return other.statement == item.statement &&
                 (a.numbers.empty() ? b.numbers.empty() && a.comparison == b.comparison && a.against == b.against
                                    : a.numbers == b.numbers);
        });
        if (same == items.end()) {
          items.push_back(std::move(item));
          continue;
        }
        std::string& paper = same->judgement.paper;  // of other settings, where ours are the same
        if (!item.judgement.paper.empty() && item.judgement.paper != paper)
          paper += (paper.empty() ? "of " : "; of ") + item.experiment + ": " + item.judgement.paper;
        same->experiment += "; " + item.experiment;
      }
  // What comes first is asked of settings, of whatever kind: the more of them the better.
  for (const Takeaway& takeaway : Takeaways()) {
    if (!std::holds_alternative<AfterTheLoss>(takeaway.claim) || !Statements(items).contains(takeaway.statement))
      continue;
    Judgement together = JudgeAfterTheLoss(all, AllSettings(all));
    if (std::none_of(items.begin(), items.end(),
                     [&](const auto& item) { return item.judgement.numbers == together.numbers; }))
      items.push_back({takeaway.statement, takeaway.source, std::move(together), "all together"});
  }
  std::stable_sort(items.begin(), items.end(),
                   [](const auto& a, const auto& b) { return PlaceInThePaper(a) < PlaceInThePaper(b); });
  return items;
}

// "By takeaway, in all of its comparisons or in some while the others are undecided: 15 hold, 4 do not, ...".
std::string ByTakeaway(const std::vector<Verdicts::Item>& items) {
  std::map<std::string, std::set<Verdict>> of;
  for (const Verdicts::Item& item : items) of[item.statement].insert(item.judgement.verdict);
  int hold = 0, fail = 0, both = 0, open = 0;
  for (const auto& [statement, verdicts] : of) {
    const bool holds = verdicts.contains(Verdict::kHolds), fails = verdicts.contains(Verdict::kDoesNotHold);
    ++(holds && fails ? both : holds ? hold : fails ? fail : open);
  }
  return "By takeaway: " + std::to_string(hold) + " hold in at least one comparison and fail in none, " +
         std::to_string(fail) + " fail in at least one and hold in none, " +
         (both > 0 ? std::to_string(both) + " do both, " : "") + std::to_string(open) +
         " are undecided in each. Comparisons that read the very same measurements are one; others share runs, the "
         "base's above all, so that their verdicts are not independent of each other.";
}

Overview Of(Verdict verdict, const std::vector<Verdicts::Item>& items) {
  Overview overview;
  for (const Verdicts::Item& item : items)
    if (item.judgement.verdict == verdict) overview.items.push_back(item);
  return overview;
}

// A statement that others make of other experiments, short enough for its row: "Softmax attention has …
// (attention_sink)".
std::string InExperiment(const Verdicts::Item& item) {
  constexpr size_t kLetters = 58;
  std::string name = item.experiment.substr(0, item.experiment.find(';'));
  name = " (" + name.substr(name.rfind(' ') + 1) + ")";
  if (item.statement.size() + name.size() <= kLetters) return item.statement + name;
  return item.statement.substr(0, kLetters - std::min(kLetters, name.size() + 1)) + "…" + name;
}

// Effects as multiples of the least that counts, so that points, alpha and steps share an axis. Those of which 0 is the
// least, distances to the level of a sink, are drawn in what counts of others, and marked. Claims that there is no
// effect are left out: theirs must be small.
std::optional<IntervalChart> EffectsChart(const std::vector<Verdicts::Item>& items) {
  IntervalChart chart;
  bool from_zero = false;
  std::map<std::string, int> rows;  // of a statement: one that has several needs the experiments' names
  for (const Verdicts::Item& item : items) ++rows[item.statement];
  for (const auto& [verdict, color] :
       {std::pair(Verdict::kHolds, 2), {Verdict::kDoesNotHold, 1}, {Verdict::kNotEnoughData, 6}}) {
    for (const Verdicts::Item& item : Of(verdict, items).items) {
      if (!item.judgement.effect || item.judgement.effect->of_bound) continue;
      const Effect& effect = *item.judgement.effect;
      const double unit = effect.least > 0 ? effect.least : effect.unit == "points" ? kLeastPercent : kLeastAlpha;
      const auto shown = [unit](double value) { return std::clamp(value / unit, -kMostMultiples, kMostMultiples); };
      charts::IntervalRow row{rows[item.statement] > 1 ? InExperiment(item) : item.statement, shown(effect.value),
                              std::nullopt, color, VerdictText(verdict) + (effect.least > 0 ? "" : kFromZero)};
      row.hover = item.statement + " (" + item.experiment + "): " + ShowEffect(effect);
      from_zero |= effect.least == 0;
      if (effect.interval) row.interval = {shown(effect.interval->low), shown(effect.interval->high)};
      chart.rows.push_back(std::move(row));
    }
  }
  if (chart.rows.empty()) return std::nullopt;
  chart.title = "The paper's takeaways in our runs";
  chart.description =
      "Our effects with their 95 % intervals, in multiples of the least that counts (lines at 0 and at 1). "
      "Holds: the whole interval is right of 0 and the effect right of 1; does not hold: the whole "
      "interval is left of 1. " +
      (from_zero ? "Those with a * are distances to the level of a sink, in multiples of " + Fixed(kLeastPercent, 0) +
                       " points of sink rate or " + Fixed(kLeastAlpha, 2) +
                       " of alpha: of them 0 decides alone, right of it they hold, left of it they do not. "
                 : std::string()) +
      "What goes beyond " + Fixed(kMostMultiples, 0) +
      " ends at the edge. Claims that there is no effect are not drawn.";
  chart.x_label = "effect, in multiples of the least that counts";
  chart.marks = {0, 1};
  return chart;
}

// "This scale: 96 wide, ...; 384k tokens: ... The paper's: 768 wide, ...", for each of the paper's models that ours are
// like.
void AddScale(const Study& all, Document* document) {
  for (const Recipe& recipe : RecipeDifferences(all)) {
    std::string ours, paper;
    for (const RecipeRow& row : recipe.rows) {
      if (row.part != "Model" && row.part != "Training") continue;
      ours += (ours.empty() ? "" : "; ") + row.ours;
      paper += (paper.empty() ? "" : "; ") + row.paper;
    }
    if (!ours.empty()) document->blocks.push_back(Paragraph{"This scale: " + ours + ". The paper's: " + paper + "."});
  }
}

void AddNotRun(const std::vector<Verdicts::Item>& items, Document* document) {
  const std::set<std::string> tested = Statements(items);
  DataTable table;
  table.columns = {"Takeaway of the paper", "Where", "Experiments that would tell"};
  for (const Takeaway& takeaway : Takeaways()) {
    if (tested.contains(takeaway.statement)) continue;
    std::string experiments;
    for (const std::string& name : takeaway.experiments) experiments += (experiments.empty() ? "" : ", ") + name;
    table.rows.push_back({{takeaway.statement}, {takeaway.source}, {experiments}});
  }
  if (table.rows.empty()) return;
  document->blocks.push_back(Heading{2, "What was not put to the test"});
  document->blocks.push_back(std::move(table));
}

// When the sinks come, over all runs: those of the setting that the others vary, and what comes first in any.
void AddWhen(const Study& all, const Palette& palette, Document* document) {
  int trained = 0, with = 0;
  for (const auto& [id, run] : all.runs) {
    const std::optional<double> alpha = Value(run, Measure::kAlphaMax);
    if (!run.succeeded() || IsEvaluation(run) || !alpha) continue;
    ++trained;
    with += *alpha >= kOnsetAlpha;
  }
  if (with == 0) return;
  document->blocks.push_back(Heading{2, "When the sink emerges"});
  document->blocks.push_back(Paragraph{
      std::to_string(with) + " of the " + std::to_string(trained) +
      " runs that trained to their end have a sink then: the strongest head's alpha_1 is " + Fixed(kOnsetAlpha, 1) +
      " or more. An onset is the first measurement from which on every later one, and there must be one, is above; a "
      "sink at step 0 "
      "is there from the start and did not emerge."});
  if (const std::optional<Removal> removal = WhatRemovesTheSink(all)) {
    const std::string name = "the base recipe (" + removal->base + ")";
    const std::vector<Line> base = {{removal->point, name, palette.ColorOf(*removal->point)}};
    document->blocks.push_back(TableOfOnsets(all, base).table);
    const std::string alpha =
        pipe::FormatMetricName({.kind = pipe::MetricKind::kAlphaMax, .position = pipe::kFirstPosition});
    if (std::optional<LineChart> chart = MetricChart(all, base, alpha)) {
      chart->title = "alpha_1 of the strongest head: " + name;
      chart->y_label = "mean importance alpha_1";
      chart->from_zero = true;
      document->blocks.push_back(FigureBlock{{"base-alpha_1", chart->title + ". " + chart->description, *chart}});
    }
  }
  const Emerged emerged = RunsWithAnEmergedSink(all, AllSettings(all));
  const std::vector<Order> orders = OrderOfEmergence(emerged);
  AddOrder(emerged, orders, document);
  if (const std::optional<IntervalChart> chart = OrderChart(orders, "all runs"))
    document->blocks.push_back(FigureBlock{{"order", chart->title + ". " + chart->description, *chart}});
}

Links SweepLinks(const std::vector<EvaluatedStudy>& studies) {
  Links links;
  for (const EvaluatedStudy& evaluated : studies) {
    const Study& study = *evaluated.study;
    links.items.push_back({study.sweep,
                           Counted(study.runs.size(), "job") + ", reported " + TimeText(study.reported_ms) +
                               " by sinkctl " + study.version,
                           evaluated.markdown, evaluated.html});
  }
  return links;
}

}  // namespace

Document MakeComparison(const std::vector<EvaluatedStudy>& studies, const Origin& origin) {
  const Study all = Together(studies, origin);
  const Palette palette(all);
  const std::vector<Verdicts::Item> items = Comparisons(studies, all);
  Document document;
  document.title = "The paper's takeaways in our runs";
  if (items.empty())
    document.blocks.push_back(Paragraph{"No experiment here is one that the paper draws a takeaway from."});
  else
    document.blocks.push_back(
        Paragraph{Counted(items.size(), "comparison") + " on " + std::to_string(Statements(items).size()) + " of the " +
                  std::to_string(Takeaways().size()) +
                  " takeaways of the paper (Gu et al., When Attention Sink Emerges in Language Models, ICLR 2025). " +
                  CountsText(items) + " " + ByTakeaway(items)});
  AddScale(all, &document);
  document.blocks.push_back(HeaderFacts(all));
  if (std::optional<IntervalChart> chart = EffectsChart(items))
    document.blocks.push_back(FigureBlock{{"takeaways", chart->title + ". " + chart->description, *chart}});
  const std::pair<Verdict, const char*> kSections[] = {{Verdict::kHolds, "What holds at this scale"},
                                                       {Verdict::kDoesNotHold, "What does not hold at this scale"},
                                                       {Verdict::kNotEnoughData, "What these runs cannot decide"}};
  for (const auto& [verdict, title] : kSections) {
    Overview overview = Of(verdict, items);
    if (overview.items.empty()) continue;
    document.blocks.push_back(Heading{2, title});
    if (verdict == Verdict::kDoesNotHold)
      document.blocks.push_back(Paragraph{
          "Where a sink is missing, it did not come within what these runs trained; whether longer ones would "
          "have it they do not say."});
    document.blocks.push_back(std::move(overview));
  }
  if (!items.empty()) {
    AddNotRun(items, &document);
    document.blocks.push_back(Paragraph{RuleText()});
  }
  AddRecipes(all, &document);
  AddWhen(all, palette, &document);
  AddRemoval(all, palette, &document);
  if (!items.empty()) {
    document.blocks.push_back(Heading{2, "The comparisons in numbers"});
    Verdicts verdicts{items};
    for (Verdicts::Item& item : verdicts.items) item.source += "; here: " + item.experiment;
    document.blocks.push_back(std::move(verdicts));
  }
  document.blocks.push_back(Heading{2, "Sweeps"});
  document.blocks.push_back(SweepLinks(studies));
  return document;
}

}  // namespace sink::report
