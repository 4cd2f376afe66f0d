// See job_page.h.
#include "coordinator/cli/views/job_page.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/received_json.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

using Fields = std::vector<std::pair<std::string, Cell>>;

void AddNumber(Fields& fields, const std::string& name, const std::optional<double>& value, int decimals,
               const std::string& note = "") {
  if (value) fields.emplace_back(name, Cell{FormatFixed(*value, decimals) + note});
}

Fields JobFields(const v1::Job& job, bool disk_full) {
  Fields fields = {{"job", {job.id(), Style::kBold}}, {"state", StateCell(StateName(job.state()))}};
  if (job.cancel_requested() && !IsFinal(job.state())) fields.back().second.text += " (asked to stop)";
  for (const v1::Membership& place : job.sweeps())
    fields.emplace_back("sweep", Cell{place.sweep() + " / " + place.experiment() + " / " + place.label()});
  if (!job.message().empty())
    fields.emplace_back("message", Cell{job.message(), job.state() == v1::FAILED ? Style::kRed : Style::kPlain});
  if (job.gang_size() > 1)
    fields.emplace_back("workers", Cell{absl::StrJoin(job.gang(), ", ")});
  else if (!job.worker().empty())
    fields.emplace_back("worker", Cell{job.worker()});
  if (!job.data_set().empty()) {
    fields.emplace_back(
        "data", Cell{job.data_set() +
                     (job.data_content().empty() ? "" : ", content " + job.data_content().substr(0, kShortId))});
  }
  const bool in_groups = job.per_worker() > 0 && job.per_worker() < job.devices();
  fields.emplace_back("devices", Cell{std::to_string(job.devices()) +
                                      (in_groups ? ", in groups of " + std::to_string(job.per_worker()) : "")});
  fields.emplace_back("submitted", Cell{FormatTime(job.created_ms())});
  if (job.started_ms() > 0) fields.emplace_back("started", Cell{FormatTime(job.started_ms())});
  if (job.finished_ms() > 0) {
    fields.emplace_back("finished", Cell{FormatTime(job.finished_ms())});
    if (job.started_ms() > 0)
      fields.emplace_back("took",
                          Cell{FormatDuration(static_cast<double>(job.finished_ms() - job.started_ms()) / 1000)});
  }
  const v1::Progress& p = job.progress();
  if (p.max_steps() > 0)
    fields.emplace_back("step", Cell{std::to_string(p.step()) + " of " + std::to_string(p.max_steps()) + ", " +
                                     FormatCount(static_cast<double>(p.tokens())) + " tokens"});
  const bool has_pace = job.state() == v1::RUNNING && !disk_full;
  if (has_pace && p.tokens_per_second() > 0)
    fields.emplace_back("rate", Cell{FormatCount(p.tokens_per_second()) + " tokens/s"});
  if (const auto eta = EtaSeconds(job); eta && has_pace) fields.emplace_back("ETA", Cell{FormatDuration(*eta)});
  const Measurements m = Measure(p);
  AddNumber(fields, "train loss", m.train_loss, 4);
  AddNumber(fields, "validation loss", m.validation_loss, 4);
  if (m.sink_rate)
    fields.emplace_back("sink rate",
                        Cell{FormatFixed(100 * *m.sink_rate, 1) + "% (position 1, epsilon " + m.epsilon + ")"});
  AddNumber(fields, "alpha_1", m.alpha_mean, 4, " (mean over layers and heads)");
  AddNumber(fields, "strongest alpha_1", m.alpha_max, 4, " (one head)");
  AddNumber(fields, "hidden norm ratio", m.hidden_norm_ratio, 2, " (token 1 to the others, largest layer)");
  return fields;
}

}  // namespace

Page JobPage(const v1::GetJobResponse& details, bool with_config) {
  Page page;
  Json attempts = Json::array(), checkpoints = ToJson(details.checkpoints());
  for (const v1::Attempt& attempt : details.attempts()) attempts.push_back(ToJson(attempt));
  const bool tried = !attempts.empty(), saved = !checkpoints.empty();
  const Json config = ReceivedJson(details.job().config_json());
  page.document = {{"job", ToJson(details.job())},
                   {"attempts", std::move(attempts)},
                   {"checkpoints", std::move(checkpoints)},
                   {"config", config},
                   {"warnings", std::vector<std::string>(details.warnings().begin(), details.warnings().end())}};
  if (details.disk_full()) ForgetPace(&page.document["job"]);
  page.document["job"]["data_set"] = TextOrNull(details.job().data_set());
  page.document["job"]["data_content"] = TextOrNull(details.job().data_content());

  page.blocks.push_back(FieldsBlock{JobFields(details.job(), details.disk_full())});
  for (const std::string& warning : details.warnings()) page.blocks.push_back(TextBlock{{{warning, Style::kRed}}});
  if (tried) {
    Column state = StateColumn();
    state.show = [](const Json& row) { return StateCell(row["state"].get<std::string>()); };
    page.blocks.push_back(TextBlock{});
    page.blocks.push_back(
        TableBlock{"attempts",
                   {IntegerColumn("ATTEMPT", "attempt"), std::move(state), TextColumn("WORKER", "worker", 8),
                    TimeColumn("STARTED", "started_ms", 2), TimeColumn("ENDED", "finished_ms", 1),
                    TextColumn("CLASS", "failure_class", 0, 3), TextColumn("MESSAGE", "message", 10)},
                   ""});
  }
  if (saved) {
    page.blocks.push_back(TextBlock{});
    page.blocks.push_back(
        TableBlock{"checkpoints",
                   {IntegerColumn("CHECKPOINT", "step"), IntegerColumn("ATTEMPT", "attempt"),
                    BytesColumn("SIZE", "bytes"), TimeColumn("COMMITTED", "committed_ms", 1), MarkColumn()},
                   ""});
  }
  if (with_config && config.is_object()) {
    FieldsBlock fields;
    const Json flat = config.flatten();
    for (const auto& [pointer, value] : flat.items()) {
      std::string name = pointer.substr(1);
      for (char& c : name) c = c == '/' ? '.' : c;
      fields.fields.emplace_back(name, Cell{value.is_string() ? value.get<std::string>() : Compact(value)});
    }
    page.blocks.push_back(TextBlock{});
    page.blocks.push_back(std::move(fields));
  }
  return page;
}

}  // namespace sink::cli
