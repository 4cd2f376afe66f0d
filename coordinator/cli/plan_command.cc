// sinkctl plan: what a sweep file means, before anything is stored. Needs no coordinator, unless --diff asks which of
// the jobs it has already and how many the workers at hand run at once. One that answers soon says in any case what no
// worker has.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/study/at_hand.h"
#include "coordinator/cli/study/speed.h"
#include "coordinator/cli/study/submission.h"
#include "coordinator/cli/study/sweep_files.h"
#include "coordinator/cli/views/views.h"
#include "coordinator/report/claims.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

constexpr double kDeviceFlops = 4e14;  // an H100 SXM's 989 TFLOP/s of dense bf16 at 40 %
constexpr double kSoonSeconds = 3;     // for an answer that was not asked for

struct PlanOptions {
  std::vector<std::string> files;
  std::vector<std::string> profiles;
  SweepChanges changes;
  bool diff = false;
  double device_flops = kDeviceFlops;
  std::string speed_file;
  int slots = 0;  // 0: as many jobs as run at once on the workers at hand, where they are asked for; else 1
};

// What the connected workers have of what the jobs need.
struct Availability {
  v1::SubmitSweepResponse response;
  v1::ListWorkersResponse workers;
  std::string unknown;  // why nobody could say; empty: they have it but for what the response names
};

// What a coordinator says of a plan.
struct Answer {
  SubmittedById submitted;
  v1::SubmitSweepResponse response;
  AtHand at_hand;
};

struct Totals {
  size_t different = 0;
  double tokens = 0, flops = 0, disk = 0, new_flops = 0;
  double attempt_hours = 0;     // of devices, where one attempt of each different job takes its max_time
  std::vector<double> seconds;  // of each different job that trains, where the devices' speed is known
  size_t untimed = 0;           // the others then
};

// The fewest seeds that a setting of a sweep that trains has; nothing for one that measures models.
std::optional<int> FewestSeeds(const ExpandedSweep& sweep) {
  // By experiment and settings without the seed, which an experiment may vary itself.
  std::map<std::pair<std::string, std::string>, int> seeds;
  for (const ExpandedJob& job : sweep.jobs) {
    JobConfig config = job.config;
    config.train.seed = 0;
    if (config.kind == JobKind::kTrain) ++seeds[{job.experiment, PrintEveryField(config)}];
  }
  std::optional<int> fewest;
  for (const auto& [point, count] : seeds) fewest = std::min(fewest.value_or(count), count);
  return fewest;
}

// "226 GPU-hours", "3m20s of a GPU".
std::string HoursText(double hours, const std::string& of) {
  return hours >= 1 ? FormatCount(hours) + " " + of + "-hours"
                    : FormatDuration(std::ceil(3600 * hours)) + " of a " + of;
}
std::string GpuTime(double hours) { return HoursText(hours, "GPU"); }

// How often a job is repeated at most before it has failed. What a drain hands back is repeated, too, and not counted.
int Retries(const RetryBudget& budget) { return budget.infra + budget.out_of_memory + budget.nan + budget.user; }

// What max_time lets the jobs take. It is of an attempt: "at most 2 device-hours without a retry (1 x 1h00m an
// attempt)", "at most 24 device-hours with 11 retries a job".
void AddLimits(const ExpandedSweep& sweep, double attempt_hours, TextBlock* footer) {
  const auto at_most = [](double hours) {
    // A sum of parts of an hour may come out a hair above a whole one.
    return "at most " + HoursText(hours >= 1 ? std::ceil(hours - 1e-6) : hours, "device");
  };
  const int retries = Retries(sweep.retry);
  footer->pieces.push_back({at_most(attempt_hours) + (retries > 0 ? " without a retry (" : " (") +
                            std::to_string(sweep.devices) + " x " +
                            FormatDuration(absl::ToDoubleSeconds(sweep.max_time)) + " an attempt)"});
  if (retries > 0)
    footer->pieces.push_back(
        {at_most(attempt_hours * (1 + retries)) + " with " + Counted(retries, "retry", "retries") + " a job"});
}

// "about 1h12m on 2 devices as fast as those that were measured (14 % off a job)".
std::string TimeText(const Totals& totals, const Speed& speed, int slots) {
  std::string text = "about " + FormatDuration(std::ceil(Makespan(totals.seconds, slots))) + " on " +
                     Counted(slots, "device") + " as fast as those that were measured (" +
                     FormatFixed(100 * speed.typical_miss, 0) + " % off a job)";
  if (totals.untimed > 0)
    text += ", and " + Counted(totals.untimed, "more job that does", "more jobs that do") + " not train";
  return text;
}

// `answer`, `speed`: nothing where they are not known.
Page PlanPage(const SweepFiles& files, const std::optional<Answer>& answer, const PlanOptions& options,
              const std::optional<Speed>& speed) {
  const bool diff = answer.has_value();
  const SubmittedById submitted = diff ? answer->submitted : SubmittedById();
  const int slots = options.slots > 0 ? options.slots : diff ? std::max(1, answer->at_hand.jobs) : 1;
  const auto hours = [&](double flops) { return flops / options.device_flops / 3600; };
  const ExpandedSweep& sweep = files.sweep;
  Page page;
  Totals totals;
  Json jobs = Json::array(), experiments = Json::array();
  std::set<std::string> seen;
  for (const ExpandedJob& job : sweep.jobs) {
    const JobCost cost = Cost(job.config);
    const bool trains = job.config.kind == JobKind::kTrain;
    const auto known = [](bool is_known, Json value) { return is_known ? std::move(value) : Json(nullptr); };
    const auto seconds = speed && trains ? std::optional(Seconds(*speed, WorkOf(job.config))) : std::optional<double>();
    const bool repeated = !seen.insert(job.id).second;
    if (!repeated) {
      totals.tokens += cost.tokens;
      totals.flops += cost.flops;
      if (seconds)
        totals.seconds.push_back(*seconds);
      else
        ++totals.untimed;
      const CheckpointConfig& kept = job.config.checkpoint;
      const int64_t for_good = kept.keep_period > 0 ? job.config.train.max_steps / kept.keep_period : 0;
      totals.disk += cost.checkpoint_bytes * static_cast<double>(kept.keep + for_good + (kept.keep_best ? 1 : 0));
      totals.attempt_hours += absl::ToDoubleHours(sweep.max_time) * sweep.devices;
    }
    const auto found = submitted.find(job.id);
    if (!repeated && found != submitted.end() && found->second) totals.new_flops += cost.flops;
    jobs.push_back({{"id", job.id},
                    {"experiment", job.experiment},
                    {"label", job.label},
                    {"repeated", repeated},
                    {"new", found == submitted.end() ? Json(nullptr) : Json(found->second)},
                    {"parameters", known(cost.parameters > 0, static_cast<int64_t>(cost.parameters))},
                    {"steps", known(trains, job.config.train.max_steps)},
                    {"tokens", static_cast<int64_t>(cost.tokens)},
                    {"flops", known(cost.flops > 0, cost.flops)},
                    {"device_hours", known(cost.flops > 0, hours(cost.flops))},
                    {"seconds", seconds ? Json(*seconds) : Json(nullptr)},
                    {"checkpoint_bytes", known(trains, static_cast<int64_t>(cost.checkpoint_bytes))}});
  }
  totals.different = seen.size();
  FieldsBlock arithmetic;
  for (const ExpandedExperiment& experiment : sweep.experiments) {
    experiments.push_back({{"name", experiment.name},
                           {"points", experiment.points},
                           {"jobs", experiment.jobs},
                           {"arithmetic", experiment.arithmetic}});
    const size_t colon = experiment.arithmetic.find(": ");  // "learning_rate: 4 (grid) = 4 jobs"
    arithmetic.fields.emplace_back(experiment.name,
                                   Cell{experiment.arithmetic.substr(colon == std::string::npos ? 0 : colon + 2)});
  }
  page.document = {{"sweep", sweep.name},
                   {"experiments", std::move(experiments)},
                   {"jobs", std::move(jobs)},
                   {"totals",
                    {{"jobs", sweep.jobs.size()},
                     {"different", totals.different},
                     {"tokens", static_cast<int64_t>(totals.tokens)},
                     {"flops", totals.flops},
                     {"device_hours", hours(totals.flops)},
                     {"device_flops_per_second", options.device_flops},
                     {"new_device_hours", diff ? Json(hours(totals.new_flops)) : Json(nullptr)},
                     {"checkpoint_bytes", static_cast<int64_t>(totals.disk)},
                     {"device_hours_limit", totals.attempt_hours * (1 + Retries(sweep.retry))},
                     {"device_hours_limit_without_retries", totals.attempt_hours},
                     {"at_hand", diff ? ToJson(answer->at_hand) : Json(nullptr)},
                     {"slots", slots},
                     {"seconds", speed ? Json(Makespan(totals.seconds, slots)) : Json(nullptr)}}}};

  Column label = TextColumn("SETTING", "label", kLabelWidth);
  label.show = [](const Json& row) -> Cell {
    return {ShortLabel(row["label"].get<std::string>()), row["repeated"] == true ? Style::kDim : Style::kPlain};
  };
  std::vector<Column> columns = {JobIdColumn("id"),
                                 TextColumn("EXPERIMENT", "experiment", 12, 5),
                                 std::move(label),
                                 CountColumn("PARAMS", "parameters", 2),
                                 IntegerColumn("STEPS", "steps", 3),
                                 CountColumn("TOKENS", "tokens", 1),
                                 PowerColumn("FLOPS", "flops", 4),
                                 FixedColumn("GPU-HOURS", "device_hours", 1, 7),
                                 BytesColumn("CHECKPOINT", "checkpoint_bytes", 6)};
  if (speed) columns.insert(columns.end() - 1, DurationColumn("TIME", "seconds", 3));
  if (diff)
    columns.insert(columns.begin() + 1, {{"NEW"}, "new", [](const Json& row) -> Cell {
                                           const bool fresh = row["new"] == true;
                                           return {fresh ? "new" : "stored", fresh ? Style::kGreen : Style::kDim};
                                         }});
  page.blocks.push_back(TextBlock{{{sweep.name, Style::kBold}, {Counted(sweep.jobs.size(), "job")}}});
  page.blocks.push_back(std::move(arithmetic));
  page.blocks.push_back(TextBlock{});
  page.blocks.push_back(TableBlock{"jobs", std::move(columns), "no jobs"});
  TextBlock footer;
  if (totals.different < sweep.jobs.size())
    footer.pieces.push_back({Counted(totals.different, "different job") + " (a repeated one is trained once)"});
  footer.pieces.push_back({FormatCount(totals.tokens) + " tokens"});
  if (totals.flops > 0)
    footer.pieces.push_back({FormatPower(totals.flops) + " FLOPs: about " + GpuTime(hours(totals.flops)) + " at " +
                             FormatPower(options.device_flops) + " FLOP/s"});
  else
    footer.pieces.push_back({"FLOPs are not known: they depend on the models, which the workers have"});
  if (speed) footer.pieces.push_back({TimeText(totals, *speed, slots), Style::kBold});
  if (diff) footer.pieces.push_back({AtHandText(answer->at_hand)});
  if (diff) footer.pieces.push_back({GpuTime(hours(totals.new_flops)) + " of it new"});
  footer.pieces.push_back({"at most " + FormatBytes(totals.disk) + " of checkpoints, tokenizers aside"});
  AddLimits(sweep, totals.attempt_hours, &footer);
  page.blocks.push_back(std::move(footer));
  if (const auto seeds = FewestSeeds(sweep); seeds && *seeds < report::kLeastSeeds) {
    page.blocks.push_back(
        TextBlock{{{Counted(*seeds, "seed") + " of a setting: the report will give no verdicts", Style::kYellow},
                   {"they take " + std::to_string(report::kLeastSeeds) +
                    "; say `replicas: " + std::to_string(report::kLeastSeeds) + "` in the sweep or in a profile"}}});
  }
  return page;
}

void AddAvailability(const Availability& availability, Page* page) {
  if (availability.unknown.empty())
    AddAvailability(availability.response, availability.workers, page);
  else
    AddNotChecked(availability.unknown, page);
}

// What is lacking for any of several plans, each thing once; unknown where it is for one of them.
Availability Together(const std::vector<Availability>& plans) {
  Availability all;
  std::set<std::pair<std::string, std::string>> seen;  // what it is, its name
  for (const Availability& plan : plans) {
    if (all.unknown.empty()) all.unknown = plan.unknown;
    all.workers = plan.workers;  // each was told of them a moment ago
    for (const std::string& model : plan.response.missing_models())
      if (seen.emplace("model", model).second) all.response.add_missing_models(model);
    for (const std::string& set : plan.response.missing_sets())
      if (seen.emplace("set", set).second) all.response.add_missing_sets(set);
    for (const v1::DifferingSet& set : plan.response.differing_sets())
      if (seen.emplace("differing", set.name()).second) *all.response.add_differing_sets() = set;
    for (const v1::ChangedSet& set : plan.response.changed_sets())
      if (seen.emplace("changed from " + set.content_then(), set.name()).second) *all.response.add_changed_sets() = set;
  }
  return all;
}

// A row for each of several files, and what they come to: jobs that they share are trained once.
Page PageTogether(const PlanOptions& options, const std::optional<Speed>& speed, const std::vector<Json>& plans) {
  Totals totals;
  std::set<std::string> seen;
  Json rows = Json::array();
  // Of workers at hand one file's jobs may use fewer than another's.
  int slots = plans.front()["totals"]["slots"].get<int>();
  for (const Json& plan : plans) {
    slots = std::min(slots, plan["totals"]["slots"].get<int>());
    Json row = {
        {"sweep", plan["sweep"]}, {"missing_models", plan["missing_models"]}, {"missing_sets", plan["missing_sets"]}};
    row.update(plan["totals"]);
    rows.push_back(std::move(row));
    for (const Json& job : plan["jobs"]) {
      if (!seen.insert(job["id"].get<std::string>()).second) continue;
      totals.tokens += job["tokens"].get<double>();
      if (job["flops"].is_number()) totals.flops += job["flops"].get<double>();
      if (job["seconds"].is_number())
        totals.seconds.push_back(job["seconds"].get<double>());
      else
        ++totals.untimed;
    }
  }
  totals.different = seen.size();
  const double hours = totals.flops / options.device_flops / 3600;
  Page page;
  page.document = {{"sweeps", std::move(rows)},
                   {"together",
                    {{"different", totals.different},
                     {"tokens", static_cast<int64_t>(totals.tokens)},
                     {"flops", totals.flops},
                     {"device_hours", hours},
                     {"slots", slots},
                     {"seconds", speed ? Json(Makespan(totals.seconds, slots)) : Json(nullptr)}}}};
  std::vector<Column> columns = {TextColumn("SWEEP", "sweep", 12),
                                 IntegerColumn("JOBS", "different", 2),
                                 CountColumn("TOKENS", "tokens", 1),
                                 PowerColumn("FLOPS", "flops", 4),
                                 FixedColumn("GPU-HOURS", "device_hours", 1, 7),
                                 BytesColumn("CHECKPOINTS", "checkpoint_bytes", 6)};
  if (speed) columns.insert(columns.end() - 1, DurationColumn("TIME", "seconds", 3));
  page.blocks.push_back(TableBlock{"sweeps", std::move(columns), "no sweeps"});
  TextBlock text;
  text.pieces.push_back({"together", Style::kBold});
  text.pieces.push_back({Counted(totals.different, "different job")});
  text.pieces.push_back({FormatCount(totals.tokens) + " tokens"});
  if (totals.flops > 0)
    text.pieces.push_back({FormatPower(totals.flops) + " FLOPs: about " + GpuTime(hours) + " at " +
                           FormatPower(options.device_flops) + " FLOP/s"});
  if (speed) text.pieces.push_back({TimeText(totals, *speed, slots), Style::kBold});
  page.blocks.push_back(std::move(text));
  return page;
}

Availability AvailabilityOf(v1::SubmitSweepResponse response, v1::ListWorkersResponse workers) {
  const bool any = std::any_of(workers.workers().begin(), workers.workers().end(),
                               [](const v1::Worker& worker) { return IsConnected(ToJson(worker)); });
  return {std::move(response), std::move(workers), any ? "" : "no worker is connected"};
}

// Asks a coordinator that was not asked for, as long as it answers soon.
class SoonAnswered {
 public:
  explicit SoonAnswered(Session& session) : session_(session) {}

  Availability Ask(const SweepFiles& files) {
    if (!connected_) {
      connected_ = true;
      session_.timeout_s = std::min(session_.timeout_s, kSoonSeconds);
      gone_ = session_.Connect();
    }
    if (!gone_.ok()) return {{}, {}, Why(gone_)};
    auto response = Submit(session_, files, /*dry_run=*/true, /*replace=*/true);
    const auto workers = response.ok() ? session_.client().ListWorkers({}) : response.status();
    if (!workers.ok()) {
      if (IsAway(workers.status())) gone_ = workers.status();
      return {{}, {}, Why(workers.status())};
    }
    return AvailabilityOf(*std::move(response), *workers);
  }

 private:
  static bool IsAway(const absl::Status& status) {
    return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
  }
  static std::string Why(const absl::Status& status) {
    return IsAway(status) ? "no coordinator answers" : std::string(status.message());
  }

  Session& session_;
  bool connected_ = false;
  absl::Status gone_;  // of the call that it did not answer: it is not asked again
};

// One file's page. An Outcome other than kOk: why there is none.
Outcome PlanFile(Session& session, const PlanOptions& options, const std::string& file,
                 const std::optional<Speed>& speed, SoonAnswered* coordinator, Availability* availability, Page* page) {
  const auto files = LoadSweep(file, options.profiles, options.changes, session.world().in);
  if (!files.ok()) return {kBadFile, std::string(files.status().message())};
  std::optional<Answer> answer;
  if (options.diff) {
    if (const absl::Status status = session.Connect(); !status.ok()) return {kUsage, std::string(status.message())};
    auto response = Submit(session, *files, /*dry_run=*/true, /*replace=*/true);
    if (!response.ok()) return FromStatus(response.status());
    const auto workers = session.client().ListWorkers({});
    if (!workers.ok()) return FromStatus(workers.status());
    answer.emplace();
    answer->response = *std::move(response);
    for (const v1::SubmittedJob& job : answer->response.jobs()) answer->submitted.emplace(job.id(), job.added());
    answer->at_hand = CountAtHand(*workers, files->sweep.devices, files->sweep.per_worker);
    *availability = AvailabilityOf(answer->response, *workers);
  } else {
    *availability = coordinator->Ask(*files);
  }
  *page = PlanPage(*files, answer, options, speed);
  AddChangesNothing(*files, page);
  AddRepeats(*files, page);
  AddAvailability(*availability, page);
  return {};
}

Outcome Plan(Session& session, const PlanOptions& options) {
  std::optional<Speed> speed;
  if (!options.speed_file.empty()) {
    const auto text = ReadFile(options.speed_file);
    if (!text.ok()) return {kBadFile, options.speed_file + ": " + std::string(text.status().message())};
    const auto parsed = ParseSpeed(*text);
    if (!parsed.ok()) return {kBadFile, options.speed_file + ": " + std::string(parsed.status().message())};
    speed = *parsed;
  }
  Page page;
  SoonAnswered coordinator(session);
  std::vector<Json> plans;
  std::vector<Availability> availability(options.files.size());
  for (const std::string& file : options.files) {
    Availability& of_file = availability[plans.size()];
    Outcome outcome = PlanFile(session, options, file, speed, &coordinator, &of_file, &page);
    if (outcome.code != kOk) return outcome;
    plans.push_back(page.document);
  }
  if (plans.size() > 1) {
    page = PageTogether(options, speed, plans);
    AddAvailability(Together(availability), &page);
  }
  session.printer().Print(page);
  return {};
}

}  // namespace

void AddPlanCommand(Commands& commands) {
  args::Command command = commands.Add(
      "plan", "Show the jobs of a sweep file, what they cost, and store nothing", Names::kFile,
      {"sinkctl plan sweeps/optimization.yaml", "sinkctl plan sweeps/optimization.yaml --profile laptop --diff",
       "sinkctl plan sweeps/*.yaml --profile minutes --speed speed.json --slots 2   # and what they come to together"});
  auto options = std::make_shared<PlanOptions>();
  command
      .AddOption("FILE", options->files,
                 "The sweep file; - is standard input. Of several, what each costs, and all together: jobs that they "
                 "share are trained once")
      .Required();
  command.AddOption("--profile", options->profiles, "Lay a profile over it: a path, or the name of profiles/NAME.yaml")
      .ValueText("NAME|PATH")
      .OneValueEach();
  AddChanges(command, &options->changes);
  command.AddFlag(
      "--diff", options->diff,
      "Ask the coordinator which of the jobs it has already, and how many run at once on the workers at hand; what "
      "they need and no worker has it says in any case, when it is there");
  command
      .AddOption("--device-flops", options->device_flops,
                 "FLOP/s that one device does, for the GPU-hours (4e14: an H100 at 40 % of its bf16 peak)")
      .ValueText("N")
      .Positive();
  command
      .AddOption("--speed", options->speed_file,
                 "A file of `sinkctl calibrate --out`: also say how long the jobs take on devices so fast")
      .ValueText("FILE");
  command
      .AddOption("--slots", options->slots,
                 "How many such devices there are, a job on each (1; with --diff, those of the workers at hand)")
      .ValueText("N")
      .Within(1, 1'000'000);
  commands.OnRun(command, [options](Session& session) { return Plan(session, *options); });
}

}  // namespace sink::cli
