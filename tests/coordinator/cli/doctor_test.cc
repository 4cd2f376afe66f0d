// sinkctl doctor against a real coordinator, as its admin, as a stranger, and where nobody answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "coordinator/cli/base/exit_codes.h"
#include "coordinator/cli/base/interrupt.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The finding about that subject; null when there is none.
Json About(const Result& result, const std::string& subject) {
  const Json document = result.json();
  for (const Json& finding : document.value("findings", Json::array()))
    if (finding["subject"] == subject) return finding;
  return nullptr;
}

TEST_F(CliTest, DoctorLooksAtCertificatesPortsAndTheFleet) {
  const Result result = Sinkctl({"doctor", "--json", "--coordinator-data", folder_ / "coordinator"});
  EXPECT_EQ(result.code, kFailedWork) << result.out;  // there is no worker
  for (const char* subject : {"this user's certificate", "coordinator's certificate", "admin's certificate",
                              "coordinator's ports", "database", "coordinator"}) {
    ASSERT_FALSE(About(result, subject).is_null()) << subject << "\n" << result.out;
    EXPECT_EQ(About(result, subject)["level"], "good") << result.out;
  }
  const Json document = result.json();
  for (const Json& finding : document["findings"])
    EXPECT_THAT(finding["what"].get<std::string>(), Not(HasSubstr("version"))) << "both are of this build";
  const Json workers = About(result, "workers");
  ASSERT_FALSE(workers.is_null()) << result.out;
  EXPECT_EQ(workers["level"], "fault");
  EXPECT_THAT(workers["fix"].get<std::string>(), HasSubstr("sink-worker --coordinator " + server_->address()));
}

TEST_F(CliTest, WhyWorkersAndDoctorNameACopyThatIsNotWhole) {
  const std::string gap = "cannot find tiny/x.bin";
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"}), "--set", "data.set=tiny"}).code, kOk);
  StartWorker();
  v1::DataSets sets;
  sets.add_incomplete()->set_name("tiny");
  sets.mutable_incomplete(0)->set_gap(gap);
  EXPECT_THAT(TakeJobs(&sets), IsEmpty());
  EXPECT_THAT(Sinkctl({"why", JobId("study", 0)}).out,
              HasSubstr("no connected worker has its data set tiny (the copy of worker-1 is not used: " + gap + ")"));
  EXPECT_THAT(Sinkctl({"workers"}).out, HasSubstr("data set tiny of worker-1 is not used: " + gap));
  EXPECT_EQ(Sinkctl({"workers", "--json"}).json()["workers"][0]["incomplete_sets"][0]["gap"], gap);
  EXPECT_THAT(Sinkctl({"doctor"}).out, AllOf(HasSubstr(gap), Not(HasSubstr("has no packed data set"))));
  sets.clear_incomplete();
  sets.add_sets()->set_name("tiny");
  EXPECT_EQ(TakeJobs(&sets).size(), 1u);
}

TEST_F(CliTest, WorkersSaysNothingOfTheCopiesOfAWorkerThatWasStopped) {
  StartWorker();
  v1::LeaseRequest has;
  has.mutable_sets()->add_incomplete()->set_name("tiny");
  has.add_incomplete_models()->set_name("a/b");
  EXPECT_THAT(TakeJobs(has), IsEmpty());
  EXPECT_THAT(Sinkctl({"workers"}).out, AllOf(HasSubstr("data set tiny of"), HasSubstr("model a/b of")));
  StopWorker();
  EXPECT_THAT(Sinkctl({"workers"}).out, AllOf(HasSubstr("stopped"), Not(HasSubstr("is not used"))));
}

TEST_F(CliTest, WhyWorkersDoctorAndPlanNameAModelThatIsNotWholeAndTextsThatNobodyHas) {
  const std::string file = folder_ / "open.yaml", gap = "a/b/model.safetensors has 12 of 523 bytes";
  std::ofstream(file) << "schema: sink/v1\nname: open\nkind: evaluate\n"
                      << "experiments:\n  - name: models\n    grid: {evaluate.model: [a/b]}\n";
  ASSERT_EQ(Sinkctl({"submit", file}).code, kOk);
  StartWorker();
  v1::LeaseRequest has;
  has.mutable_sets()->mutable_files();
  v1::IncompleteCopy& model = *has.add_incomplete_models();
  model.set_name("a/b");
  model.set_gap(gap);
  EXPECT_THAT(TakeJobs(has), IsEmpty());
  EXPECT_THAT(Sinkctl({"why", JobId("open", 0)}).out,
              HasSubstr("no connected worker has its model a/b (the copy of worker-1 is not used: " + gap + ")"));
  EXPECT_THAT(Sinkctl({"workers"}).out, HasSubstr("model a/b of worker-1 is not used: " + gap));
  EXPECT_EQ(Sinkctl({"workers", "--json"}).json()["workers"][0]["incomplete_models"][0]["gap"], gap);
  EXPECT_THAT(Sinkctl({"doctor"}).out, HasSubstr(gap));
  const Json plan = Sinkctl({"plan", file, "--json"}).json();
  EXPECT_EQ(plan["missing_models"], Json::array({"a/b"}));
  EXPECT_EQ(plan["missing_sets"], Json::array({"texts.jsonl"}));
  const Json random = Sinkctl({"plan", file, "--set", "evaluate.inputs=random", "--json"}).json();
  EXPECT_EQ(random["missing_sets"], Json::array()) << "it reads no texts";
  has.clear_incomplete_models();
  has.add_models("a/b");
  EXPECT_THAT(TakeJobs(has), IsEmpty()) << "it has no texts";
  EXPECT_THAT(Sinkctl({"why", JobId("open", 0)}).out, HasSubstr("no connected worker has its file texts.jsonl"));
  has.mutable_sets()->mutable_files()->add_names("texts.jsonl");
  EXPECT_EQ(TakeJobs(has).size(), 1u);
}

TEST_F(CliTest, DoctorTellsAStrangerHowToLogIn) {
  const Result result = RunSinkctl(
      {"doctor", "--json"}, {.environment = {{"HOME", folder_ / "home"}, {"SINK_COORDINATOR", server_->address()}}});
  EXPECT_EQ(result.code, kFailedWork);
  ASSERT_FALSE(About(result, "coordinator").is_null()) << result.out;
  EXPECT_EQ(About(result, "this user's certificate")["level"], "hint") << result.out;
  EXPECT_THAT(About(result, "coordinator")["what"].get<std::string>(), HasSubstr("but the call failed"));
  EXPECT_THAT(About(result, "coordinator")["fix"].get<std::string>(), HasSubstr("sinkctl login FILE"));
}

TEST_F(CliTest, DoctorSaysThatNobodyAnswersAndWhatAWorkersFolderLacks) {
  const Result result = RunSinkctl({"doctor", "--json", "--coordinator", "127.0.0.1:1", "--worker", folder_ / "worker"},
                                   {.environment = {{"HOME", folder_ / "home"}}});
  EXPECT_EQ(result.code, kFailedWork);
  ASSERT_FALSE(About(result, "coordinator").is_null()) << result.out;
  EXPECT_EQ(About(result, "coordinator")["what"], "nobody answers at 127.0.0.1:1");
  EXPECT_EQ(About(result, "worker's certificate")["level"], "hint") << result.out;
  EXPECT_THAT(About(result, "worker's certificate")["fix"].get<std::string>(), HasSubstr("--join FILE"));
}

TEST_F(CliTest, DoctorThatIsInterruptedPrintsWhatItHasFoundAndWhatItHasNotCompared) {
  const std::filesystem::path sets = folder_ / "sets";
  for (const char* name : {"half", "whole"}) {
    std::filesystem::create_directories(sets / name);
    std::ofstream(sets / name / "set.json") << "{}";
    std::ofstream(sets / name / run::kSetHashesFile) << run::PrintSetHashes({{"x.bin", files::Hash("packed")}});
  }
  std::ofstream(sets / "whole" / "x.bin") << "packed";
  Interrupt interrupt;
  interrupt.Trigger();  // is noticed with the first piece that is read
  const Result result = Sinkctl({"doctor", "--json", "--worker", folder_ / "worker", "--data-root", sets, "--bytes"},
                                {.interrupt = &interrupt});
  EXPECT_EQ(result.code, kInterrupted);
  EXPECT_THAT(result.out, HasSubstr("half/x.bin: No such file"));
  EXPECT_THAT(result.out, HasSubstr((sets / "whole").string() + " was not compared to its end"));
  EXPECT_THAT(result.out, Not(HasSubstr("compared byte by byte")));
  EXPECT_TRUE(About(result, "coordinator").is_null()) << "it was not asked\n" << result.out;
  const int faults = result.json().value("faults", 0);
  EXPECT_GE(faults, 1) << result.out;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("interrupted; " + std::to_string(faults) + " fault"), HasSubstr("found until then")));
}

}  // namespace
}  // namespace sink::cli
