// sinkctl results: the sink table of a sweep: one line a job, with the final sink rate, importances and losses.
#include <memory>
#include <set>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/study/whole_sweep.h"
#include "coordinator/cli/views/received_json.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"
#include "proto/pipe/metric_name.h"

namespace sink::cli {
namespace {

// What a number is worth depends on the length of the probes: the values of eval.tokens, e.g. "64".
absl::StatusOr<std::string> ProbeTokens(Session& session, const std::string& sweep) {
  std::set<int64_t> lengths;
  const absl::Status read = VisitConfigs(session, sweep, [&](const v1::Job& job) {
    const Json config = ReceivedJson(job.config_json());
    const auto tokens = "/eval/tokens"_json_pointer;
    if (config.is_object() && config.contains(tokens) && config[tokens].is_number_integer())
      lengths.insert(config[tokens].get<int64_t>());
  });
  if (!read.ok()) return read;
  std::string out;
  for (int64_t length : lengths) out += (out.empty() ? "" : ", ") + std::to_string(length);
  return out;
}

struct ResultsOptions {
  std::string sweep;
  bool csv = false;
};

Outcome Results(Session& session, const ResultsOptions& options) {
  session.csv = options.csv;
  const std::string& sweep = options.sweep;
  const auto status = ReadSweep(session, sweep);
  if (!status.ok()) return FromStatus(status.status());
  const auto tokens = ProbeTokens(session, sweep);
  if (!tokens.ok()) return FromStatus(tokens.status());

  Page page;
  Json rows = Json::array();
  std::set<std::string> epsilons;
  int unfinished = 0;
  bool has_bos = false;
  const std::string bos_token = pipe::FormatMetricName({.kind = pipe::MetricKind::kBosToken});
  for (const v1::Job& job : status->jobs()) {
    const v1::Membership place = PlaceIn(job, sweep);
    const Measurements m = Measure(job.progress());
    const auto value = [](const std::optional<double>& x) { return x ? Number(*x) : Json(nullptr); };
    if (!m.epsilon.empty()) epsilons.insert(m.epsilon);
    unfinished += !IsFinal(job.state());
    const auto bos = job.progress().latest().find(bos_token);
    const bool bos_known = bos != job.progress().latest().end();
    has_bos |= bos_known;
    rows.push_back({{"id", job.id()},
                    {"experiment", place.experiment()},
                    {"label", place.label()},
                    {"state", StateName(job.state())},
                    {"step", job.progress().step()},
                    {"max_steps", job.progress().max_steps()},
                    {"sink_epsilon", m.epsilon.empty() ? Json(nullptr) : Json(std::strtod(m.epsilon.c_str(), nullptr))},
                    {"sink_rate_percent", m.sink_rate ? Number(100 * *m.sink_rate) : Json(nullptr)},
                    {"alpha_mean_1", value(m.alpha_mean)},
                    {"alpha_max_1", value(m.alpha_max)},
                    {"hidden_norm_ratio", value(m.hidden_norm_ratio)},
                    {"validation_loss", value(m.validation_loss)},
                    {"train_loss", value(m.train_loss)},
                    {"probe_tokens", *tokens},
                    {"bos", bos_known ? Number(bos->second) : Json("none")}});
  }
  page.document = {{"sweep", sweep}, {"probe_tokens", *tokens}, {"results", std::move(rows)}};

  Column label = TextColumn("SETTING", "label", kLabelWidth);
  label.show = [](const Json& row) -> Cell { return {ShortLabel(row["label"].get<std::string>())}; };
  std::vector<Column> columns = {JobIdColumn("id"),
                                 TextColumn("EXPERIMENT", "experiment", 12, 5),
                                 std::move(label),
                                 StateColumn(),
                                 IntegerColumn("STEP", "step", 6),
                                 FixedColumn("SINK%", "sink_rate_percent", 1),
                                 FixedColumn("ALPHA1", "alpha_mean_1", 3, 3),
                                 FixedColumn("ALPHA MAX", "alpha_max_1", 3, 1),
                                 FixedColumn("NORM", "hidden_norm_ratio", 2, 4),
                                 FixedColumn("VALID", "validation_loss", 3),
                                 FixedColumn("LOSS", "train_loss", 3, 7)};
  if (options.csv)  // what the footer says of a table, beside each number
    columns.insert(columns.end(), {FixedColumn("EPSILON", "sink_epsilon", 3), TextColumn("T", "probe_tokens", 0),
                                   TextColumn("BOS", "bos", 0)});
  page.blocks.push_back(TableBlock{"results", std::move(columns), "no jobs"});
  TextBlock footer = {{{"position 1", Style::kDim}}};
  for (const std::string& epsilon : epsilons) footer.pieces.push_back({"epsilon " + epsilon, Style::kDim});
  if (!tokens->empty()) footer.pieces.push_back({"T " + *tokens, Style::kDim});
  footer.pieces.push_back(
      {has_bos ? "BOS token where the model's tokenizer prepends one" : "no BOS token prepended", Style::kDim});
  footer.pieces.push_back({"beside the paper's: sinkctl report " + sweep, Style::kDim});
  if (unfinished > 0)
    footer.pieces.push_back(
        {Counted(unfinished, "job is", "jobs are") + " not finished: values so far", Style::kYellow});
  page.blocks.push_back(std::move(footer));
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddResultsCommand(Commands& commands) {
  args::Command command =
      commands.Add("results", "Print the sink table of a sweep: sink rate, importance and loss by setting",
                   Names::kSweep, {"sinkctl results quickstart", "sinkctl results optimization --csv"});
  auto options = std::make_shared<ResultsOptions>();
  command.AddOption("SWEEP", options->sweep, "A sweep's name").Required();
  command.AddFlag("--csv", options->csv, "As comma-separated values, unrounded").Excludes(commands.json());
  commands.OnRun(command, [options](Session& session) { return Results(session, *options); });
}

}  // namespace sink::cli
