// sinkctl checkpoint: list, verify, drop and pin what a job has saved, and bring one here as a model directory.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/files/checkpoint_writer.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/progress_bar.h"
#include "coordinator/cli/study/targets.h"
#include "coordinator/cli/views/views.h"
#include "proto/pipe/metric_name.h"

namespace sink::cli {
namespace {

struct CheckpointOptions {
  std::string id;
  int64_t step = 0;  // of get also 0: the newest
  bool best = false;
  std::string out;
};

absl::StatusOr<v1::ListCheckpointsResponse> CheckpointsOf(Session& session, const std::string& id) {
  v1::ListCheckpointsRequest request;
  request.set_job_id(id);
  return session.client().ListCheckpoints(request);
}

// The job's validation losses by step. What cannot be read is left out: nobody needs it to see the checkpoints.
std::map<int64_t, double> ValidationLosses(Session& session, const std::string& id) {
  v1::ReadMetricsRequest request;
  request.set_job_id(id);
  request.add_names(pipe::FormatMetricName({.kind = pipe::MetricKind::kValidationLoss, .domain = pipe::kAllDomains}));
  std::map<int64_t, double> losses;
  const absl::Status read = session.client().ReadMetrics(request, [&](const v1::MetricPoints& batch) {
    for (const v1::MetricPoint& point : batch.points()) losses[point.step()] = point.value();
    return !session.world().interrupt.triggered();
  });
  return read.ok() ? losses : std::map<int64_t, double>();
}

// Where the checkpoint's loss was measured: the newest step by its own that has this loss. Null where it has none, or
// where that point is not kept any more.
Json StepOfLoss(const v1::Checkpoint& checkpoint, const std::map<int64_t, double>& losses) {
  if (!checkpoint.has_validation_loss()) return nullptr;
  for (auto point = losses.upper_bound(checkpoint.step()); point != losses.begin();)
    if ((--point)->second == checkpoint.validation_loss()) return point->first;
  return nullptr;
}

bool HasEarlierLoss(const Json& checkpoint) {
  const Json& measured = checkpoint["validation_step"];
  return measured.is_number() && measured.get<int64_t>() < checkpoint["step"].get<int64_t>();
}

// A loss that was not measured at the checkpoint's own step is marked.
Column LossColumn() {
  Column column = FixedColumn("VALID", "validation_loss", 3, 1);
  column.show = [show = column.show](const Json& row) {
    Cell cell = show(row);
    if (HasEarlierLoss(row)) cell.text = "~" + cell.text;
    return cell;
  };
  return column;
}

Outcome List(Session& session, const CheckpointOptions& options) {
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  const auto response = CheckpointsOf(session, options.id);
  if (!response.ok()) return FromStatus(response.status());
  const std::map<int64_t, double> losses = ValidationLosses(session, options.id);
  Json checkpoints = ToJson(response->checkpoints());
  bool any_earlier = false;
  for (int i = 0; i < response->checkpoints_size(); ++i) {
    checkpoints[i]["validation_step"] = StepOfLoss(response->checkpoints(i), losses);
    any_earlier = any_earlier || HasEarlierLoss(checkpoints[i]);
  }
  Page page;
  page.document = {{"checkpoints", std::move(checkpoints)}};
  Column files = IntegerColumn("FILES", "files");
  files.show = [](const Json& row) -> Cell { return {std::to_string(row["files"].size())}; };
  page.blocks.push_back(
      TableBlock{"checkpoints",
                 {IntegerColumn("STEP", "step"), MarkColumn(), BytesColumn("SIZE", "bytes"), std::move(files),
                  LossColumn(), IntegerColumn("ATTEMPT", "attempt", 3), TimeColumn("COMMITTED", "committed_ms", 2),
                  TextColumn("MANIFEST", "manifest_hash", 8, 4)},
                 "no checkpoints yet"});
  if (any_earlier)
    page.blocks.push_back(
        TextBlock{{{"~ measured at the last evaluation, before the checkpoint's step", Style::kDim}}});
  session.printer().Print(page);
  return {};
}

// The step of the job's checkpoint that is marked best in a list. NOT_FOUND.
absl::StatusOr<int64_t> BestStep(Session& session, const std::string& id) {
  const auto response = CheckpointsOf(session, id);
  if (!response.ok()) return response.status();
  for (const v1::Checkpoint& checkpoint : response->checkpoints())
    if (checkpoint.best()) return checkpoint.step();
  return absl::NotFoundError("job " + id +
                             " has no best checkpoint: none has a validation loss; leave --best out for the newest");
}

Outcome FromDownload(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return {kBadFile, std::string(status.message())};
  return FromStatus(status);
}

// Of the job's checkpoints beside that of `damaged` (0: of one that is known to be) those that are not known to be
// damaged: the step of the best, or of the newest where none has a loss or the newest is wanted. 0: there is none.
int64_t NextWholeStep(Session& session, const CheckpointOptions& options, int64_t damaged) {
  const auto response = CheckpointsOf(session, options.id);
  if (!response.ok()) return 0;
  int64_t newest = 0;
  const v1::Checkpoint* best = nullptr;
  for (const v1::Checkpoint& checkpoint : response->checkpoints()) {  // newest first
    if (!checkpoint.damage().empty() || checkpoint.step() == damaged) continue;
    if (newest == 0) newest = checkpoint.step();
    const bool has_loss = checkpoint.has_validation_loss();
    if (has_loss && (best == nullptr || checkpoint.validation_loss() <= best->validation_loss())) best = &checkpoint;
  }
  return options.best && best != nullptr ? best->step() : newest;
}

Outcome FromRefusedDownload(Session& session, const CheckpointOptions& options, int64_t step,
                            const absl::Status& status) {
  Outcome outcome = FromStatus(status);
  if (!absl::IsDataLoss(status)) return outcome;
  if (const int64_t next = NextWholeStep(session, options, step); next > 0) {
    const std::string number = std::to_string(next);
    outcome.error += "; step " + number + " is the next one that is not known to be damaged: --step " + number;
  }
  return outcome;
}

Outcome Get(Session& session, const CheckpointOptions& options) {
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  auto writer = CheckpointWriter::Create(options.out);
  if (!writer.ok()) return {kBadFile, std::string(writer.status().message())};
  v1::DownloadCheckpointRequest request;
  request.set_job_id(options.id);
  request.set_step(options.step);
  if (options.best) {
    const auto step = BestStep(session, options.id);
    if (!step.ok()) return FromStatus(step.status());
    request.set_step(*step);
  }
  ProgressBar bar(session.world());
  absl::Status local;
  const absl::Status remote = session.client().DownloadCheckpoint(request, [&](const v1::CheckpointChunk& chunk) {
    local = (*writer)->Add(chunk);
    bar.Show((*writer)->received(), (*writer)->total());
    return local.ok() && !session.world().interrupt.triggered();
  });
  bar.Clear();
  if (session.world().interrupt.triggered()) return {kInterrupted, "interrupted; nothing was written"};
  if (!local.ok()) return FromDownload(local);
  if (!remote.ok()) return FromRefusedDownload(session, options, request.step(), remote);
  if (const absl::Status status = (*writer)->Commit(); !status.ok()) return FromDownload(status);

  Page page;
  const v1::Checkpoint& checkpoint = (*writer)->checkpoint();
  page.document = {{"out", options.out}, {"checkpoint", ToJson(checkpoint)}};
  page.blocks.push_back(
      TextBlock{{{options.out, Style::kBold},
                 {"step " + std::to_string(checkpoint.step()) + " of job " + checkpoint.job_id().substr(0, kShortId)},
                 {std::to_string(checkpoint.files_size()) + " files"},
                 {FormatBytes(static_cast<double>((*writer)->received())) + ", hashes verified"}}});
  session.printer().Print(page);
  return {};
}

// What becomes of the damaged ones, and what a person can do.
absl::StatusOr<TextBlock> AdviceOnDamage(Session& session, const v1::VerifyCheckpointsResponse& found,
                                         const CheckpointOptions& options) {
  v1::GetJobRequest request;
  request.set_id(options.id);
  const auto job = session.client().GetJob(request);
  if (!job.ok()) return job.status();
  const bool over = job->job().state() == v1::SUCCEEDED;
  TextBlock block;
  block.pieces.push_back(
      {over ? "the job has succeeded and goes on from none: a damaged one stays, and nobody can fetch it"
            : "the job would find this out and go on from the newest that is whole"});
  for (const v1::CheckpointHealth& health : found.checkpoints()) {
    if (health.damage().empty()) continue;
    const std::string which = options.id + " --step " + std::to_string(health.checkpoint().step());
    const std::string unpin = health.checkpoint().pinned() ? "sinkctl checkpoint unpin " + which + ", then " : "";
    block.pieces.push_back({unpin + "sinkctl checkpoint drop " + which + " forgets it"});
  }
  return block;
}

Outcome Verify(Session& session, const CheckpointOptions& options) {
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  v1::VerifyCheckpointsRequest request;
  request.set_job_id(options.id);
  const auto response = session.client().VerifyCheckpoints(request);
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  Json checkpoints = Json::array();
  int damaged = 0;
  for (const v1::CheckpointHealth& health : response->checkpoints()) {
    Json json = ToJson(health.checkpoint());
    json["damage"] = TextOrNull(health.damage());
    damaged += health.damage().empty() ? 0 : 1;
    checkpoints.push_back(std::move(json));
  }
  page.document = {{"damaged", damaged}, {"checkpoints", std::move(checkpoints)}};
  Column health = TextColumn("BYTES", "damage", 10);
  health.show = [](const Json& row) -> Cell {
    if (row["damage"].is_null()) return {"as committed", Style::kGreen};
    return {row["damage"].get<std::string>(), Style::kRed};
  };
  page.blocks.push_back(TableBlock{"checkpoints",
                                   {IntegerColumn("STEP", "step"), BytesColumn("SIZE", "bytes"), std::move(health)},
                                   "no checkpoints yet"});
  if (damaged > 0) {
    const auto advice = AdviceOnDamage(session, *response, options);
    if (!advice.ok()) return FromStatus(advice.status());
    page.blocks.push_back(*advice);
  }
  session.printer().Print(page);
  if (damaged == 0) return {};
  return {kFailedWork, std::to_string(damaged) + " of " + std::to_string(response->checkpoints_size()) +
                           (damaged == 1 ? " checkpoints is damaged" : " checkpoints are damaged")};
}

Outcome Drop(Session& session, const CheckpointOptions& options) {
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  v1::DropCheckpointsRequest request;
  request.set_job_id(options.id);
  request.add_steps(options.step);
  const auto response = session.client().DropCheckpoints(request);
  if (!response.ok()) return FromStatus(response.status());
  Page page;
  page.document = {{"dropped", options.step}};
  page.blocks.push_back(TextBlock{{{"checkpoint of step " + std::to_string(options.step) + " dropped"}}});
  session.printer().Print(page);
  return {};
}

Outcome Pin(Session& session, const CheckpointOptions& options, bool pinned) {
  if (const absl::Status named = ExpectJob(session, options.id); !named.ok()) return FromStatus(named);
  v1::PinCheckpointRequest request;
  request.set_job_id(options.id);
  request.set_step(options.step);
  request.set_pinned(pinned);
  const auto response = session.client().PinCheckpoint(request);
  if (!response.ok()) return FromStatus(response.status());
  const std::string done = pinned ? "pinned" : "unpinned";
  Page page;
  page.document = {{done, options.step}};
  page.blocks.push_back(TextBlock{{{"checkpoint of step " + std::to_string(options.step) + " " + done}}});
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddCheckpointCommand(Commands& commands) {
  args::Command group =
      commands.Add("checkpoint", "List, fetch, verify, drop or pin what a job has saved", Names::kNothing,
                   {"sinkctl checkpoint list 3f2a91c0", "sinkctl checkpoint get 3f2a91c0 --out model"});
  group.RequireCommand();
  auto options = std::make_shared<CheckpointOptions>();

  args::Command list = commands.AddTo(group, "list", "List a job's checkpoints", Names::kJob,
                                      {"sinkctl checkpoint list 3f2a91c0", "sinkctl checkpoint list 3f2a91c0 --json"});
  list.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  commands.OnRun(list, [options](Session& session) { return List(session, *options); });

  args::Command verify =
      commands.AddTo(group, "verify", "Read a job's checkpoints at the coordinator and compare every byte", Names::kJob,
                     {"sinkctl checkpoint verify 3f2a91c0", "sinkctl checkpoint verify 3f2a91c0 --json"});
  verify.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  commands.OnRun(verify, [options](Session& session) { return Verify(session, *options); });

  args::Command drop =
      commands.AddTo(group, "drop", "Forget a checkpoint: the job will not go on from it", Names::kJob,
                     {"sinkctl checkpoint drop 3f2a91c0 --step 500", "sinkctl checkpoint drop 3f2a --step 500 --json"});
  drop.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  drop.AddOption("--step", options->step, "The step it was saved at").ValueText("N").Positive().Required();
  commands.OnRun(drop, [options](Session& session) { return Drop(session, *options); });

  args::Command pin = commands.AddTo(
      group, "pin", "Keep a checkpoint however many newer ones come: nothing drops it until it is unpinned",
      Names::kJob, {"sinkctl checkpoint pin 3f2a91c0 --step 500", "sinkctl checkpoint pin 3f2a --step 500 --json"});
  pin.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  pin.AddOption("--step", options->step, "The step it was saved at").ValueText("N").Positive().Required();
  commands.OnRun(pin, [options](Session& session) { return Pin(session, *options, true); });

  args::Command unpin = commands.AddTo(
      group, "unpin", "Let a pinned checkpoint go like any other, with the next that comes", Names::kJob,
      {"sinkctl checkpoint unpin 3f2a91c0 --step 500", "sinkctl checkpoint unpin 3f2a --step 500 --json"});
  unpin.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  unpin.AddOption("--step", options->step, "The step it was saved at").ValueText("N").Positive().Required();
  commands.OnRun(unpin, [options](Session& session) { return Pin(session, *options, false); });

  args::Command get = commands.AddTo(
      group, "get", "Fetch a checkpoint as a model directory and verify it", Names::kJob,
      {"sinkctl checkpoint get 3f2a91c0 --out model", "sinkctl checkpoint get 3f2a91c0 --best --out best-model",
       "sinkctl checkpoint get 3f2a91c0 --step 500 --out model-500"});
  get.AddOption("ID", options->id, "A job's id, or the first four or more digits of it").Required();
  const args::Option step = get.AddOption("--step", options->step, "The step it was saved at; without it, the newest")
                                .ValueText("N")
                                .Positive();
  get.AddFlag("--best", options->best, "The one of the lowest validation loss, which `checkpoint list` marks best")
      .Excludes(step);
  get.AddOption("--out", options->out, "The folder to create").ValueText("DIR").Required();
  commands.OnRun(get, [options](Session& session) { return Get(session, *options); });
}

}  // namespace sink::cli
