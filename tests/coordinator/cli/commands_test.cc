// Every command against a real coordinator: what it prints, in which form, and how it exits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/cli/base/exit_codes.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// One line on standard error, nothing on standard output.
void ExpectError(const Result& result, int code, const std::string& piece) {
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith("sinkctl: "));
  EXPECT_THAT(result.err, HasSubstr(piece));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

TEST(Usage, IsToldInOneLineWithAWayOn) {
  ExpectError(RunSinkctl({}), kUsage, "a command is missing; see `sinkctl --help`");
  ExpectError(RunSinkctl({"staus"}), kUsage, "there is no command staus; did you mean \"status\"?");
  ExpectError(RunSinkctl({"checkpoint"}), kUsage, "a command is missing; see `sinkctl checkpoint --help`");
  ExpectError(RunSinkctl({"checkpoint", "gte"}), kUsage, "there is no command gte; did you mean \"get\"?");
  ExpectError(RunSinkctl({"job"}), kUsage, "ID is required; see `sinkctl job --help`");
  ExpectError(RunSinkctl({"job", "3f2a", "77b0"}), kUsage, "unexpected argument 77b0");
  ExpectError(RunSinkctl({"job", "3f2a", "--colour"}), kUsage, "unexpected argument --colour");
  ExpectError(RunSinkctl({"status", "--timeout", "never"}), kUsage, "never is not a number of seconds");
  ExpectError(RunSinkctl({"jobs", "--state", "sleeping"}), kUsage, "there is no job state");
  ExpectError(RunSinkctl({"retry"}), kUsage, "retry needs sweeps or the ids of jobs");
  ExpectError(RunSinkctl({"status", "--coordinator", "nowhere"}), kUsage, "host:port");
  ExpectError(RunSinkctl({"completion", "tcsh"}), kUsage, "tcsh");
  ExpectError(RunSinkctl({"st\x1b[31matus"}), kUsage, "there is no command status");
}

TEST(Usage, HelpOfEveryCommandHasTwoExamples) {
  const Result root = RunSinkctl({"--help"});
  EXPECT_EQ(root.code, kOk);
  EXPECT_THAT(root.out, HasSubstr("Exit codes:"));
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{{"submit"},
                                                                                       {"plan"},
                                                                                       {"calibrate"},
                                                                                       {"status"},
                                                                                       {"results"},
                                                                                       {"curves"},
                                                                                       {"jobs"},
                                                                                       {"job"},
                                                                                       {"logs"},
                                                                                       {"metrics"},
                                                                                       {"cancel"},
                                                                                       {"retry"},
                                                                                       {"workers"},
                                                                                       {"checkpoint"},
                                                                                       {"checkpoint", "list"},
                                                                                       {"checkpoint", "get"},
                                                                                       {"checkpoint", "verify"},
                                                                                       {"checkpoint", "drop"},
                                                                                       {"checkpoint", "pin"},
                                                                                       {"checkpoint", "unpin"},
                                                                                       {"completion"},
                                                                                       {"version"}}) {
    std::vector<std::string> args = {"help"};
    args.insert(args.end(), command.begin(), command.end());
    const Result help = RunSinkctl(args);
    EXPECT_EQ(help.code, kOk) << command.back();
    const std::string examples = help.out.substr(std::min(help.out.find("Examples:"), help.out.size()));
    EXPECT_GE(std::count(examples.begin(), examples.end(), '\n'), 4) << help.out;
    EXPECT_THAT(help.out, HasSubstr("sinkctl " + command[0]));
    EXPECT_THAT(help.out, Not(HasSubstr("TEXT"))) << "the option library's types mean nothing to a user";
  }
}

TEST(Usage, VersionIsAlsoJson) {
  EXPECT_THAT(RunSinkctl({"version"}).out, MatchesRegex("sinkctl  [0-9.]+\n"));
  EXPECT_THAT(RunSinkctl({"version", "--json"}).json()["version"].get<std::string>(), MatchesRegex("[0-9.]+"));
}

TEST(Unreachable, ExitsWithItsOwnCodeAndNamesTheAddress) {
  ExpectError(RunSinkctl({"status", "--coordinator", "127.0.0.1:1", "--timeout", "0.2"}), kUnreachable, "127.0.0.1:1");
}

// Somebody waits for the answer. The best of three tries, as the machine may be busy with something else.
TEST_F(CliTest, ACoordinatorThatIsGoneIsToldInHalfASecond) {
  const Place place = {.environment = {{"SINK_COORDINATOR", server_->address()},
                                       {"SINK_CREDENTIALS", folder_ / "coordinator/tls/admin"}}};
  server_.reset();
  absl::Duration best = absl::InfiniteDuration();
  for (int i = 0; i < 3; ++i) {
    const absl::Time begin = absl::Now();
    ExpectError(RunSinkctl({"status"}, place), kUnreachable, "is it running?");
    best = std::min(best, absl::Now() - begin);
  }
  EXPECT_LT(best, absl::Milliseconds(500));
}

TEST_F(CliTest, PlanNeedsNoCoordinatorAndShowsTheArithmetic) {
  const std::string file = WriteSweep("study", {"1e-3", "4e-4"});
  const Result plan = RunSinkctl({"plan", file, "--coordinator", "127.0.0.1:1"});
  EXPECT_EQ(plan.code, kOk) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("rates"));
  EXPECT_THAT(plan.out, HasSubstr("= 2 jobs"));
  EXPECT_THAT(plan.out, HasSubstr("learning_rate=0.0004"));
  EXPECT_THAT(plan.out, HasSubstr("1 seed of a setting: the report will give no verdicts"));
  const Json json = RunSinkctl({"plan", file, "--json"}).json();
  EXPECT_EQ(json["totals"]["jobs"], 2);
  // By hand: embedding and head 257 x 32 each, a layer 4 x 32^2 + 3 x 32 x 64 + 2 x 32, two of them, the last norm 32.
  EXPECT_EQ(json["jobs"][0]["parameters"], 2 * 257 * 32 + 2 * (4 * 1024 + 3 * 2048 + 64) + 32);
  EXPECT_EQ(json["jobs"][0]["tokens"], 100 * 8 * 64);
  EXPECT_TRUE(json["jobs"][0]["new"].is_null());
}

// A profile's replicas are not for an experiment whose settings are the seeds themselves: those are of one setting.
TEST_F(CliTest, PlanCountsTheSeedsThatAnExperimentVariesItself) {
  const std::string file = WriteSweep("study", {"1e-3"});
  std::ofstream(file, std::ios::app) << "  - name: seeds\n    grid: {train.seed: [42, 43, 44]}\n";
  std::filesystem::create_directory(folder_ / "profiles");
  std::ofstream(folder_ / "profiles/three.yaml") << "replicas: 3\n";
  const Result plan = RunSinkctl({"plan", file, "--profile", "three"});
  EXPECT_EQ(plan.code, kOk) << plan.err;
  EXPECT_THAT(plan.out, AllOf(HasSubstr("6 jobs"), Not(HasSubstr("no verdicts"))));
  EXPECT_THAT(RunSinkctl({"plan", file}).out, HasSubstr("1 seed of a setting"));
}

// max_time is of an attempt, and an attempt that fails is repeated.
TEST_F(CliTest, PlanCountsRetriesInWhatTheJobsMayTakeAtMost) {
  const auto plan = [this](const std::string& retry) {
    const std::string file = WriteSweep("study", {"1e-3", "4e-4"});
    std::ofstream(file, std::ios::app) << "resources: {devices: 1, max_time: 1h}\nretry: " << retry << "\n";
    const Json totals = RunSinkctl({"plan", file, "--json"}).json()["totals"];
    return std::pair(RunSinkctl({"plan", file}).out, totals);
  };
  const auto [text, totals] = plan("{infra: 2, out_of_memory: 0, nan: 0, user: 0}");
  EXPECT_EQ(totals["device_hours_limit"], 6);
  EXPECT_EQ(totals["device_hours_limit_without_retries"], 2);
  EXPECT_THAT(text, AllOf(HasSubstr("at most 2 device-hours without a retry (1 x 1h00m an attempt)"),
                          HasSubstr("at most 6 device-hours with 2 retries a job")));
  const auto [once, limits] = plan("{infra: 0, out_of_memory: 0, nan: 0, user: 0}");
  EXPECT_EQ(limits["device_hours_limit"], 2);
  EXPECT_THAT(once, AllOf(HasSubstr("at most 2 device-hours (1 x 1h00m an attempt)"), Not(HasSubstr("retr"))));
}

TEST_F(CliTest, PlanSaysWhatNoWorkerHasWhereACoordinatorAnswers) {
  const std::string file = folder_ / "open.yaml";
  std::ofstream(file) << "schema: sink/v1\nname: open\nkind: evaluate\n"
                      << "experiments:\n  - name: models\n    grid: {evaluate.model: [a/b]}\n";
  StartWorker();
  ASSERT_TRUE(TakeJobs().empty());  // its question says that it has no model
  EXPECT_THAT(Sinkctl({"plan", file}).out,
              AllOf(HasSubstr("no connected worker has 1 model: a/b"), HasSubstr("their jobs will wait")));
  EXPECT_EQ(Sinkctl({"plan", file, "--json"}).json()["missing_models"], Json::array({"a/b"}));
  const Result alone = RunSinkctl({"plan", file, "--coordinator", "127.0.0.1:1"});
  EXPECT_EQ(alone.code, kOk) << alone.err;
  EXPECT_THAT(alone.out, Not(HasSubstr("no connected worker")));
  EXPECT_THAT(alone.out, HasSubstr("was not checked: no coordinator answers"));
}

TEST_F(CliTest, PlanOfSeveralFilesSaysWhatNoWorkerHasOnce) {
  std::vector<std::string> files;
  for (const auto& [name, models] : {std::pair("one", "[a/b]"), std::pair("two", "[a/b, c/d]")}) {
    files.push_back(folder_ / (std::string(name) + ".yaml"));
    std::ofstream(files.back()) << "schema: sink/v1\nname: " << name << "\nkind: evaluate\n"
                                << "experiments:\n  - name: models\n    grid: {evaluate.model: " << models << "}\n";
  }
  StartWorker();
  ASSERT_TRUE(TakeJobs().empty());  // its question says that it has no model
  for (const std::vector<std::string>& diff : {std::vector<std::string>{}, std::vector<std::string>{"--diff"}}) {
    std::vector<std::string> plan = {"plan", files[0], files[1]};
    plan.insert(plan.end(), diff.begin(), diff.end());
    EXPECT_THAT(Sinkctl(plan).out, HasSubstr("no connected worker has 2 models: a/b, c/d"));
    plan.push_back("--json");
    const Json json = Sinkctl(plan).json();
    EXPECT_EQ(json["missing_models"], Json::array({"a/b", "c/d"}));
    EXPECT_EQ(json["missing_sets"], Json::array());
    EXPECT_EQ(json["sweeps"][0]["missing_models"], Json::array({"a/b"}));
  }
}

TEST_F(CliTest, PlanSaysThatSetsWereNotCheckedWhereNobodyCouldSay) {
  const std::string one = WriteSweep("one", {"1e-3"}), two = WriteSweep("two", {"4e-4"});
  for (const std::vector<std::string>& plan : std::vector<std::vector<std::string>>{
           {"plan", one}, {"plan", one, two}, {"plan", one, "--diff"}, {"plan", one, two, "--diff"}}) {
    EXPECT_THAT(Sinkctl(plan).out, HasSubstr("was not checked: no worker is connected")) << plan.back();
    std::vector<std::string> as_json = plan;
    as_json.push_back("--json");
    const Json json = Sinkctl(as_json).json();
    EXPECT_TRUE(json.contains("missing_sets") && json["missing_sets"].is_null()) << plan.back();
  }
  const Json alone = RunSinkctl({"plan", one, two, "--coordinator", "127.0.0.1:1", "--json"}).json();
  EXPECT_TRUE(alone.contains("missing_sets") && alone["missing_sets"].is_null());
}

TEST_F(CliTest, PlanDiffAsksWhatIsStored) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  const Json json = Sinkctl({"plan", WriteSweep("study", {"1e-3", "4e-4"}), "--diff", "--json"}).json();
  EXPECT_EQ(json["jobs"][0]["new"], false);
  EXPECT_EQ(json["jobs"][1]["new"], true);
  EXPECT_EQ(json["totals"]["at_hand"]["workers"], 0);
}

TEST_F(CliTest, PlanDiffTellsWhatRunsAtOnceOnTheWorkersAtHand) {
  const std::string file = WriteSweep("study", {"1e-3", "4e-4", "1e-4"});
  EXPECT_THAT(Sinkctl({"plan", file, "--diff"}).out, HasSubstr("no worker is at hand"));
  StartWorker();
  EXPECT_THAT(Sinkctl({"plan", file, "--diff"}).out, HasSubstr("1 worker with 2 devices is at hand: 2 jobs at once"));
  const Json totals = Sinkctl({"plan", file, "--diff", "--json"}).json()["totals"];
  EXPECT_EQ(totals["slots"], 2);
  EXPECT_EQ(totals["at_hand"]["devices"], 2);
  EXPECT_EQ(Sinkctl({"plan", file, "--diff", "--slots", "5", "--json"}).json()["totals"]["slots"], 5);
  EXPECT_TRUE(RunSinkctl({"plan", file, "--json"}).json()["totals"]["at_hand"].is_null());
}

TEST_F(CliTest, SubmitTwiceAddsNothing) {
  const std::string file = WriteSweep("study", {"1e-3", "4e-4"});
  const Result dry = Sinkctl({"submit", file, "--dry-run"});
  EXPECT_EQ(dry.code, kOk) << dry.err;
  EXPECT_THAT(dry.out, HasSubstr("study: 2 jobs, 2 new"));
  EXPECT_THAT(Sinkctl({"status", "study"}).code, kNotFound);
  const Result first = Sinkctl({"submit", file});
  EXPECT_EQ(first.code, kOk) << first.err;
  EXPECT_THAT(first.out, HasSubstr("study: 2 jobs, 2 new"));
  EXPECT_THAT(Sinkctl({"submit", file}).out, HasSubstr("study: 2 jobs, 0 new"));
  const Json json = Sinkctl({"submit", WriteSweep("study", {"1e-3", "5e-4"}), "--json"}).json();
  EXPECT_EQ(json["sweep"], "study");
  EXPECT_EQ(json["added"], 1);
  EXPECT_EQ(json["removed"], 1);
  EXPECT_EQ(json["jobs"][1]["added"], true);
  EXPECT_THAT(Sinkctl({"submit", WriteSweep("study", {"1e-3", "6e-4"})}).out,
              AllOf(HasSubstr("no longer named: 1 of an earlier version; what has not ended goes on"),
                    HasSubstr("sinkctl cancel study ends them, with the rest of the sweep")));
  const Result twins = Sinkctl({"submit", WriteSweep("twins", {"7e-3", "7.0e-3"})});
  EXPECT_THAT(twins.out, HasSubstr("twins: 2 jobs, 1 new"));
  EXPECT_THAT(twins.out, HasSubstr("same job as above"));
  EXPECT_THAT(twins.out, HasSubstr("rates: 1 of its 2 jobs repeats another of it and will not be trained again"));
}

TEST_F(CliTest, SubmitSaysWhichStoredJobsWillNotRunAndRetryRunsThem) {
  const std::string file = WriteSweep("study", {"1e-3", "4e-4"});
  ASSERT_EQ(Sinkctl({"submit", file}).code, kOk);
  ASSERT_EQ(Sinkctl({"cancel", JobId("study", 0)}).code, kOk);
  const Result again = Sinkctl({"submit", file});
  EXPECT_THAT(again.out, HasSubstr("stored, cancelled"));
  EXPECT_THAT(again.out, HasSubstr("1 stored job has failed or been cancelled and will not run"));
  EXPECT_THAT(again.out, HasSubstr("submit --retry queues them again"));
  EXPECT_EQ(Sinkctl({"submit", file, "--json"}).json()["jobs"][0]["state"], "CANCELLED");
  const Result retried = Sinkctl({"submit", file, "--retry"});
  EXPECT_THAT(retried.out, AllOf(HasSubstr("1 stored job queued again"), HasSubstr("stored, queued again"),
                                 Not(HasSubstr("stored, cancelled"))));
  ASSERT_EQ(Sinkctl({"cancel", JobId("study", 0)}).code, kOk);
  const Json again_retried = Sinkctl({"submit", file, "--retry", "--json"}).json();
  EXPECT_EQ(again_retried["jobs"][0]["state"], "QUEUED");
  EXPECT_EQ(again_retried["jobs"][0]["retried"], true);
  EXPECT_EQ(again_retried["jobs"][1]["retried"], false);
  EXPECT_THAT(Sinkctl({"submit", file}).out, Not(HasSubstr("will not run")));
}

TEST_F(CliTest, ARunningJobThatIsCancelledAndSubmittedAgainRuns) {
  const std::string file = WriteSweep("study", {"1e-3"});
  ASSERT_EQ(Sinkctl({"submit", file}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(Sinkctl({"cancel", "study", "--json"}).json()["requested"], 1);
  EXPECT_THAT(Sinkctl({"submit", file, "--dry-run"}).out,
              HasSubstr("1 stored job was being cancelled and would go on"));
  EXPECT_THAT(Sinkctl({"submit", file}).out,
              AllOf(HasSubstr("stored, goes on"), HasSubstr("1 stored job was being cancelled and goes on")));
  EXPECT_EQ(Sinkctl({"cancel", "study", "--json"}).json()["requested"], 1);
  const Json again = Sinkctl({"submit", file, "--json"}).json();
  EXPECT_EQ(again["jobs"][0]["state"], "RUNNING");
  EXPECT_EQ(again["jobs"][0]["cancel_taken_back"], true);
  EXPECT_EQ(Sinkctl({"submit", file, "--json"}).json()["jobs"][0]["cancel_taken_back"], false);
  Finish(grants[0], v1::CANCELLED, "cancelled");
  EXPECT_EQ(Sinkctl({"status", "study", "--json"}).json()["jobs"][0]["state"], "QUEUED");
}

TEST_F(CliTest, CancellingASweepKeepsWhatAnotherWants) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("ours", {"1e-3", "4e-4"})}).code, kOk);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("theirs", {"1e-3"})}).code, kOk);
  const Result cancelled = Sinkctl({"cancel", "ours"});
  EXPECT_THAT(cancelled.out, HasSubstr("1 waiting job cancelled  0 running jobs asked"));
  EXPECT_THAT(cancelled.out, HasSubstr("1 job goes on: sweep theirs wants it"));
  EXPECT_THAT(Sinkctl({"status", "ours"}).out,
              HasSubstr("this sweep is cancelled  1 job goes on: sweep theirs wants it"));
  EXPECT_THAT(Sinkctl({"status", "theirs"}).out, Not(HasSubstr("goes on")));
  const Json places = Sinkctl({"status", "ours", "--json"}).json()["jobs"][0]["sweeps"];
  EXPECT_EQ(places[0]["withdrawn"], true);
  EXPECT_EQ(places[1]["withdrawn"], false);
  const Result waited = Sinkctl({"wait", "ours"});
  EXPECT_EQ(waited.code, kFailedWork) << "as for any cancelled sweep";
  EXPECT_THAT(waited.out, HasSubstr("1 job goes on: sweep theirs wants it"));
  EXPECT_THAT(waited.err, HasSubstr("2 of 2 jobs did not succeed (1 job goes on: sweep theirs wants it); see"));
  const Result watched = Sinkctl({"status", "ours", "--watch"});
  EXPECT_EQ(watched.code, kFailedWork);
  EXPECT_THAT(watched.out, HasSubstr("2/2 jobs done"));
  EXPECT_EQ(Sinkctl({"cancel", "theirs", "--json"}).json()["cancelled"], 1);
  EXPECT_THAT(Sinkctl({"status", "ours"}).out, Not(HasSubstr("goes on")));
}

TEST_F(CliTest, CancellingASweepSaysHowOneOrSeveralJobsThatGoOnAreEndedForAll) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("first", {"1e-3"})}).code, kOk);
  for (const char* sweep : {"ours", "theirs"})
    ASSERT_EQ(Sinkctl({"submit", WriteSweep(sweep, {"1e-3", "4e-4"})}).code, kOk);
  EXPECT_THAT(Sinkctl({"cancel", "first"}).out,
              HasSubstr("1 job goes on: sweeps ours, theirs want it  cancel it by its id to end it for all"));
  EXPECT_THAT(Sinkctl({"cancel", "ours"}).out,
              HasSubstr("2 jobs go on: sweep theirs wants them  cancel them by their ids to end them for all"));
}

TEST_F(CliTest, CancellingBothSweepsOfAJobDoesNotSayThatItGoesOn) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("ours", {"1e-3", "4e-4"})}).code, kOk);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("theirs", {"1e-3"})}).code, kOk);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("third", {"4e-4"})}).code, kOk);
  StartWorker();
  ASSERT_EQ(TakeJobs().size(), 2u);
  const Json cancelled = Sinkctl({"cancel", "ours", "theirs", "--json"}).json();
  EXPECT_EQ(cancelled["requested"], 1);
  EXPECT_EQ(cancelled["kept"], 1);
  EXPECT_EQ(cancelled["kept_for"], Json::array({"third"}));
  EXPECT_THAT(Sinkctl({"cancel", "ours", "third"}).out, Not(HasSubstr("want")));
}

TEST_F(CliTest, AnotherStudyOfTheSameNameNeedsReplace) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  const std::string file = WriteSweep("study", {"4e-4"});
  std::string text = ReadFile(file);
  ASSERT_NE(text.find("name: rates"), std::string::npos) << text;
  text.replace(text.find("name: rates"), 11, "name: other");
  std::ofstream(file) << text;
  ExpectError(Sinkctl({"submit", file}), kRefused, "--replace (replace=True from Python)");
  EXPECT_EQ(Sinkctl({"submit", file, "--replace"}).code, kOk);
}

TEST_F(CliTest, SubmitTakesSeveralFilesAndStoresNoneWhenOneIsWrong) {
  const std::string one = WriteSweep("one", {"1e-3"}), two = WriteSweep("two", {"1e-4"}), bad = folder_ / "bad.yaml";
  std::ofstream(bad) << "schema: sink/v1\nname: bad\nexperimnts: []\n";
  ExpectError(Sinkctl({"submit", one, two, bad}), kBadFile, "bad.yaml:3:1");
  EXPECT_THAT(Sinkctl({"status", "--json"}).json()["sweeps"], IsEmpty());
  const Result both = Sinkctl({"submit", one, two, "--json"});
  EXPECT_EQ(both.code, kOk) << both.err;
  EXPECT_EQ(std::count(both.out.begin(), both.out.end(), '\n'), 2) << "one document a line";
  EXPECT_EQ(Sinkctl({"status", "--json"}).json()["sweeps"].size(), 2u);
}

TEST_F(CliTest, WhyTellsWhatAJobWaitsForAndHowItEnded) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  const std::string id = JobId("study", 0);
  EXPECT_THAT(Sinkctl({"why", id}).out, HasSubstr("no worker is connected; start sink-worker"));
  StartWorker();
  const std::vector<v1::Grant> grants = TakeJobs();
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_THAT(Sinkctl({"why", id.substr(0, 8)}).out, HasSubstr("has it (attempt 1)"));
  Finish(grants[0], v1::FAILED, "the data is damaged");
  const Json why = Sinkctl({"why", id, "--json"}).json();
  EXPECT_EQ(why["job"]["state"], "FAILED");
  EXPECT_EQ(why["reasons"][0], "the data is damaged");
  EXPECT_TRUE(why["rungs"].empty());
  ExpectError(Sinkctl({"why", "ffff"}), kNotFound, "no job ffff");
}

TEST_F(CliTest, SubmitFindsProfilesAndBasesBesideTheFile) {
  std::filesystem::create_directory(folder_ / "profiles");
  std::ofstream(folder_ / "profiles/tiny.yaml") << "train: {max_steps: 7}\n";
  const std::string file = WriteSweep("study", {"1e-3"});
  EXPECT_EQ(Sinkctl({"submit", file, "--profile", "tiny", "--json"}).json()["added"], 1);
  EXPECT_EQ(Sinkctl({"job", JobId("study", 0), "--json"}).json()["config"]["train"]["max_steps"], 7);
  EXPECT_EQ(Sinkctl({"submit", file, "--profile", folder_ / "profiles/tiny.yaml", "--json"}).json()["added"], 0);
  ExpectError(Sinkctl({"submit", file, "--profile", "none"}), kBadFile, "profiles/none.yaml");
}

TEST_F(CliTest, BadSweepFilesAreToldWithTheirPlace) {
  const std::string file = folder_ / "bad.yaml";
  std::ofstream(file) << "schema: sink/v1\nname: bad\nexperimnts: []\n";
  ExpectError(Sinkctl({"submit", file}), kBadFile, "bad.yaml:3:1");
  ExpectError(Sinkctl({"plan", file}), kBadFile, "bad.yaml:3:1");
  ExpectError(Sinkctl({"submit", folder_ / "none.yaml"}), kBadFile, "none.yaml");
  ExpectError(Sinkctl({"submit", folder_.path().string()}), kBadFile, "folder");
}

TEST_F(CliTest, StatusShowsSweepsWorkersAndRunningJobs) {
  EXPECT_THAT(Sinkctl({"status"}).out, HasSubstr("no sweeps yet"));
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3", "4e-4"})}).code, kOk);
  EXPECT_THAT(Sinkctl({"status"}).out, HasSubstr("start one: sink-worker --coordinator " + server_->address()));
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 2u);
  Report(grants[0], {pipe::Progress{.step = 50, .tokens = 25600, .tokens_per_second = 512}});
  const Json json = Sinkctl({"status", "--json"}).json();
  EXPECT_EQ(json["sweeps"][0]["name"], "study");
  EXPECT_EQ(json["sweeps"][0]["states"]["RUNNING"], 2);
  EXPECT_EQ(json["workers"][0]["name"], "worker-1");
  EXPECT_EQ(json["active_jobs"].size(), 2u);
  for (const char* piece : {"50/100", "study", "learning_rate=0.001"})
    EXPECT_THAT(Sinkctl({"status"}, {.window = {120, 50}}).out, HasSubstr(piece));
}

TEST_F(CliTest, SweepStatusShowsLiveMeasurements) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  Report(grants[0], {pipe::Progress{.step = 50, .tokens = 25600, .tokens_per_second = 512},
                     pipe::Metrics{50,
                                   {{"train_loss", 2.3456},
                                    {"validation_loss/bible", 2.5},
                                    {"sink_rate/0.3/1", 0.125},
                                    {"alpha_mean/1", 0.08},
                                    {"alpha_max/1", 0.25},
                                    {"hidden_norm_ratio/2", 2.25}}}});
  const Json job = Sinkctl({"status", "study", "--json"}).json()["jobs"][0];
  EXPECT_EQ(job["state"], "RUNNING");
  EXPECT_EQ(job["worker"], "worker-1");
  EXPECT_EQ(job["label"], "train.learning_rate=0.001");
  EXPECT_EQ(job["sink_rate_percent"], 12.5);
  EXPECT_EQ(job["alpha_max_1"], 0.25);
  EXPECT_DOUBLE_EQ(job["eta_seconds"].get<double>(), 50);
  const std::string text = Sinkctl({"status", "study"}).out;
  for (const char* piece : {"study", "50%", "0/1 jobs done", "ETA ", "2.346", "12.5", "1 running", "epsilon 0.3"})
    EXPECT_THAT(text, HasSubstr(piece));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));

  Finish(grants[0], v1::SUCCEEDED);
  const Json results = Sinkctl({"results", "study", "--json"}).json();
  EXPECT_EQ(results["probe_tokens"], "32");
  EXPECT_EQ(results["results"][0]["alpha_max_1"], 0.25);
  EXPECT_THAT(Sinkctl({"results", "study"}).out, HasSubstr("T 32"));
  ExpectError(Sinkctl({"retry", JobId("study", 0)}), kRefused, "has succeeded: there is nothing to retry");
  EXPECT_THAT(Sinkctl({"results", "study", "--csv"}).out, HasSubstr("train.learning_rate=0.001,SUCCEEDED"));
  EXPECT_THAT(Sinkctl({"results", "study", "--csv"}).out, HasSubstr(",sink_epsilon,probe_tokens,bos\n"));
  ExpectError(Sinkctl({"results", "none"}), kNotFound, "none");

  const Json curves = Sinkctl({"curves", "study", "--metric", "validation_loss/bible", "--json"}).json();
  EXPECT_EQ(curves["curves"][0]["points"].size(), 1u);
  EXPECT_EQ(curves["curves"][0]["latest"], 2.5);
  EXPECT_EQ(curves["curves"][0]["curve"], "█");  // the largest value, on a scale from 0
  EXPECT_THAT(Sinkctl({"curves", "study"}).out, HasSubstr("from 0.000 to 0.250"));
  EXPECT_THAT(Sinkctl({"__complete", "curves", "study", "--metric", "alpha_m"}).out, HasSubstr("alpha_max/1\n"));
  ExpectError(Sinkctl({"curves", "study", "--metric", "alpha_maxx/1"}), kNotFound, "did you mean \"alpha_max/1\"?");
  ExpectError(Sinkctl({"curves", "none"}), kNotFound, "none");
}

TEST_F(CliTest, ColoursOnlyOnATerminalThatWantsThem) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  EXPECT_THAT(Sinkctl({"status", "study"}, {.terminal = true}).out, HasSubstr("\x1b["));
  EXPECT_THAT(Sinkctl({"status", "study"}, {.terminal = false}).out, Not(HasSubstr("\x1b[")));
  EXPECT_THAT(Sinkctl({"status", "study", "--no-color"}, {.terminal = true}).out, Not(HasSubstr("\x1b[")));
  EXPECT_THAT(Sinkctl({"status", "study"}, {.environment = {{"NO_COLOR", "1"}}, .terminal = true}).out,
              Not(HasSubstr("\x1b[")));
  EXPECT_THAT(Sinkctl({"status", "study"}, {.environment = {{"TERM", "dumb"}}, .terminal = true}).out,
              Not(HasSubstr("\x1b[")));
}

TEST_F(CliTest, WidthComesFromTheWindowThenFromColumns) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  EXPECT_THAT(Sinkctl({"jobs", "--sweep", "study"}, {.window = {200, 50}}).out, HasSubstr("TOK/S"));
  EXPECT_THAT(Sinkctl({"jobs", "--sweep", "study"}, {.window = {60, 50}}).out, Not(HasSubstr("TOK/S")));
  EXPECT_THAT(Sinkctl({"jobs", "--sweep", "study"}, {.environment = {{"COLUMNS", "60"}}}).out, Not(HasSubstr("TOK/S")));
  EXPECT_THAT(Sinkctl({"jobs", "--sweep", "study"}).out, HasSubstr("TOK/S"));  // a pipe has no width
}

TEST_F(CliTest, AChangeOnTheCommandLineIsAProfile) {
  const std::string file = WriteSweep("study", {"1e-3", "4e-4"});
  const Json changed = Sinkctl({"submit", file, "--set", "train.weight_decay=0.5", "--set", "model.variant.ffn=none",
                                "--name", "decayed", "--priority", "7", "--json"})
                           .json();
  EXPECT_EQ(changed["sweep"], "decayed");
  EXPECT_EQ(changed["added"], 2);
  EXPECT_EQ(changed["changes_nothing"], false);
  const Json job = Sinkctl({"job", JobId("decayed", 0), "--config", "--json"}).json();
  EXPECT_THAT(job.dump(), HasSubstr("\"weight_decay\":0.5"));
  EXPECT_THAT(job.dump(), HasSubstr("\"ffn\":\"none\""));
  // What the experiment varies stays varied, which is said.
  const Result same = Sinkctl({"submit", file, "--set", "train.learning_rate=1"});
  EXPECT_EQ(same.code, kOk) << same.err;
  EXPECT_THAT(same.out, HasSubstr("change no job"));
  ExpectError(Sinkctl({"submit", file, "--set", "train.max_stepz=3"}), kBadFile, "did you mean \"train.max_steps\"?");
  ExpectError(Sinkctl({"submit", file, "--set", "train.max_steps"}), kBadFile, "is not KEY=VALUE");
  ExpectError(Sinkctl({"submit", file, "--set", "train.seed=1", "--set", "train.seed=2"}), kBadFile, "given twice");
  ExpectError(Sinkctl({"submit", file, "--name", "a/b"}), kBadFile, "a sweep's name must be");
  ExpectError(Sinkctl({"submit", file, file, "--name", "x"}), kUsage, "--name names one sweep");
}

TEST_F(CliTest, ASweepComesFromStandardInputToo) {
  const std::string text = ReadFile(WriteSweep("study", {"1e-3"}));
  EXPECT_THAT(Sinkctl({"submit", "-"}, {.input = text}).out, HasSubstr("study: 1 job, 1 new"));
  EXPECT_THAT(Sinkctl({"plan", "-"}, {.input = text}).out, HasSubstr("= 1 job"));
  ExpectError(Sinkctl({"submit", "-"}, {.input = "name: [1]\nschema: sink/v1\nexperiments: [{name: a}]\n"}), kBadFile,
              "stdin:1:7: a sweep's name");
}

TEST_F(CliTest, EveryMistakeOfAFileIsToldAtOnce) {
  const std::string file = WriteSweep("study", {"1e-3"});
  std::ofstream(file, std::ios::app) << "    set: {train.max_stepz: 5, train.seed: one}\nlimts: {}\n";
  const Result result = Sinkctl({"submit", file});
  EXPECT_EQ(result.code, kBadFile);
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 3) << result.err;
  for (const char* piece : {"train.max_stepz", "train.seed must be a number", "unknown key \"limts\""})
    EXPECT_THAT(result.err, HasSubstr(piece));
}

TEST_F(CliTest, VersionIsAnOptionToo) {
  EXPECT_EQ(RunSinkctl({"--version"}).out, RunSinkctl({"version"}).out);
  EXPECT_EQ(RunSinkctl({"--version"}).code, kOk);
}

TEST_F(CliTest, JobsAreFilteredAndNamedByPrefix) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("one", {"1e-3"})}).code, kOk);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("two", {"1e-3", "2e-3"})}).code, kOk);
  EXPECT_EQ(Sinkctl({"jobs", "--json"}).json()["jobs"].size(), 2u);  // one job belongs to both
  EXPECT_THAT(Sinkctl({"jobs"}, {.window = {200, 50}}).out, HasSubstr("one, two  learning_rate=0.001"));
  EXPECT_EQ(Sinkctl({"jobs", "--sweep", "one", "--json"}).json()["jobs"].size(), 1u);
  EXPECT_EQ(Sinkctl({"jobs", "--state", "queued", "--json"}).json()["jobs"].size(), 2u);
  EXPECT_EQ(Sinkctl({"jobs", "--state", "FAILED", "--json"}).json()["jobs"].size(), 0u);
  EXPECT_THAT(Sinkctl({"jobs", "--state", "failed"}).out, HasSubstr("no such jobs"));
  EXPECT_EQ(Sinkctl({"status", "two", "--state", "queued", "--json"}).json()["jobs"].size(), 2u);
  EXPECT_EQ(Sinkctl({"status", "two", "--state", "failed", "--json"}).json()["jobs"].size(), 0u);
  const Json sorted = Sinkctl({"status", "two", "--sort", "setting", "--reverse", "--json"}).json()["jobs"];
  EXPECT_EQ(sorted[0]["label"], "train.learning_rate=0.002");
  EXPECT_EQ(Sinkctl({"jobs", "--sort", "step", "--limit", "1", "--json"}).json()["jobs"].size(), 1u);
  ExpectError(Sinkctl({"jobs", "--limit", "-1"}), kUsage, "--limit: -1 is not a number from 0 up");
  ExpectError(Sinkctl({"status", "two", "--experiment", "rate"}), kNotFound, "did you mean \"rates\"?");
  ExpectError(Sinkctl({"status", "--sort", "loss"}), kUsage, "name it");
  const std::string id = JobId("one", 0);
  const Result job = Sinkctl({"job", id.substr(0, 8), "--config"});
  EXPECT_EQ(job.code, kOk) << job.err;
  for (const std::string& piece : {id, std::string("one / rates / train.learning_rate=0.001"), std::string("queued"),
                                   std::string("train.max_steps"), std::string("model.hidden_size")})
    EXPECT_THAT(job.out, HasSubstr(piece));
  ExpectError(Sinkctl({"job", "0123456789abcdef"}), kNotFound, "0123456789abcdef");
  for (const char* command : {"job", "why", "logs", "metrics"}) {
    ExpectError(Sinkctl({command, "xyz"}), kNotFound, "there is no job \"xyz\"");
    ExpectError(Sinkctl({command, "one"}), kNotFound, "\"one\" is a sweep, not a job");
  }
  ExpectError(Sinkctl({"checkpoint", "list", "one"}), kNotFound, "\"one\" is a sweep, not a job");
  ExpectError(Sinkctl({"retry", "xyz"}), kNotFound, "there is no sweep \"xyz\"");
  ExpectError(Sinkctl({"wait", "xyz"}), kNotFound, "there is no sweep \"xyz\"");
}

TEST_F(CliTest, FailedJobsTellWhyAndCanBeRetried) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  Finish(grants[0], v1::FAILED, "data.set: no folder nowhere");
  const Json job = Sinkctl({"status", "study", "--json"}).json()["jobs"][0];
  EXPECT_EQ(job["state"], "FAILED");
  EXPECT_EQ(job["failure_class"], "user");
  EXPECT_THAT(Sinkctl({"status", "study"}).out, HasSubstr("failed: data.set: no folder nowhere"));
  const Json detail = Sinkctl({"job", JobId("study", 0), "--json"}).json();
  EXPECT_EQ(detail["attempts"].size(), 1u);
  EXPECT_EQ(detail["attempts"][0]["message"], "data.set: no folder nowhere");
  EXPECT_THAT(Sinkctl({"job", JobId("study", 0)}).out, HasSubstr("no folder nowhere"));
  const Result followed = Sinkctl({"status", "study", "--watch"});
  EXPECT_EQ(followed.code, kFailedWork);
  EXPECT_THAT(followed.err, HasSubstr("1 of 1 jobs did not succeed"));

  const Result waited = Sinkctl({"wait", "study", JobId("study", 0)});
  EXPECT_EQ(waited.code, kFailedWork);
  EXPECT_THAT(waited.out, HasSubstr("1 failed"));
  EXPECT_EQ(Sinkctl({"retry", "study", "--json"}).json()["retried"], 1);
  EXPECT_THAT(Sinkctl({"retry", "--failed", "study"}).out, HasSubstr("nothing to retry"));
  EXPECT_EQ(Sinkctl({"status", "study", "--json"}).json()["jobs"][0]["generation"], 2);
  ExpectError(Sinkctl({"retry", JobId("study", 0)}), kRefused, "has not ended (queued): cancel it first");
}

TEST_F(CliTest, RetryOfAJobThatRunsIsRefusedAndSaysWhatToDo) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  ASSERT_EQ(TakeJobs().size(), 1u);
  const std::string id = JobId("study", 0);
  for (const std::vector<std::string>& retry :
       std::vector<std::vector<std::string>>{{"retry", id}, {"retry", id, "--from-step", "0"}})
    ExpectError(Sinkctl(retry), kRefused, "has not ended (running): cancel it first");
  ASSERT_EQ(Sinkctl({"cancel", id}).code, kOk);
  ExpectError(Sinkctl({"retry", id, "--from-step", "0"}), kRefused, "is being cancelled: retry it when it has stopped");
  EXPECT_EQ(Sinkctl({"retry", id, "--json"}).json()["retried"], 1) << "without a step it goes on";
}

TEST_F(CliTest, ASweepOfManyPagesIsShownWhole) {
  constexpr int kJobs = 2100;
  std::vector<std::string> rates;
  for (int i = 0; i < kJobs; ++i) rates.push_back(std::to_string(i + 1) + "e-6");
  const std::string path = WriteSweep("study", rates);
  std::ofstream(path, std::ios::app) << "limits: {max_jobs: 3000}\n";
  ASSERT_EQ(Sinkctl({"submit", path}).code, kOk);
  const Json jobs = Sinkctl({"status", "study", "--json"}).json()["jobs"];
  ASSERT_EQ(jobs.size(), static_cast<size_t>(kJobs));
  for (int i = 0; i < kJobs; ++i) ASSERT_EQ(jobs[i]["index"], i);
}

TEST_F(CliTest, CancelTakesSweepsAndJobs) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3", "2e-3", "3e-3"})}).code, kOk);
  const Json one = Sinkctl({"cancel", JobId("study", 2), "--json"}).json();
  EXPECT_EQ(one["cancelled"], 1);
  StartWorker();
  ASSERT_EQ(TakeJobs().size(), 2u);
  const Json rest = Sinkctl({"cancel", "study", "--json"}).json();
  EXPECT_EQ(rest["cancelled"], 0);
  EXPECT_EQ(rest["requested"], 2);
  ExpectError(Sinkctl({"cancel", "0123456789ab"}), kNotFound, "0123456789ab");
  ExpectError(Sinkctl({"cancel", "studdy"}), kNotFound, "no sweep \"studdy\"");
}

TEST_F(CliTest, PriorityPutsASweepBeforeOthers) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("first", {"1e-3"})}).code, kOk);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("second", {"4e-4"})}).code, kOk);
  EXPECT_THAT(Sinkctl({"priority", "second", "--to", "5"}).out, HasSubstr("1 job has priority 5 now"));
  EXPECT_EQ(Sinkctl({"priority", "first", "--to", "-5", "--json"}).json()["changed"], 1);
  EXPECT_THAT(Sinkctl({"priority", "first", "--to", "-5"}).out, HasSubstr("no job that has not ended"));
  ExpectError(Sinkctl({"priority", "nosuch", "--to", "1"}), kNotFound, "nosuch");
  ExpectError(Sinkctl({"priority", "first", "--to", "2000"}), kUsage, "--to");
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_FALSE(grants.empty());
  EXPECT_EQ(grants[0].lease().job_id(), JobId("second", 0));
}

TEST_F(CliTest, WorkersShowDevicesAndJobs) {
  EXPECT_THAT(Sinkctl({"workers"}).out, HasSubstr("no workers yet"));
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  TakeJobs();
  const Json worker = Sinkctl({"workers", "--json"}).json()["workers"][0];
  EXPECT_EQ(worker["name"], "worker-1");
  EXPECT_EQ(worker["state"], "CONNECTED");
  EXPECT_EQ(worker["devices"], 2);
  EXPECT_EQ(worker["job_ids"].size(), 1u);
  EXPECT_THAT(Sinkctl({"workers"}).out, HasSubstr(JobId("study", 0).substr(0, 8)));
  EXPECT_THAT(Sinkctl({"workers"}).out, HasSubstr(" connected "));
}

TEST_F(CliTest, WhenAWorkerWasSeenIsToldByTheCoordinatorsClock) {
  StartWorker();
  TakeJobs();
  const std::string seen = Sinkctl({"workers"}, {.clock_ahead = std::chrono::minutes(30)}).out;
  EXPECT_THAT(seen, AllOf(HasSubstr(" ago"), Not(HasSubstr("30m"))));
}

// Whatever has a state says it in capitals; people read small letters.
TEST_F(CliTest, EveryStateInJsonIsInCapitals) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  TakeJobs();
  const std::string id = JobId("study", 0);
  std::vector<std::string> states;
  const std::function<void(const Json&)> collect = [&](const Json& json) {
    if (json.is_object() && json.contains("state")) states.push_back(json["state"].get<std::string>());
    for (const Json& part : json)
      if (part.is_structured()) collect(part);
  };
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"workers"}, {"jobs"}, {"status", "study"}, {"status"}, {"job", id}, {"why", id}, {"user", "list"}}) {
    std::vector<std::string> args = command;
    args.push_back("--json");
    const size_t before = states.size();
    const auto told = Sinkctl(args);
    ASSERT_EQ(told.code, kOk) << command[0] << told.err;
    collect(told.json());
    if (command != std::vector<std::string>{"status"}) {
      EXPECT_GT(states.size(), before) << command[0];
    }
  }
  for (const std::string& state : states) EXPECT_THAT(state, ::testing::MatchesRegex("[A-Z_]+"));
}

TEST_F(CliTest, DeleteTakesAnEndedSweepAndAsksFirst) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3", "2e-3"})}).code, 0);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("other", {"2e-3"})}).code, 0);
  const std::string id = JobId("study", 0), shared = JobId("study", 1);
  ExpectError(Sinkctl({"delete", "nosuch", "--yes"}), kNotFound, "nosuch");
  ExpectError(Sinkctl({"delete", "study"}), kUsage, "--yes");
  ExpectError(Sinkctl({"delete", "study", "--yes"}), kRefused, "1 job of study has not ended; cancel the sweep first");
  ASSERT_EQ(Sinkctl({"cancel", "study"}).code, 0);

  const Result no = Sinkctl({"delete", "study"}, {.input = "no\n", .terminal = true});
  EXPECT_EQ(no.code, kRefused);
  EXPECT_THAT(no.err, HasSubstr("Delete study, 2 jobs with their curves, logs and checkpoints, for good?"));
  const Result yes = Sinkctl({"delete", "study"}, {.input = "yes\n", .terminal = true});
  EXPECT_EQ(yes.code, kOk) << yes.err;
  EXPECT_THAT(yes.out, HasSubstr("study is deleted, with"));
  EXPECT_THAT(yes.out, HasSubstr("1 job stays: another sweep has it"));
  ExpectError(Sinkctl({"status", "study"}), kNotFound, "study");
  ExpectError(Sinkctl({"job", id}), kNotFound, id.substr(0, 8));
  EXPECT_EQ(Sinkctl({"job", shared}).code, kOk);
  EXPECT_THAT(Sinkctl({"audit"}).out, HasSubstr("DeleteSweep"));
  // The same file again is a new sweep of new jobs.
  EXPECT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3", "2e-3"}), "--json"}).json()["added"], 1);
}

TEST_F(CliTest, DeleteWithForceCancelsFirst) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, 0);
  EXPECT_EQ(Sinkctl({"delete", "study", "--yes", "--force"}).code, kOk);
  EXPECT_EQ(Sinkctl({"jobs", "--json"}).json()["jobs"].size(), 0u);
}

TEST_F(CliTest, DeleteWithForceWaitsForARunningJobWithoutTryingAgainAndAgain) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3", "2e-3"})}).code, kOk);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("other", {"2e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 2u);
  const std::string own = JobId("study", 0);
  auto deleting = std::async(std::launch::async, [&] { return Sinkctl({"delete", "study", "--yes", "--force"}); });
  ASSERT_TRUE(WaitForCancel(own));
  for (const v1::Grant& grant : grants)
    if (grant.lease().job_id() == own) Finish(grant, v1::CANCELLED, "cancelled");
  const Result deleted = deleting.get();
  EXPECT_EQ(deleted.code, kOk) << deleted.err;
  EXPECT_THAT(deleted.out, AllOf(HasSubstr("study is deleted, with 1 job\n"), HasSubstr("1 job stays")))
      << "it runs on";
  EXPECT_THAT(Sinkctl({"audit"}).out, Not(HasSubstr("FAILED_PRECONDITION")));
}

TEST_F(CliTest, DeleteWithForceWaitsForAJobThatACancelledSweepHasToo) {
  for (const char* sweep : {"study", "other"}) ASSERT_EQ(Sinkctl({"submit", WriteSweep(sweep, {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 1u);
  ASSERT_EQ(Sinkctl({"cancel", "other"}).code, kOk);
  ExpectError(Sinkctl({"delete", "study", "--yes"}), kRefused, "1 job of study has not ended; cancel the sweep first");
  auto deleting = std::async(std::launch::async, [&] { return Sinkctl({"delete", "study", "--yes", "--force"}); });
  ASSERT_TRUE(WaitForCancel(grants[0].lease().job_id()));
  Finish(grants[0], v1::CANCELLED, "cancelled");
  const Result deleted = deleting.get();
  EXPECT_EQ(deleted.code, kOk) << deleted.err;
  EXPECT_THAT(deleted.out, HasSubstr("1 job stays: another sweep has it"));
}

TEST_F(CliTest, DeleteWithForceLeavesASweepThatIsSubmittedAgainWhileItWaits) {
  const std::string file = WriteSweep("study", {"1e-3"});
  ASSERT_EQ(Sinkctl({"submit", file}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 1u);
  auto deleting = std::async(std::launch::async, [&] { return Sinkctl({"delete", "study", "--yes", "--force"}); });
  ASSERT_TRUE(WaitForCancel(grants[0].lease().job_id()));
  ASSERT_EQ(Sinkctl({"submit", file}).code, kOk);
  Finish(grants[0], v1::SUCCEEDED);
  const Result deleted = deleting.get();
  EXPECT_EQ(deleted.code, kRefused);
  EXPECT_EQ(deleted.out, "");
  EXPECT_THAT(deleted.err, HasSubstr("study was submitted or retried again meanwhile; it stays"));
  EXPECT_EQ(Sinkctl({"status", "study", "--json"}).json()["jobs"][0]["state"], "SUCCEEDED");
}

TEST_F(CliTest, DeleteWithForceLeavesASweepThatIsSubmittedAgainWhileItAsks) {
  const std::string file = WriteSweep("study", {"1e-3"});
  ASSERT_EQ(Sinkctl({"submit", file}).code, kOk);
  const Result deleted = Sinkctl({"delete", "study", "--force"}, {.input = "yes\n",
                                                                  .before_input =
                                                                      [&] {
                                                                        EXPECT_EQ(Sinkctl({"submit", file}).code, kOk);
                                                                      },
                                                                  .terminal = true});
  EXPECT_EQ(deleted.code, kRefused);
  EXPECT_THAT(deleted.err, HasSubstr("study was submitted or retried again meanwhile; it stays"));
  EXPECT_EQ(Sinkctl({"status", "study", "--json"}).json()["jobs"][0]["state"], "QUEUED") << "it is not cancelled";
}

TEST_F(CliTest, DeleteWithForceWaitsForAJobThatTheSweepHadBefore) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3", "2e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 2u);
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"2e-3"})}).code, kOk);
  const std::string own = JobId("study", 0);
  auto deleting = std::async(std::launch::async, [&] { return Sinkctl({"delete", "study", "--yes", "--force"}); });
  ASSERT_TRUE(WaitForCancel(own));
  const bool first_is_own = grants[0].lease().job_id() == own;
  Finish(grants[first_is_own ? 0 : 1], v1::CANCELLED, "cancelled");
  const auto refused = [&] { return Sinkctl({"audit"}).out.find("FAILED_PRECONDITION") != std::string::npos; };
  for (int tries = 0; tries < 3000 && !refused(); ++tries) absl::SleepFor(absl::Milliseconds(20));
  Finish(grants[first_is_own ? 1 : 0], v1::SUCCEEDED);
  const Result deleted = deleting.get();
  EXPECT_EQ(deleted.code, kOk) << deleted.err;
  EXPECT_THAT(deleted.err, HasSubstr("not all of its jobs have ended"));
  EXPECT_THAT(deleted.out, HasSubstr("study is deleted, with 2 jobs"));
}

TEST_F(CliTest, LogsAreSafeForATerminal) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  Report(grants[0], {pipe::Log{"info", "first"}, pipe::Log{"stderr", "\x1b[2J\x1b]0;owned\a\x1b[31mred\rback"},
                     pipe::Log{"error", "caf\u00e9"}});
  const std::string id = grants[0].lease().job_id();
  const Result logs = Sinkctl({"logs", id}, {.terminal = true});
  EXPECT_EQ(logs.code, kOk) << logs.err;
  EXPECT_THAT(logs.out, HasSubstr("redback\n"));
  EXPECT_THAT(logs.out, HasSubstr("caf\u00e9\n"));
  for (const char* piece : {"\x1b[2J", "\x1b]", "\a", "\r", "\x1b[31mred"})
    EXPECT_THAT(logs.out, Not(HasSubstr(piece)));
  EXPECT_THAT(Sinkctl({"logs", id, "--tail", "1"}).out, EndsWith("error    caf\u00e9\n"));
  const Result stream = Sinkctl({"logs", id, "--tail", "1", "--json"});
  EXPECT_EQ(stream.json()["level"], "error");
  EXPECT_EQ(std::count(stream.out.begin(), stream.out.end(), '\n'), 1);
  ExpectError(Sinkctl({"logs", "0123456789ab"}), kNotFound, "0123456789ab");
}

TEST_F(CliTest, FollowedLogsTellStepAndLossBesideWhatIsNew) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  Report(grants[0], {pipe::Log{"info", "of before"}, pipe::Progress{.step = 7, .tokens = 70},
                     pipe::Metrics{.step = 7, .values = {{"train_loss", 2.5}}}});
  event_time_ms_ = 4'000'000'000'000;
  Report(grants[0], {pipe::Log{"info", "of now"}});
  Finish(grants[0], v1::SUCCEEDED);
  const Result logs = Sinkctl({"logs", grants[0].lease().job_id(), "-f"});
  EXPECT_THAT(logs.out, HasSubstr("info     of before\n"));
  EXPECT_THAT(logs.out, HasSubstr("info     step 7/100  loss 2.500  of now\n"));
  EXPECT_THAT(Sinkctl({"logs", grants[0].lease().job_id()}).out, HasSubstr("info     of now\n"));
}

TEST_F(CliTest, FollowedLogsAskAnewForALineThatComesLater) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  event_time_ms_ = 4'000'000'000'000;
  Report(grants[0], {pipe::Progress{.step = 1, .tokens = 10}, pipe::Log{"info", "begun"}});
  Transcript transcript;
  auto logs = std::async(std::launch::async, [&] {
    return Sinkctl({"logs", grants[0].lease().job_id(), "-f"}, {.transcript = &transcript});
  });
  EXPECT_TRUE(transcript.WaitFor("step 1/100  begun\n"));
  Report(grants[0], {pipe::Progress{.step = 100, .tokens = 1000}, pipe::Log{"info", "saved"}});
  EXPECT_TRUE(transcript.WaitFor("saved\n"));
  Finish(grants[0], v1::SUCCEEDED);
  EXPECT_THAT(logs.get().out, HasSubstr("step 100/100  saved\n"));
}

TEST_F(CliTest, FollowedLogsEndWithTheJob) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  Report(grants[0], {pipe::Log{"info", "only line"}});
  Finish(grants[0], v1::SUCCEEDED);
  const Result logs = Sinkctl({"logs", grants[0].lease().job_id(), "-f"});
  EXPECT_EQ(logs.code, kOk) << logs.err;
  EXPECT_THAT(logs.out, EndsWith("only line\n"));
}

TEST_F(CliTest, MetricsAreASummaryOrEveryPoint) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  Report(grants[0], {pipe::Metrics{10, {{"train_loss", 0.1}, {"hidden_norm_ratio/9", 1}, {"hidden_norm_ratio/10", 2}}},
                     pipe::Metrics{20, {{"train_loss", std::nan("")}}}});
  const std::string id = grants[0].lease().job_id();
  const std::string table = Sinkctl({"metrics", id}).out;
  EXPECT_THAT(table, HasSubstr("NaN"));
  EXPECT_THAT(table, HasSubstr("1 metric has points that are NaN; LEAST and MOST are of the others"));
  EXPECT_LT(table.find("hidden_norm_ratio/9 "), table.find("hidden_norm_ratio/10"));
  EXPECT_EQ(Sinkctl({"metrics", id, "--name", "train_loss", "--csv"}).out,
            "name,step,value,attempt\ntrain_loss,10,0.1,1\ntrain_loss,20,NaN,1\n");
  const Json json = Sinkctl({"metrics", id, "--name", "hidden*", "--json"}).json();
  EXPECT_EQ(json["points"].size(), 2u);
  EXPECT_EQ(Sinkctl({"metrics", id, "--from-step", "11", "--json"}).json()["points"].size(), 1u);
  ExpectError(Sinkctl({"metrics", id, "--csv", "--json"}), kUsage, "excludes");
}

TEST_F(CliTest, AMetricThatIsNeverANumberHasNoLeastAndNoMost) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  Report(grants[0], {pipe::Metrics{10, {{"train_loss", std::nan("")}, {"lr", 1}}},
                     pipe::Metrics{20, {{"train_loss", std::nan("")}, {"lr", -INFINITY}}}});
  const std::string id = grants[0].lease().job_id();
  EXPECT_THAT(Sinkctl({"metrics", id, "--name", "train_loss"}).out,
              AllOf(Not(HasSubstr("Infinity")), HasSubstr("1 metric has points that are NaN")));
  EXPECT_THAT(Sinkctl({"metrics", id, "--name", "lr"}).out, AllOf(HasSubstr("-Infinity"), Not(HasSubstr("NaN"))));
}

TEST_F(CliTest, CheckpointsComeBackWhole) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  const std::string id = grants[0].lease().job_id(), big(600'000, 'x');
  EXPECT_THAT(Sinkctl({"checkpoint", "list", id}).out, HasSubstr("no checkpoints yet"));
  ExpectError(Sinkctl({"checkpoint", "get", id, "--out", folder_ / "model"}), kNotFound, "checkpoint");
  SaveCheckpoint(grants[0], 50, {{"model.safetensors", big}, {"tokenizer.json", ""}});
  const Json list = Sinkctl({"checkpoint", "list", id, "--json"}).json();
  EXPECT_EQ(list["checkpoints"][0]["step"], 50);

  const Result got = Sinkctl({"checkpoint", "get", id, "--out", folder_ / "deep/model"}, {.terminal = true});
  EXPECT_EQ(got.code, kOk) << got.err;
  EXPECT_THAT(got.err, HasSubstr("\u2501"));  // the progress bar
  EXPECT_EQ(ReadFile(folder_ / "deep/model/model.safetensors"), big);
  const std::string manifest = ReadFile(folder_ / "deep/model/manifest.json");
  EXPECT_THAT(manifest, HasSubstr("\"step\": 50"));
  EXPECT_EQ(list["checkpoints"][0]["bytes"], big.size() + manifest.size());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "deep/model/tokenizer.json"));
  ExpectError(Sinkctl({"checkpoint", "get", id, "--out", folder_ / "deep/model"}), kBadFile, "exists already");
  ExpectError(Sinkctl({"checkpoint", "get", id, "--step", "49", "--out", folder_ / "other"}), kNotFound, "49");
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    EXPECT_THAT(entry.path().string(), Not(HasSubstr("partial")));
}

TEST_F(CliTest, CheckpointsAreVerifiedAndDropped) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  const v1::LeaseRef& lease = grants[0].lease();
  for (const int64_t step : {50, 60}) SaveCheckpoint(grants[0], step, {{"model.safetensors", "xyz"}});
  EXPECT_EQ(Sinkctl({"checkpoint", "verify", lease.job_id()}).code, kOk);
  std::ofstream(folder_ / "coordinator/checkpoints/" + lease.job_id() + "/" + std::to_string(lease.fence()) +
                "/step-60/model.safetensors")
      << "xyy";
  const Result verified = Sinkctl({"checkpoint", "verify", lease.job_id()});
  EXPECT_EQ(verified.code, kFailedWork);
  EXPECT_THAT(verified.out, HasSubstr("as committed"));
  EXPECT_THAT(Sinkctl({"checkpoint", "verify", lease.job_id(), "--json"}).out, HasSubstr("has not the hash"));
  EXPECT_THAT(verified.err, HasSubstr("1 of 2 checkpoints is damaged"));
  EXPECT_THAT(verified.out, HasSubstr("would find this out and go on"));
  EXPECT_THAT(verified.out, HasSubstr("checkpoint drop " + lease.job_id() + " --step 60 forgets it"));
  EXPECT_THAT(Sinkctl({"checkpoint", "list", lease.job_id()}).out, HasSubstr("damaged"));
  EXPECT_EQ(Sinkctl({"checkpoint", "drop", lease.job_id(), "--step", "60"}).code, kOk);
  EXPECT_EQ(Sinkctl({"checkpoint", "list", lease.job_id(), "--json"}).json()["checkpoints"].size(), 1u);
  ExpectError(Sinkctl({"checkpoint", "drop", lease.job_id(), "--step", "60"}), kNotFound, "it has those of 50");
  Finish(grants[0], v1::FAILED, "why");
  ExpectError(Sinkctl({"retry", lease.job_id(), "--from-step", "60"}), kNotFound, "it has those of 50");
  EXPECT_EQ(Sinkctl({"retry", lease.job_id(), "--from-step", "0"}).code, kOk);
  EXPECT_THAT(Sinkctl({"checkpoint", "list", lease.job_id()}).out, HasSubstr("no checkpoints yet"));
}

TEST_F(CliTest, ACheckpointIsPinnedAndUnpinned) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, kOk);
  StartWorker();
  const auto grants = TakeJobs();
  const std::string id = grants[0].lease().job_id();
  const auto save = [&](int64_t step) {
    SaveCheckpoint(grants[0], step, {{"manifest.json", "{}"}, {"model.safetensors", "xyz"}});
  };
  const auto list = [&] { return Sinkctl({"checkpoint", "list", id, "--json"}).json()["checkpoints"]; };
  save(20);
  EXPECT_TRUE(list()[0]["validation_loss"].is_null()) << "nothing was measured";
  EXPECT_EQ(list()[0]["best"], false);
  Report(grants[0], {pipe::Metrics{30, {{"validation_loss/all", 2.5}}}});
  for (const int64_t step : {50, 60}) save(step);

  EXPECT_THAT(Sinkctl({"checkpoint", "pin", id, "--step", "60"}).out, HasSubstr("checkpoint of step 60 pinned"));
  EXPECT_EQ(Sinkctl({"checkpoint", "pin", id.substr(0, 8), "--step", "60", "--json"}).json()["pinned"], 60) << "again";
  EXPECT_THAT(Sinkctl({"checkpoint", "list", id}).out, AllOf(HasSubstr("pinned"), HasSubstr("best")));
  EXPECT_THAT(Sinkctl({"job", id}).out, AllOf(HasSubstr("pinned"), HasSubstr("best")));
  EXPECT_EQ(list()[0]["pinned"], true);
  EXPECT_EQ(list()[0]["best"], false);
  EXPECT_EQ(list()[1]["pinned"], false);
  EXPECT_EQ(list()[1]["best"], true) << "of those of one loss the first";
  EXPECT_EQ(list()[1]["validation_loss"], 2.5);

  for (const int64_t step : {70, 80, 90}) save(step);
  EXPECT_EQ(list().size(), 3u) << "the newest two and the one that is pinned";
  ExpectError(Sinkctl({"checkpoint", "drop", id, "--step", "60"}), kRefused, "is pinned; unpin it first");
  ExpectError(Sinkctl({"checkpoint", "pin", id, "--step", "70"}), kNotFound, "it has those of 90, 80, 60");
  ExpectError(Sinkctl({"checkpoint", "pin", id}), kUsage, "--step is required");
  EXPECT_EQ(Sinkctl({"checkpoint", "unpin", id, "--step", "60", "--json"}).json()["unpinned"], 60);
  EXPECT_EQ(Sinkctl({"checkpoint", "drop", id, "--step", "60"}).code, kOk);
  const std::string audit = Sinkctl({"audit"}).out;
  EXPECT_THAT(audit, AllOf(HasSubstr("PinCheckpoint"), HasSubstr("UnpinCheckpoint")));
}

}  // namespace
}  // namespace sink::cli
