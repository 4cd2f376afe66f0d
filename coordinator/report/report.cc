// See report.h.
#include "coordinator/report/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <set>

#include "coordinator/report/emergence.h"
#include "coordinator/report/evidence.h"
#include "coordinator/report/front_page.h"
#include "coordinator/report/measures.h"
#include "coordinator/report/removal.h"
#include "coordinator/report/sections.h"
#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

constexpr char kRate[] = "sink_rate_percent";
constexpr char kRateAt[] = "sink_rate_percent_at_";  // and a position
constexpr char kBiasRate[] = "bias_sink_rate_percent";
constexpr char kLoss[] = "validation_loss";

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

std::vector<const Run*> RunsOf(const Study& study, const Point& point) {
  std::vector<const Run*> runs;
  for (const std::string& id : point.runs) runs.push_back(&study.run(id));
  return runs;
}

Summary Ours(const Study& study, const Point& point, const std::string& key, bool unfinished) {
  if (point.runs.empty()) return {};
  if (key == kRate)
    return Summarize(study, point, Measure::kSinkRate, PositionOf(study.run(point.runs.front())), kEnd, unfinished);
  if (key.starts_with(kRateAt))
    return Summarize(study, point, Measure::kSinkRate, key.substr(std::string(kRateAt).size()), kEnd, unfinished);
  if (key == kBiasRate) return Summarize(study, point, Measure::kSinkRate, "bias", kEnd, unfinished);
  if (key == kLoss) return Summarize(study, point, Measure::kValidationLoss, "1", kEnd, unfinished);
  return {};
}

// "failed (nan): the loss is NaN at step 12", "running, step 100 of 200": of one run that did not succeed.
std::string TroubleOf(const Run& run) {
  std::string text = Lower(run.state);
  if (run.step > 0 || !run.final())
    text += " at step " + std::to_string(run.step) + " of " + std::to_string(run.max_steps);
  if (!run.reason.empty()) text += ": " + run.reason;
  return text;
}

// Of a run that succeeded; its values of before are no result.
std::string NanAtTheEnd(const Run& run) {
  const bool measured = !MetricName(run, Measure::kSinkRate, "1").empty();
  return measured && !Value(run, Measure::kSinkRate) ? "no finite sink rate at the end" : "";
}

bool HasBias(const Study& study, const Experiment& experiment) {
  for (const Point& point : experiment.points)
    for (const Run* run : RunsOf(study, point))
      if (!MetricName(*run, Measure::kAlphaMean, std::string(pipe::kBiasPosition)).empty()) return true;
  return false;
}

Row RowOf(const Study& study, const Experiment& experiment, size_t index, const std::vector<std::string>& keys) {
  const Point& point = experiment.points[index];
  Row row;
  row.label = point.label;
  row.runs = static_cast<int>(point.runs.size());
  std::vector<std::pair<std::string, int>> troubles;  // of how many runs each
  for (const Run* run : RunsOf(study, point)) {
    row.succeeded += run->succeeded();
    const std::string trouble = run->succeeded() ? NanAtTheEnd(*run) : TroubleOf(*run);
    if (trouble.empty()) continue;
    const auto same =
        std::find_if(troubles.begin(), troubles.end(), [&trouble](const auto& one) { return one.first == trouble; });
    ++(same == troubles.end() ? troubles.emplace_back(trouble, 0) : *same).second;
  }
  for (const auto& [trouble, count] : troubles)
    row.trouble +=
        (row.trouble.empty() ? "" : "; ") + trouble + (count > 1 ? " (" + std::to_string(count) + " runs)" : "");
  const bool unfinished = row.succeeded == 0;
  for (const std::string& key : keys) {
    const auto list = experiment.paper.find(key);
    const bool there = list != experiment.paper.end() && list->is_array() && index < list->size();
    row.measures.push_back({key, Ours(study, point, key, unfinished), there ? (*list)[index] : Json(nullptr)});
  }
  row.strongest_alpha = Summarize(study, point, Measure::kAlphaMax, "1", kEnd, unfinished);
  return row;
}

bool FixesALaterToken(const Study& study, const Experiment& experiment) {
  for (const Point& point : experiment.points)
    for (const Run* run : RunsOf(study, point))
      if (PositionOf(*run) != "1") return true;
  return false;
}

// The measures that are always there, that of a bias where there is one, and whatever else the paper has.
std::vector<std::string> KeysOf(const Study& study, const Experiment& experiment) {
  std::vector<std::string> keys = {kRate};
  if (experiment.paper.contains(kBiasRate) || HasBias(study, experiment)) keys.emplace_back(kBiasRate);
  keys.emplace_back(kLoss);
  for (const auto& [key, values] : experiment.paper.items())
    if (values.is_array() && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  return keys;
}

std::string ColumnName(const std::string& key) {
  if (key == kRate) return "Sink rate %";
  if (key.starts_with(kRateAt)) return "Sink rate % of position " + key.substr(std::string(kRateAt).size());
  if (key == kBiasRate) return "Sink rate % of the bias";
  if (key == kLoss) return "Validation loss";
  return key;
}

int DecimalsOf(const std::string& key) { return key == kLoss ? 3 : 2; }

// The text of each distinct value among the runs: "0.3", "64, 128".
template <typename Get>
std::string Distinct(const Study& study, Get get) {
  std::set<std::string> values;
  for (const auto& [id, run] : study.runs)
    if (std::string value = get(run); !value.empty()) values.insert(std::move(value));
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ", ") + value;
  return text.empty() ? "not measured yet" : text;
}

std::string StateCounts(const Study& study) {
  std::map<std::string, int> counts;
  for (const auto& [id, run] : study.runs) ++counts[Lower(run.state)];
  std::string text = std::to_string(study.runs.size()) + " jobs";
  for (const auto& [state, count] : counts) text += ", " + std::to_string(count) + " " + state;
  return text;
}

std::string Machines(const Study& study) {
  std::string text;
  for (const Machine& machine : study.machines)
    text += (text.empty() ? "" : ", ") + machine.name + " (" + std::to_string(machine.devices) + " x " +
            machine.device + ", sink-worker " + machine.version + ")";
  return text.empty() ? "none yet" : text;
}

// What was put before the texts. Our own models are measured without; of open ones their measurement tells.
std::string BosText(const Study& study) {
  return Distinct(study, [](const Run& run) -> std::string {
    const auto bos = run.curves.find(pipe::FormatMetricName({.kind = pipe::MetricKind::kBosToken}));
    if (bos != run.curves.end() && !bos->second.empty())
      return "BOS token " + Fixed(bos->second.back().value, 0) + " prepended by the model's own rule";
    const bool measured = !MetricName(run, Measure::kAlphaMean, "1").empty() || !IsEvaluation(run);
    return measured ? "no BOS token prepended" : "";
  });
}

// "regmix (content 1a2b3c4d)"; empty where nobody knows. A set with several contents is said to have changed.
std::string DataText(const Study& study) {
  constexpr size_t kShownDigits = 8;
  std::map<std::string, std::set<std::string>> contents;  // by set
  for (const auto& [id, run] : study.runs)
    if (!run.data_content.empty()) contents[run.data_set].insert(run.data_content.substr(0, kShownDigits));
  std::string text;
  for (const auto& [set, found] : contents) {
    text += (text.empty() ? "" : "; ") + set + " (content";
    for (const std::string& content : found) text += (text.back() == 't' ? " " : ", ") + content;
    text += found.size() > 1 ? ": its runs did not all train on the same data)" : ")";
  }
  return text;
}

// "2 h 12 min from the first start to the last end, 4 h 20 min of jobs"; empty where nothing has ended.
std::string DurationText(const Study& study) {
  int64_t first = 0, last = 0, sum = 0;
  for (const auto& [id, run] : study.runs) {
    if (run.started_ms == 0 || run.finished_ms < run.started_ms) continue;
    first = first == 0 ? run.started_ms : std::min(first, run.started_ms);
    last = std::max(last, run.finished_ms);
    sum += run.finished_ms - run.started_ms;
  }
  const auto text = [](int64_t ms) {
    const int64_t minutes = (ms + 30'000) / 60'000;
    if (minutes == 0) return std::to_string((ms + 500) / 1000) + " s";
    return (minutes < 60 ? "" : std::to_string(minutes / 60) + " h ") + std::to_string(minutes % 60) + " min";
  };
  return sum == 0 ? "" : text(last - first) + " from the first start to the last end, " + text(sum) + " of jobs";
}

DataTable TableOf(const ExperimentResult& result, const Palette& palette) {
  DataTable table;
  table.columns = {"Setting"};
  for (const Row::Pair& pair : result.rows.front().measures) {
    table.columns.push_back(ColumnName(pair.key) + ", ours");
    table.columns.push_back("paper");
  }
  table.columns.insert(table.columns.end(), {"alpha_1, strongest head", "Runs"});
  for (const Row& row : result.rows) {
    const Point& point = result.experiment->points[table.rows.size()];
    std::vector<TableCell> cells = {{LabelOf(*result.experiment, point), false, false, palette.ColorOf(point)}};
    const auto number = [](std::string text) { return TableCell{text.empty() ? "–" : std::move(text), true, false}; };
    for (const Row::Pair& pair : row.measures) {
      cells.push_back(number(ShowSummary(pair.ours, DecimalsOf(pair.key))));
      cells.push_back(number(pair.paper.is_number() ? Fixed(pair.paper.get<double>(), 2) : ""));
    }
    cells.push_back(number(ShowSummary(row.strongest_alpha, 3)));
    std::string state = std::to_string(row.succeeded) + " of " + std::to_string(row.runs) + " done";
    if (!row.trouble.empty()) {
      state += "; " + row.trouble;
      if (row.succeeded == 0 && row.strongest_alpha.n > 0) state += "; values so far";
    }
    cells.push_back({state, false, !row.trouble.empty()});
    table.rows.push_back(std::move(cells));
  }
  return table;
}

Json EffectJson(const std::optional<Effect>& effect) {
  if (!effect) return nullptr;
  Json json = {{"value", effect->value},      {"low", nullptr},       {"high", nullptr},
               {"least", effect->least},      {"unit", effect->unit}, {"seeds", effect->seeds},
               {"at_least", effect->at_least}};
  if (effect->interval) {
    json["low"] = effect->interval->low;
    json["high"] = effect->interval->high;
  }
  return json;
}

Json SummaryJson(const Summary& s) {
  if (s.n == 0) return nullptr;
  return {{"mean", s.mean}, {"deviation", s.deviation}, {"least", s.least}, {"most", s.most}, {"runs", s.n}};
}

// The steps at which the sink comes to stay, of the runs in which it does; the median of all runs, null where half or
// more have none.
Json OnsetsJson(const Onsets& onsets) {
  const std::optional<double> median = onsets.median();
  return {{"steps", onsets.steps},
          {"median", median ? Json(*median) : Json(nullptr)},
          {"end", onsets.end},
          {"runs", onsets.runs},
          {"unfinished", onsets.unfinished},
          {"diverged", onsets.diverged},
          {"unconfirmed", onsets.unconfirmed},
          {"from_start", onsets.from_start()},
          {"tokens_a_step", onsets.tokens_a_step ? Json(*onsets.tokens_a_step) : Json(nullptr)}};
}

Json OrderJson(const Order& order) {
  Json json = {{"quantity", QuantityText(order.quantity)},
               {"lag_steps", order.lag},
               {"low", nullptr},
               {"high", nullptr},
               {"order", OrderText(order)}};
  if (order.interval) {
    json["low"] = order.interval->low;
    json["high"] = order.interval->high;
  }
  return json;
}

Json RemovalJson(const Study& study) {
  const std::optional<Removal> removal = WhatRemovesTheSink(study);
  if (!removal) return nullptr;
  Json variants = Json::array();
  for (const Variant& variant : removal->variants)
    variants.push_back({{"label", variant.label},
                        {"verdict", variant.verdict},
                        {"remark", variant.remark},
                        {"runs", variant.runs},
                        {"succeeded", variant.succeeded},
                        {"diverged", variant.diverged},
                        {"from_start", variant.from_start},
                        {"alpha_max_1", SummaryJson(variant.alpha)},
                        {"alpha_max_bias", SummaryJson(variant.bias)},
                        {"sink_rate_percent", SummaryJson(variant.rate)},
                        {"validation_loss", SummaryJson(variant.loss)},
                        {"change", EffectJson(variant.change)},
                        {"price", EffectJson(variant.price)}});
  return {{"base", removal->base}, {"variants", std::move(variants)}};
}

}  // namespace

std::string TimeText(int64_t unix_ms) {
  if (unix_ms == 0) return "never";
  const std::time_t seconds = unix_ms / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc);
  return text;
}

Facts HeaderFacts(const Study& study) {
  Facts header;
  const auto add = [&header](const char* name, std::string text) {
    if (!text.empty()) header.items.emplace_back(name, std::move(text));
  };
  add("Sweep", study.sweep);
  add("Submitted", TimeText(study.created_ms));
  add("Reported", TimeText(study.reported_ms));
  add("Jobs", StateCounts(study));
  add("Time", DurationText(study));
  add("Sink metric", "epsilon " + Distinct(study, Epsilon) + ", T " +
                         Distinct(study, [](const Run& run) { return SettingText(run, "eval.tokens"); }) + ", " +
                         BosText(study) + ", position 1 unless said otherwise");
  add("Run by", study.origin.command);
  add("Made by", study.command + ", sinkctl " + study.version);
  add("Machine", study.origin.machine);
  add("Workers", Machines(study));
  add("Data", DataText(study));
  add("Numbers", study.origin.numbers);
  return header;
}

std::vector<ExperimentResult> Evaluate(const Study& study) {
  std::vector<ExperimentResult> results;
  for (const Experiment& experiment : study.experiments) {
    ExperimentResult result{&experiment, {}, {}};
    const std::vector<std::string> keys = KeysOf(study, experiment);
    for (size_t i = 0; i < experiment.points.size(); ++i) result.rows.push_back(RowOf(study, experiment, i, keys));
    for (const Takeaway& takeaway : Takeaways()) {
      const auto& names = takeaway.experiments;
      if (std::find(names.begin(), names.end(), experiment.name) == names.end()) continue;
      if (!Concerns(study, experiment, takeaway.claim)) continue;
      result.takeaways.push_back(
          {takeaway.statement, takeaway.source, Judge(study, experiment, takeaway.claim), experiment.name});
    }
    results.push_back(std::move(result));
  }
  return results;
}

Document MakeReport(const Study& study, const std::vector<ExperimentResult>& results) {
  Document document;
  document.title = "When attention sinks emerge: " + study.sweep;
  document.blocks.push_back(HeaderFacts(study));
  if (study.from_labels)
    document.blocks.push_back(Paragraph{
        "This sweep was stored by an older coordinator, which kept no published values; submit its file again to have "
        "them beside ours."});
  AddFrontPage(study, results, &document);
  const Palette palette(study);
  AddRemoval(study, palette, &document);
  document.blocks.push_back(
      Paragraph{"The published numbers in the tables below are those of Gu et al., ICLR 2025: single runs of a 60M "
                "model (1B where "
                "said), so gaps of 1 to 2 points between them are noise. Ours are the mean and standard deviation over "
                "the seeds that "
                "finished."});
  for (const ExperimentResult& result : results) {
    document.blocks.push_back(Heading{2, result.experiment->name});
    const auto source = result.experiment->paper.find("source");
    std::string about = result.experiment->arithmetic;
    if (source != result.experiment->paper.end() && source->is_string())
      about += (about.empty() ? "" : ". ") + std::string("Published values: ") + source->get<std::string>() + ".";
    if (!about.empty()) document.blocks.push_back(Paragraph{about});
    if (!result.rows.empty()) document.blocks.push_back(TableOf(result, palette));
    if (FixesALaterToken(study, *result.experiment))
      document.blocks.push_back(Paragraph{"Sink rates in this table are of the position where the token is fixed."});
    if (!result.takeaways.empty()) {
      document.blocks.push_back(Heading{3, "Takeaways of the paper"});
      document.blocks.push_back(Verdicts{result.takeaways});
    }
    AddEmergence(study, *result.experiment, palette, &document);
    FigureSet set = Figures(study, *result.experiment, palette);
    for (const std::string& sentence : set.sentences) document.blocks.push_back(Paragraph{sentence});
    for (Figure& figure : set.figures) document.blocks.push_back(FigureBlock{std::move(figure)});
  }
  return document;
}

Json ReportJson(const Study& study, const std::vector<ExperimentResult>& results) {
  Json experiments = Json::array();
  for (const ExperimentResult& result : results) {
    Json rows = Json::array(), takeaways = Json::array();
    for (const Row& row : result.rows) {
      const Point& point = result.experiment->points[rows.size()];
      Json measures = Json::object();
      for (const Row::Pair& pair : row.measures)
        measures[pair.key] = {{"ours", SummaryJson(pair.ours)}, {"paper", pair.paper}};
      rows.push_back({{"label", row.label},
                      {"measures", std::move(measures)},
                      {"alpha_max_1", SummaryJson(row.strongest_alpha)},
                      {"alpha_onset", OnsetsJson(AlphaOnsets(study, point, kOnsetAlpha))},
                      {"rate_onset", OnsetsJson(RateOnsets(study, point, kOnsetPercent))},
                      {"runs", row.runs},
                      {"succeeded", row.succeeded},
                      {"trouble", row.trouble}});
    }
    for (const Verdicts::Item& item : result.takeaways)
      takeaways.push_back({{"statement", item.statement},
                           {"source", item.source},
                           {"verdict", VerdictText(item.judgement.verdict)},
                           {"measure", item.judgement.measure},
                           {"effect", EffectJson(item.judgement.effect)},
                           {"paper_effect", EffectJson(item.judgement.paper_effect)},
                           {"comparison", item.judgement.comparison},
                           {"paper", item.judgement.paper}});
    Json order = Json::array();
    for (const Order& one : OrderOfEmergence(RunsWithAnEmergedSink(study, *result.experiment)))
      order.push_back(OrderJson(one));
    experiments.push_back({{"name", result.experiment->name},
                           {"rows", std::move(rows)},
                           {"takeaways", std::move(takeaways)},
                           {"order", std::move(order)}});
  }
  return {{"sweep", study.sweep},
          {"reported_ms", study.reported_ms},
          {"removal", RemovalJson(study)},
          {"experiments", std::move(experiments)}};
}

}  // namespace sink::report
