// Copies of data sets and models that workers have and do not use: plan, submit, why and workers name them, with what
// is to be done about each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(CliTest, PlanAndSubmitNameTheCopyOfAMissingSetThatIsNotWhole) {
  const std::string one = WriteSweep("one", {"1e-3"}), two = WriteSweep("two", {"4e-4"});
  StartWorker();
  v1::DataSets sets;
  for (const char* name : {"tiny", "not_needed"}) {
    auto* set = sets.add_incomplete();
    set->set_name(name);
    set->set_gap("cannot find x.bin");
  }
  ASSERT_TRUE(TakeJobs(&sets).empty());
  for (std::vector<std::string> command : std::vector<std::vector<std::string>>{
           {"plan", one}, {"plan", one, two}, {"plan", one, "--diff"}, {"submit", one, "--dry-run"}, {"submit", one}}) {
    command.insert(command.end(), {"--set", "data.set=tiny"});
    EXPECT_THAT(Sinkctl(command).out, AllOf(HasSubstr("no connected worker has 1 data set or file: tiny"),
                                            HasSubstr("data set tiny of worker-1 is not used: cannot find x.bin"),
                                            Not(HasSubstr("not_needed"))));
    command.push_back("--json");
    const Json incomplete = Sinkctl(command).json()["incomplete_sets"];
    ASSERT_EQ(incomplete.size(), 1u) << command[0];
    EXPECT_EQ(incomplete[0]["name"], "tiny");
    EXPECT_EQ(incomplete[0]["worker"], "worker-1");
    EXPECT_EQ(incomplete[0]["gap"], "cannot find x.bin");
  }
}

TEST_F(CliTest, PlanAndSubmitNameTheCopyOfAMissingModelThatIsNotWhole) {
  const std::string file = folder_ / "open.yaml", gap = "b/model.safetensors has 12 of 523 bytes";
  std::ofstream(file) << "schema: sink/v1\nname: open\nkind: evaluate\n"
                      << "experiments:\n  - name: models\n    grid: {evaluate.model: [a/b]}\n";
  StartWorker();
  v1::LeaseRequest has;
  has.mutable_sets()->mutable_files();
  for (const char* name : {"b", "not_needed"}) {  // a folder may have the name without the owner
    auto* model = has.add_incomplete_models();
    model->set_name(name);
    model->set_gap(gap);
  }
  ASSERT_TRUE(TakeJobs(has).empty());
  for (std::vector<std::string> command : std::vector<std::vector<std::string>>{
           {"plan", file}, {"plan", file, "--diff"}, {"submit", file, "--dry-run"}, {"submit", file}}) {
    EXPECT_THAT(
        Sinkctl(command).out,
        AllOf(HasSubstr("no connected worker has 1 model: a/b"), HasSubstr("model b of worker-1 is not used: " + gap),
              HasSubstr("wait until it is copied"),
              HasSubstr("no connected worker has 1 data set or file: texts.jsonl"), Not(HasSubstr("not_needed"))));
    command.push_back("--json");
    const Json incomplete = Sinkctl(command).json()["incomplete_models"];
    ASSERT_EQ(incomplete.size(), 1u) << command[0];
    EXPECT_EQ(incomplete[0]["name"], "b");
    EXPECT_EQ(incomplete[0]["worker"], "worker-1");
    EXPECT_EQ(incomplete[0]["gap"], gap);
  }
}

TEST_F(CliTest, PlanSubmitWhyAndWorkersSayOfASetThatIsBeingComparedThatItIsNotUsedYet) {
  const std::string file = WriteSweep("study", {"1e-3"});
  StartWorker();
  v1::DataSets sets;
  sets.add_incomplete()->set_name("tiny");
  sets.mutable_incomplete(0)->set_gap("its files are being compared");
  sets.mutable_incomplete(0)->set_use(v1::COPY_BEING_COMPARED);
  ASSERT_TRUE(TakeJobs(&sets).empty());
  for (const char* command : {"plan", "submit"}) {
    EXPECT_THAT(Sinkctl({command, file, "--set", "data.set=tiny"}).out,
                AllOf(HasSubstr("data set tiny of worker-1 is not used yet: its files are being compared"),
                      HasSubstr("wait for it"), Not(HasSubstr("is not used: ")), Not(HasSubstr("copy the set anew"))));
  }
  EXPECT_THAT(Sinkctl({"why", JobId("study", 0)}).out, HasSubstr("the copy of worker-1 is not used yet: its files"));
  EXPECT_THAT(Sinkctl({"workers"}).out, HasSubstr("data set tiny of worker-1 is not used yet: its files"));
}

TEST_F(CliTest, OfACopyWhoseUseIsUnknownNoMoreIsSaidThanItsWorkerSays) {
  const std::string file = WriteSweep("study", {"1e-3"});
  StartWorker();
  v1::DataSets sets;
  sets.add_incomplete()->set_name("tiny");
  sets.mutable_incomplete(0)->set_gap("its files are being compared");
  for (const int use : {0, 7}) {  // of a worker that is older, and of one that is newer
    sets.mutable_incomplete(0)->set_use(static_cast<v1::CopyUse>(use));
    ASSERT_TRUE(TakeJobs(&sets).empty());
    const std::string said = "data set tiny of worker-1 is not used: its files are being compared";
    EXPECT_THAT(Sinkctl({"plan", file, "--set", "data.set=tiny"}).out, HasSubstr(said)) << use;
    EXPECT_THAT(Sinkctl({"workers"}).out, HasSubstr(said)) << use;
  }
}

TEST_F(CliTest, AModelWithoutATokenizerIsNamedWhereTextsAreRead) {
  const std::string file = folder_ / "open.yaml";
  std::ofstream(file) << "schema: sink/v1\nname: open\nkind: evaluate\n"
                      << "experiments:\n  - name: models\n    grid: {evaluate.model: [a/b]}\n";
  StartWorker();
  v1::LeaseRequest has;
  has.mutable_sets()->mutable_files()->add_names("texts.jsonl");
  v1::IncompleteCopy& model = *has.add_incomplete_models();
  model.set_name("a/b");
  model.set_gap("a/b has no tokenizer.json");
  model.set_use(v1::COPY_WITHOUT_TOKENIZER);
  ASSERT_TRUE(TakeJobs(has).empty());
  const std::string said = "model a/b of worker-1 has no whole tokenizer: a/b has no tokenizer.json";
  EXPECT_THAT(Sinkctl({"plan", file}).out, AllOf(HasSubstr(said), HasSubstr("put the model's own tokenizer files")));
  EXPECT_THAT(Sinkctl({"plan", file, "--set", "evaluate.inputs=random"}).out, Not(HasSubstr("a/b of worker-1")));
  EXPECT_THAT(Sinkctl({"workers"}).out,
              AllOf(HasSubstr(said), HasSubstr("worker-1 takes no jobs that read texts for it meanwhile")));
  EXPECT_EQ(Sinkctl({"workers", "--json"}).json()["workers"][0]["incomplete_models"][0]["use"], "without_tokenizer");
  EXPECT_EQ(Sinkctl({"plan", file, "--json"}).json()["incomplete_models"][0]["use"], "without_tokenizer");
  EXPECT_THAT(Sinkctl({"doctor"}).out, HasSubstr("takes no jobs that read texts for model a/b"));
  model.set_use(static_cast<v1::CopyUse>(7));
  ASSERT_TRUE(TakeJobs(has).empty());
  EXPECT_EQ(Sinkctl({"workers", "--json"}).json()["workers"][0]["incomplete_models"][0]["use"], "no_job")
      << "what a newer worker says";
}

}  // namespace
}  // namespace sink::cli
