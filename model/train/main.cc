// sink-trainer: trains one job from its run folder, or measures its model. Composition and the one catch of the
// program: whatever ends a run early becomes a `failed` record and an exit code of proto/pipe/events.h.
#include <signal.h>

#include "model/base/process_end.h"
#include "model/base/stack_dump.h"
#include "model/train/link/event_sink.h"
#include "model/train/link/run_outcome.h"
#include "model/train/link/train_error.h"
#include "model/train/link/trainer_commands.h"
#include "model/train/measure/model_measurer.h"
#include "model/train/ranks/rank_world.h"
#include "model/train/run/job_file.h"
#include "model/train/trainer.h"
#include "proto/args/command_line.h"

namespace {

constexpr char kDescription[] =
    R"(Trains one job, or measures its model: RUN_DIR/job.json, written by a worker, or by --config.

Resumes from the newest complete checkpoint in RUN_DIR/checkpoints. Ctrl-C, SIGTERM or a closed terminal (SIGHUP,
unless started by nohup) saves a checkpoint and ends.
Exit codes: 0 finished, 64 bad configuration or data, 65 training diverged, 66 out of memory, 67 machine or disk,
68 stopped after saving.)";

constexpr char kExamples[] = R"(Examples:
  sink-trainer runs/a                                          # go on with (or start) the job in runs/a/job.json
  sink-trainer runs/a --config config.json --data-root data    # make that file first, from a JSON configuration
  SINK_EVENTS_FD=3 sink-trainer runs/a 3>events.jsonl          # records instead of text)";

sink::train::RunOutcome Run(const std::string& run_dir, sink::train::EventSink& events,
                            sink::train::TrainerCommands& commands) {
  const sink::train::JobFile job = sink::train::ReadJobFile(run_dir);
  switch (job.config.kind) {
    case sink::JobKind::kEvaluate:
      return sink::train::MeasureModel(job, events, commands);
    case sink::JobKind::kTrain:
      break;
  }
  try {
    return sink::train::Trainer(run_dir, events, commands, sink::train::WorldFromEnvironment()).Run();
  } catch (const sink::train::StoppedBeforeStart&) {
    return sink::train::RunOutcome::kStopped;
  }
}

int RunProgram(int argc, char** argv) {
  using namespace sink;
  args::CommandLine line(kDescription, "sink-trainer");
  line.SetVersion("sink-trainer " SINK_VERSION);
  args::Command root = line.root();
  root.SetFooter(kExamples);
  std::string run_dir, config, data_root, device = "cpu";
  root.AddOption("RUN_DIR", run_dir, "folder of the run: job.json, checkpoints").Required();
  args::Option config_option = root.AddOption("--config", config, "job configuration (JSON) for a run by hand");
  args::Option data_option =
      root.AddOption("--data-root", data_root, "folder that holds the packed data sets, with --config");
  root.AddOption("--device", device, "cpu or cuda:N, with --config").Needs(config_option).ShowDefault();
  config_option.Needs(data_option);
  data_option.Needs(config_option);
  if (const auto status = line.Parse(argc, argv, pipe::kExitUser)) return *status;

  WriteStacksOnDemand();
  signal(SIGPIPE, SIG_IGN);  // a lost worker shows as EPIPE
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow shows as EFBIG
  train::EventSink events(-1);
  try {
    events = train::EventSink(train::DescriptorFromEnvironment("SINK_EVENTS_FD"));
    train::TrainerCommands commands(train::DescriptorFromEnvironment("SINK_COMMANDS_FD"));
    if (!config.empty()) train::WriteJobFile(run_dir, config, data_root, device);
    return Run(run_dir, events, commands) == train::RunOutcome::kStopped ? pipe::kExitStopped : pipe::kExitFinished;
  } catch (const std::exception& e) {
    return train::ReportFailure(events, e);
  }
}

}  // namespace

int main(int argc, char** argv) { sink::EndProcess(RunProgram(argc, argv)); }
