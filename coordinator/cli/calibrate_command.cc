// sinkctl calibrate: how fast the workers of a coordinator are, learned from jobs of its sweeps that have ended.
#include <memory>
#include <optional>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/files/output_files.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/study/speed.h"
#include "coordinator/cli/study/whole_sweep.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

struct CalibrateOptions {
  std::vector<std::string> sweeps;
  std::string out;
};

// A job whose seconds are those of its work: trained on one device, in one go.
std::optional<Timed> TimedJob(const v1::Job& job) {
  if (job.state() != v1::SUCCEEDED || job.attempt() != 1 || job.devices() != 1) return std::nullopt;
  const JobConfigResult parsed = ParseJobConfig(job.config_json());
  if (!parsed.config || parsed.config->kind != JobKind::kTrain) return std::nullopt;
  const double seconds = static_cast<double>(job.finished_ms() - job.started_ms()) / 1000;
  if (!(seconds > 0)) return std::nullopt;
  return Timed{WorkOf(*parsed.config), seconds};
}

Page SpeedPage(const Speed& speed) {
  Page page;
  page.document = Json::parse(PrintSpeed(speed));
  FieldsBlock fields;
  const auto add = [&fields](std::string name, std::string text) {
    fields.fields.emplace_back(std::move(name), Cell{std::move(text)});
  };
  add("learned from", Counted(speed.jobs, "job", "jobs, each") + " on one device in one attempt");
  add("start and end", FormatFixed(speed.start_s, 2) + " s a job");
  add("products", speed.s_per_flop > 0 ? FormatPower(1 / speed.s_per_flop) + " FLOP/s" : "too few to tell");
  add("a layer's pass",
      speed.s_per_pass > 0 ? FormatFixed(1e6 * speed.s_per_pass, 0) + " us besides" : "nothing besides");
  add("off by", FormatFixed(100 * speed.typical_miss, 0) + " % a job, root mean square");
  page.blocks.push_back(std::move(fields));
  return page;
}

Outcome Calibrate(Session& session, const CalibrateOptions& options) {
  std::vector<Timed> jobs;
  for (const std::string& sweep : options.sweeps) {
    const absl::Status read = VisitConfigs(session, sweep, [&jobs](const v1::Job& job) {
      if (const std::optional<Timed> timed = TimedJob(job)) jobs.push_back(*timed);
    });
    if (!read.ok()) return FromStatus(read);
  }
  const absl::StatusOr<Speed> speed = FitSpeed(jobs);
  if (!speed.ok())
    return {kRefused,
            "no job of these sweeps has trained to its end on one device in one attempt; submit "
            "sweeps/searches/calibration.yaml, which takes a minute or two"};
  if (!options.out.empty()) {
    if (const absl::Status written = WriteFile(options.out, PrintSpeed(*speed)); !written.ok())
      return {kBadFile, std::string(written.message())};
  }
  session.printer().Print(SpeedPage(*speed));
  return {};
}

}  // namespace

void AddCalibrateCommand(Commands& commands) {
  args::Command command = commands.Add(
      "calibrate", "Learn from finished jobs how fast the workers are, for the hours of `sinkctl plan`", Names::kSweep,
      {"sinkctl submit sweeps/searches/calibration.yaml --follow", "sinkctl calibrate calibration --out speed.json",
       "sinkctl plan sweeps/optimization.yaml --profile minutes --speed speed.json --slots 2"});
  auto options = std::make_shared<CalibrateOptions>();
  command.AddOption("SWEEP", options->sweeps, "Names of sweeps whose jobs have ended").Required();
  command.AddOption("--out", options->out, "Write the speed into this file, for `sinkctl plan --speed`")
      .ValueText("FILE");
  commands.OnRun(command, [options](Session& session) { return Calibrate(session, *options); });
}

}  // namespace sink::cli
