// Jobs that measure an open model, or train on a packed set, go to workers that have it, and wait where nobody has.
#include "tests/coordinator/core/fixture.h"

namespace sink {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ModelsTest : public ManagerTest {
 protected:
  SubmitRequest Measuring(const std::vector<std::string>& models) {
    std::vector<int> ids;
    for (size_t i = 0; i < models.size(); ++i) ids.push_back(static_cast<int>(i) + 1);
    SubmitRequest request = Sweep(ids);
    for (size_t i = 0; i < models.size(); ++i) request.jobs[i].model = models[i];
    return request;
  }
  SubmitRequest Training(const std::vector<std::string>& sets) {
    std::vector<int> ids;
    for (size_t i = 0; i < sets.size(); ++i) ids.push_back(static_cast<int>(i) + 1);
    SubmitRequest request = Sweep(ids);
    for (size_t i = 0; i < sets.size(); ++i) request.jobs[i].data_set = sets[i];
    return request;
  }
  std::vector<Grant> Grants(const std::string& worker, const Holdings& holdings, int devices_free = 1) {
    const auto grants = manager->dispatcher().AcquireLeases({.worker_id = worker,
                                                             .session = "a",
                                                             .poll = ++polls_,
                                                             .devices_free = devices_free,
                                                             .models = holdings.models,
                                                             .sets = holdings.sets,
                                                             .incomplete_sets = holdings.incomplete_sets,
                                                             .files = holdings.files,
                                                             .incomplete_models = holdings.incomplete_models},
                                                            now);
    EXPECT_TRUE(grants.ok()) << grants.status();
    return grants.ok() ? *grants : std::vector<Grant>();
  }
  // A worker's question; the ids of the jobs that it gets.
  std::vector<std::string> AskWith(const std::string& worker, const Holdings& holdings, int devices_free = 1) {
    std::vector<std::string> ids;
    for (const Grant& grant : Grants(worker, holdings, devices_free)) ids.push_back(grant.lease.job_id);
    return ids;
  }
  std::vector<std::string> Ask(const std::string& worker, const std::vector<std::string>& models, int devices_free) {
    return AskWith(worker, Holdings{models, std::nullopt}, devices_free);
  }
  static Holdings Sets(std::vector<DataSet> sets) { return {{}, std::move(sets)}; }
  SubmitResult DryRun(SubmitRequest request) {
    request.dry_run = true;
    const auto result = manager->clients().Submit(request, now);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : SubmitResult();
  }
  std::vector<std::string> Missing(const std::vector<std::string>& models) {
    SubmitRequest request = Measuring(models);
    request.dry_run = true;
    const auto result = manager->clients().Submit(request, now);
    EXPECT_TRUE(result.ok()) << result.status();
    return result->missing_models;
  }
  std::string Why(int n, size_t reason = 0) {
    const auto explanation = manager->queries().Explain(Id(n), now);
    EXPECT_TRUE(explanation.ok()) << explanation.status();
    return explanation->reasons.size() <= reason ? "" : explanation->reasons[reason];
  }

 private:
  uint64_t polls_ = 0;
};

TEST_F(ModelsTest, AJobWaitsForTheWorkerThatHasItsModelAndLaterJobsPassIt) {
  Register("a");
  Register("b");
  ASSERT_THAT(Ask("a", {"gpt2", "x/opt"}, 1), IsEmpty());
  ASSERT_THAT(Ask("b", {"y/llama"}, 1), IsEmpty());
  ASSERT_TRUE(manager->clients().Submit(Measuring({"y/llama", "y/llama", "openai/gpt2", "x/opt"}), now).ok());
  EXPECT_THAT(Ask("a", {"gpt2", "x/opt"}, 1), ElementsAre(Id(3))) << "an entry without an owner is of every owner";
  EXPECT_THAT(Ask("b", {"y/llama"}, 1), ElementsAre(Id(1)));
  EXPECT_THAT(Ask("a", {"gpt2", "x/opt"}, 8), ElementsAre(Id(4))) << "and not the second of y/llama";
  EXPECT_EQ(Why(2), "of the connected workers, only b can have its model y/llama");
}

TEST_F(ModelsTest, AModelThatNobodyHasIsToldAtOnceAndItsJobWaitsForIt) {
  Register("a");
  EXPECT_THAT(Missing({"y/llama"}), IsEmpty()) << "the worker has not yet said what it has";
  ASSERT_THAT(Ask("a", {"x/opt"}, 1), IsEmpty());
  EXPECT_THAT(Missing({"y/llama", "", "x/opt", "y/llama"}), ElementsAre("y/llama"));
  ASSERT_TRUE(manager->clients().Submit(Measuring({"y/llama"}), now).ok());
  EXPECT_THAT(Why(1), HasSubstr("no connected worker has its model y/llama"));
  EXPECT_THAT(Ask("a", {"x/opt"}, 1), IsEmpty());
  EXPECT_THAT(Missing({"y/llama"}), ElementsAre("y/llama")) << "as long as it has not ended";
  EXPECT_THAT(Ask("a", {"x/opt", "y/llama"}, 1), ElementsAre(Id(1)));
  EXPECT_THAT(Missing({"y/llama"}), IsEmpty());
  Advance(60'000);
  EXPECT_THAT(Missing({"z/other"}), IsEmpty()) << "no worker is connected any more";
}

TEST_F(ModelsTest, WhatAWorkerThatLeftHadIsNotThere) {
  Register("a");
  Register("b");
  ASSERT_THAT(Ask("a", {"x/opt"}, 1), IsEmpty());
  ASSERT_THAT(Ask("b", {"y/llama"}, 1), IsEmpty());
  ASSERT_THAT(Missing({"y/llama"}), IsEmpty());
  ASSERT_TRUE(manager->clients().Submit(Measuring({"y/llama"}), now).ok());
  ASSERT_TRUE(manager->workers().Heartbeat({.worker_id = "b", .session = "a", .leaving = true}, now).ok());
  EXPECT_THAT(Missing({"y/llama"}), ElementsAre("y/llama"));
  EXPECT_EQ(Why(1),
            "no connected worker has its model y/llama (b has it but was stopped): it waits until one has it under its "
            "--models");
  EXPECT_THAT(Ask("b", {"y/llama"}, 1), IsEmpty()) << "a question that the goodbye has overtaken";
  Register("b");
  EXPECT_THAT(Ask("b", {"y/llama"}, 1), ElementsAre(Id(1))) << "it is back";
}

TEST_F(ModelsTest, AfterARestartAWorkerThatHasNotAskedMayHaveAnything) {
  Register("a");
  Register("b");
  ASSERT_THAT(Ask("b", {"y/llama"}, 1), IsEmpty());
  ASSERT_TRUE(manager->clients().Submit(Measuring({"y/llama"}), now).ok());
  Restart();
  ASSERT_TRUE(Heartbeat({}, JobState::kRunning, "b").ok());
  EXPECT_THAT(Ask("a", {}, 1), IsEmpty());
  EXPECT_THAT(Ask("b", {"y/llama"}, 1), ElementsAre(Id(1)));
}

TEST_F(ModelsTest, WhatAWorkerLoadedMeanwhileCounts) {
  Register("a");
  Register("b");
  ASSERT_THAT(Ask("a", {}, 0), IsEmpty());
  ASSERT_THAT(Ask("b", {}, 0), IsEmpty());
  ASSERT_TRUE(manager->clients().Submit(Measuring({"y/llama"}), now).ok());
  ASSERT_THAT(Ask("b", {"y/llama"}, 0), IsEmpty());
  EXPECT_THAT(Ask("a", {}, 1), IsEmpty());
  EXPECT_THAT(Ask("b", {"y/llama"}, 1), ElementsAre(Id(1)));
}

TEST_F(ModelsTest, AModelThatIsNotWholeIsNoneAndIsNamed) {
  Register("a");
  ASSERT_TRUE(manager->clients().Submit(Measuring({"openai/gpt2"}), now).ok());
  Holdings half;
  for (const char* name : {"openai/gpt2", "gpt2", "other/gpt2", "y/llama"})
    half.incomplete_models.push_back({name, std::string(name) + " lacks x"});
  EXPECT_THAT(AskWith("a", half), IsEmpty());
  EXPECT_EQ(Why(1),
            "no connected worker has its model openai/gpt2 (the copy of a is not used: openai/gpt2 lacks x, "
            "the copy of a is not used: gpt2 lacks x): it waits until one has it under its --models");
  EXPECT_THAT(Missing({"openai/gpt2"}), ElementsAre("openai/gpt2"));
  EXPECT_EQ(manager->queries().ListWorkers(now).value()[0].incomplete_models, half.incomplete_models);
  EXPECT_THAT(Ask("a", {"gpt2"}, 1), ElementsAre(Id(1)));
  EXPECT_THAT(manager->queries().ListWorkers(now).value()[0].incomplete_models, IsEmpty());
}

class TextsTest : public ModelsTest {
 protected:
  // Jobs that measure these models on texts.jsonl.
  SubmitRequest Reading(const std::vector<std::string>& models) {
    SubmitRequest request = Measuring(models);
    for (SubmitJob& job : request.jobs) job.data_set = "texts.jsonl";
    return request;
  }
  static Holdings Having(std::vector<std::string> models, std::vector<std::string> files) {
    return {.models = std::move(models), .sets = std::vector<DataSet>(), .files = std::move(files)};
  }
};

TEST_F(TextsTest, AModelWithoutATokenizerIsForJobsThatReadNoTexts) {
  Register("a");
  Holdings has = Having({}, {"texts.jsonl"});
  has.incomplete_models = {{"x/opt", "x/opt has no tokenizer.json", CopyUse::kWithoutTokenizer}};
  ASSERT_THAT(AskWith("a", has), IsEmpty());
  EXPECT_THAT(DryRun(Reading({"x/opt"})).missing_models, ElementsAre("x/opt"));
  EXPECT_THAT(DryRun(Measuring({"x/opt"})).missing_models, IsEmpty());
  SubmitRequest both = Reading({"x/opt", "x/opt"});
  both.jobs[1].data_set.clear();
  EXPECT_THAT(DryRun(both).missing_models, ElementsAre("x/opt"));
  ASSERT_TRUE(manager->clients().Submit(both, now).ok());
  EXPECT_THAT(AskWith("a", has, 2), ElementsAre(Id(2)));
  EXPECT_EQ(Why(1),
            "no connected worker has its model x/opt (the copy of a has no whole tokenizer: x/opt has no "
            "tokenizer.json): it waits until one has it under its --models");
  has.incomplete_models[0].use = CopyUse::kNoJob;
  EXPECT_THAT(AskWith("a", has), IsEmpty());
  EXPECT_THAT(DryRun(Measuring({"x/opt"})).missing_models, ElementsAre("x/opt"));
}

TEST_F(TextsTest, AFileOfTextsThatNobodyHasIsToldAtOnceAndItsJobWaitsForIt) {
  Register("a");
  ASSERT_THAT(AskWith("a", Having({"x/opt"}, {"other.jsonl"})), IsEmpty());
  const auto submitted = manager->clients().Submit(Reading({"x/opt"}), now);
  ASSERT_TRUE(submitted.ok());
  EXPECT_THAT(submitted->missing_models, IsEmpty());
  EXPECT_THAT(submitted->missing_sets, ElementsAre("texts.jsonl"));
  EXPECT_THAT(AskWith("a", Having({"x/opt"}, {"other.jsonl"})), IsEmpty());
  EXPECT_EQ(State(), JobState::kQueued);
  EXPECT_EQ(Why(1), "no connected worker has its file texts.jsonl: it waits until one has it under its --data-root");
  EXPECT_THAT(AskWith("a", Having({"x/opt"}, {"texts.jsonl"})), ElementsAre(Id(1)));
}

TEST_F(TextsTest, OneWorkerMustHaveModelAndTexts) {
  Register("a");
  Register("b");
  ASSERT_THAT(AskWith("b", Having({}, {"texts.jsonl"}), 8), IsEmpty());
  ASSERT_TRUE(manager->clients().Submit(Reading({"x/opt"}), now).ok());
  EXPECT_THAT(AskWith("a", Having({"x/opt"}, {})), IsEmpty());
  EXPECT_EQ(Why(1),
            "no connected worker has its model x/opt and its file texts.jsonl: it waits until one has it under its "
            "--models and its --data-root");
  EXPECT_THAT(AskWith("b", Having({"opt"}, {"texts.jsonl"})), ElementsAre(Id(1)));
}

TEST_F(TextsTest, AWorkerThatDoesNotSpeakOfItsFilesMayHaveAny) {
  Register("old");
  ASSERT_TRUE(manager->clients().Submit(Reading({"x/opt"}), now).ok());
  EXPECT_THAT(AskWith("old", Holdings{{"x/opt"}, std::vector<DataSet>()}), ElementsAre(Id(1)));
}

TEST_F(TextsTest, APackedSetOfThatNameIsNoFile) {
  Register("a");
  ASSERT_TRUE(manager->clients().Submit(Reading({"x/opt"}), now).ok());
  Holdings set = Having({"x/opt"}, {});
  set.sets->push_back({"texts.jsonl", "1"});
  EXPECT_THAT(AskWith("a", set), IsEmpty());
}

TEST_F(TextsTest, AWorkerThatHasLostTheTextsOfItsJobsIsNotToBlame) {
  Register("a");
  SubmitRequest request = Reading({"x/opt", "x/opt", "x/opt", "x/opt"});
  request.jobs[3].data_set.clear();
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  for (int n = 1; n <= 3; ++n) {
    const std::vector<Grant> grants = Grants("a", Having({"x/opt"}, {"texts.jsonl"}));
    ASSERT_EQ(grants.size(), 1u) << n;
    ASSERT_THAT(AskWith("a", Having({"x/opt"}, {}), 0), IsEmpty());
    ASSERT_EQ(Finish(grants[0].lease, JobState::kFailed, FailureClass::kInfra, 0, "a").value(), JobState::kQueued);
  }
  EXPECT_THAT(AskWith("a", Having({"x/opt"}, {})), ElementsAre(Id(4))) << "it goes on with what it has";
  Pass(2'000);
  EXPECT_THAT(Why(1), HasSubstr("no connected worker has its file texts.jsonl"));
}

class SetsTest : public ModelsTest {
 protected:
  // It is there, with so many devices, and asks nothing.
  absl::StatusOr<HeartbeatResult> Beat(const std::string& worker, int devices_free) {
    return manager->workers().Heartbeat({worker, "a", {}, devices_free}, now);
  }
};

TEST_F(SetsTest, AJobWaitsForTheWorkerThatHasItsSetAndLaterJobsPassIt) {
  Register("a");
  Register("b");
  ASSERT_THAT(AskWith("a", Sets({{"bible", "1"}})), IsEmpty());
  ASSERT_THAT(AskWith("b", Sets({{"regmix", "2"}, {"bible", "1"}})), IsEmpty());
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix", "regmix", "bible"}), now).ok());
  EXPECT_THAT(AskWith("a", Sets({{"bible", "1"}}), 8), ElementsAre(Id(3)));
  EXPECT_THAT(AskWith("b", Sets({{"regmix", "2"}, {"bible", "1"}})), ElementsAre(Id(1)));
  EXPECT_EQ(Why(2), "of the connected workers, only b can have its data set regmix");
}

TEST_F(SetsTest, AWorkerThatDoesNotSpeakOfItsSetsMayHaveAny) {
  Register("old");
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix"}), now).ok());
  EXPECT_THAT(DryRun(Training({"regmix"})).missing_sets, IsEmpty());
  EXPECT_THAT(AskWith("old", Holdings{}), ElementsAre(Id(1)));
}

TEST_F(SetsTest, ASetThatNobodyHasIsToldAtOnceAndItsJobWaitsForIt) {
  Register("a");
  ASSERT_THAT(AskWith("a", Sets({{"bible", "1"}})), IsEmpty());
  EXPECT_THAT(DryRun(Training({"regmix", "bible", "regmix"})).missing_sets, ElementsAre("regmix"));
  const auto submitted = manager->clients().Submit(Training({"regmix"}), now);
  ASSERT_TRUE(submitted.ok());
  EXPECT_THAT(submitted->missing_sets, ElementsAre("regmix"));
  EXPECT_EQ(Why(1), "no connected worker has its data set regmix: it waits until one has it under its --data-root");
  EXPECT_THAT(AskWith("a", Sets({{"bible", "1"}})), IsEmpty());
  EXPECT_EQ(State(), JobState::kQueued);
  EXPECT_THAT(AskWith("a", Sets({{"bible", "1"}, {"regmix", "2"}})), ElementsAre(Id(1)));
}

TEST_F(SetsTest, JobsWhoseWorkerHasGoneWaitForItAndLaterOnesPassThem) {
  Register("good");
  Register("a");
  const Holdings regmix = Sets({{"regmix", "1"}}), bible = Sets({{"bible", "1"}});
  ASSERT_THAT(AskWith("good", regmix), IsEmpty());
  ASSERT_THAT(AskWith("a", bible), IsEmpty());
  Advance(60'000);  // good is silent
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix", "regmix", "bible"}), now).ok());
  EXPECT_THAT(AskWith("a", bible, 8), ElementsAre(Id(3)));
  EXPECT_THAT(Why(1), HasSubstr("no connected worker has its data set regmix (good has it but is not connected)"));
  EXPECT_THAT(AskWith("good", regmix, 8), ElementsAre(Id(1), Id(2)));
}

TEST_F(SetsTest, JobsThatWaitForTheirSetAreNotCountedAmongThoseThatGoBefore) {
  Register("a");
  ASSERT_THAT(AskWith("a", Sets({{"bible", "1"}}), 0), IsEmpty());
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix", "regmix", "bible", "bible"}), now).ok());
  const auto why = [this](int n) { return manager->queries().Explain(Id(n), now)->reasons; };
  EXPECT_THAT(why(3), Not(Contains(HasSubstr("before it"))));
  EXPECT_THAT(why(4), Contains("1 queued job goes before it"));
  Register("b");
  ASSERT_THAT(AskWith("b", Sets({{"regmix", "1"}}), 0), IsEmpty());
  EXPECT_THAT(why(3), Contains("2 queued jobs go before it")) << "now b can start them";
  EXPECT_THAT(why(4), Contains("3 queued jobs go before it"));
}

TEST_F(SetsTest, ACopyThatIsNotWholeIsNoneAndIsNamed) {
  Register("a");
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix"}), now).ok());
  Holdings half = Sets({{"bible", "1"}});
  half.incomplete_sets.push_back({"regmix", "cannot find regmix/x.bin"});
  EXPECT_THAT(AskWith("a", half), IsEmpty());
  EXPECT_EQ(Why(1),
            "no connected worker has its data set regmix (the copy of a is not used: cannot find regmix/x.bin): "
            "it waits until one has it under its --data-root");
  const std::vector<Worker> workers = manager->queries().ListWorkers(now).value();
  EXPECT_THAT(workers[0].incomplete_sets, ElementsAre(IncompleteCopy{"regmix", "cannot find regmix/x.bin"}));
  EXPECT_THAT(AskWith("a", Sets({{"regmix", "1"}})), ElementsAre(Id(1)));
  EXPECT_THAT(manager->queries().ListWorkers(now).value()[0].incomplete_sets, IsEmpty());
}

TEST_F(SetsTest, AWorkerThatIsHeldDoesNotCountButIsNamed) {
  Register("good");
  Register("a");
  ASSERT_THAT(AskWith("good", Sets({{"regmix", "1"}})), IsEmpty());
  ASSERT_TRUE(manager->clients().HoldWorkers({"good"}, WorkerHold::kCordoned, "").ok());
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix"}), now).ok());
  EXPECT_THAT(AskWith("a", Sets({})), IsEmpty());
  EXPECT_EQ(Why(1, 0), "worker good is cordoned; sinkctl uncordon good lets it go on");
  EXPECT_THAT(Why(1, 1), HasSubstr("no other connected worker has its data set regmix"));
}

TEST_F(SetsTest, WhereEveryWorkerIsHeldWhyTellsWhatNobodyHasAndWhoseReturnWouldHelp) {
  Register("a");
  Register("b");
  ASSERT_THAT(AskWith("a", Sets({{"bible", "1"}}), 0), IsEmpty());
  ASSERT_THAT(AskWith("b", Sets({{"poems", "1"}}), 0), IsEmpty());
  ASSERT_TRUE(manager->clients().HoldWorkers({"a", "b"}, WorkerHold::kCordoned, "").ok());
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix", "regmix", "bible", "bible"}), now).ok());
  const auto why = [this](int n) { return manager->queries().Explain(Id(n), now)->reasons; };
  EXPECT_THAT(
      why(1),
      ElementsAre("worker a is cordoned; it has no data set regmix, without which sinkctl uncordon a would not "
                  "help this job",
                  "worker b is cordoned; it has no data set regmix, without which sinkctl uncordon b would not "
                  "help this job",
                  "no connected worker has its data set regmix: it waits until one has it under its --data-root",
                  "no worker that may take jobs is connected (2 are held)"));
  const std::string a_helps = "worker a is cordoned; sinkctl uncordon a lets it go on";
  const std::string none_takes_jobs = "no worker that may take jobs is connected (2 are held)";
  EXPECT_THAT(why(3),
              ElementsAre(a_helps, HasSubstr("worker b is cordoned; it has no data set bible"), none_takes_jobs))
      << "nor do those that nobody can start go before it";
  EXPECT_THAT(why(4), Contains("1 queued job goes before it"));
}

TEST_F(SetsTest, WhyNamesAHeldWorkerThatLacksTheSetThoughAnotherHasIt) {
  for (const char* name : {"a", "b", "c"}) Register(name);
  ASSERT_THAT(AskWith("a", Sets({{"regmix", "1"}}), 0), IsEmpty());
  ASSERT_THAT(AskWith("b", Sets({}), 0), IsEmpty());
  ASSERT_THAT(AskWith("c", Sets({}), 0), IsEmpty());
  ASSERT_TRUE(manager->clients().HoldWorkers({"c"}, WorkerHold::kDraining, "new disk").ok());
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix"}), now).ok());
  EXPECT_EQ(
      Why(1, 0),
      "worker c is draining: new disk; it has no data set regmix, without which sinkctl uncordon c would not help "
      "this job");
  EXPECT_EQ(Why(1, 1), "of the connected workers that take jobs, only a can have its data set regmix");
}

TEST_F(SetsTest, OnlyAJobWhoseSetSomebodyHasIsReady) {
  Register("a");
  Register("b");
  const auto nothing_ready = [&](const std::string& worker, uint64_t poll, const Holdings& holdings) {
    bool nothing = false;
    const auto grants = manager->dispatcher().AcquireLeases(
        {.worker_id = worker, .session = "a", .poll = poll, .devices_free = 1, .models = {}, .sets = holdings.sets},
        now, &nothing);
    EXPECT_TRUE(grants.ok() && grants->empty());
    return nothing;
  };
  EXPECT_TRUE(nothing_ready("b", 1, Sets({{"bible", "1"}})));
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix"}), now).ok());
  EXPECT_TRUE(nothing_ready("a", 1, Sets({}))) << "the others need not be asked";
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix", "bible"}), now).ok());
  EXPECT_FALSE(nothing_ready("a", 2, Sets({}))) << "b has it";
}

TEST_F(SetsTest, ThePlacesOfAGangWaitForASecondWorkerWithTheSet) {
  Register("a");
  Register("b");
  const Holdings regmix = Sets({{"regmix", "1"}});
  ASSERT_THAT(AskWith("b", Sets({}), 8), IsEmpty());
  SubmitRequest request = Training({"regmix", "bible"});
  request.devices = 16;
  request.per_worker = 8;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  EXPECT_THAT(AskWith("a", regmix, 8), IsEmpty());
  EXPECT_THAT(AskWith("b", regmix, 8), ElementsAre(Id(1))) << "with a, which waits";
}

TEST_F(SetsTest, AGangHasNoPlaceForAWorkerThatHasNotSaidWhatItHas) {
  const Holdings regmix = Sets({{"regmix", "1"}});
  Register("a");
  SubmitRequest request = Training({"regmix"});
  request.devices = 16;
  request.per_worker = 8;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  EXPECT_THAT(AskWith("a", regmix, 8), IsEmpty());
  Register("b");
  ASSERT_TRUE(Beat("b", 8).ok());
  EXPECT_THAT(AskWith("a", regmix, 8), IsEmpty()) << "b may have nothing";
  EXPECT_THAT(AskWith("b", Sets({}), 8), IsEmpty());
  EXPECT_THAT(AskWith("a", regmix, 8), IsEmpty());
  EXPECT_THAT(AskWith("b", Holdings{}, 8), ElementsAre(Id(1))) << "as an older version asks, which says little";
}

TEST_F(SetsTest, WhatAWorkersFormerDaemonHadIsNoGroundForAPlaceInAGang) {
  const Holdings regmix = Sets({{"regmix", "1"}});
  Register("a");
  Register("b", {}, "0");
  ASSERT_TRUE(manager->dispatcher().AcquireLeases({"b", "0", 1, 8, 0, {}, regmix.sets}, now).ok());
  Register("b");
  SubmitRequest request = Training({"regmix"});
  request.devices = 16;
  request.per_worker = 8;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  EXPECT_THAT(AskWith("a", regmix, 8), IsEmpty()) << "its folder may be another";
  EXPECT_THAT(AskWith("b", regmix, 8), ElementsAre(Id(1)));
}

TEST_F(SetsTest, AfterARestartOfTheCoordinatorAGangStartsOnceItsWorkersHaveAskedAgain) {
  const Holdings regmix = Sets({{"regmix", "1"}});
  for (const char* worker : {"a", "b"}) {
    Register(worker);
    ASSERT_THAT(AskWith(worker, regmix, 8), IsEmpty());
  }
  SubmitRequest request = Training({"regmix"});
  request.devices = 16;
  request.per_worker = 8;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  Restart();
  ASSERT_TRUE(Beat("b", 8).ok());
  EXPECT_THAT(AskWith("a", regmix, 8), IsEmpty());
  EXPECT_THAT(AskWith("b", regmix, 8), ElementsAre(Id(1))) << "neither has registered again";
}

TEST_F(SetsTest, AWorkerThatHasLostTheSetOfItsJobsIsNotToBlame) {
  Register("a");
  const Holdings both = Sets({{"regmix", "2"}, {"bible", "1"}}), bible = Sets({{"bible", "1"}});
  ASSERT_TRUE(manager->clients().Submit(Training({"regmix", "regmix", "regmix", "bible"}), now).ok());
  for (int n = 1; n <= 3; ++n) {
    const std::vector<Grant> grants = Grants("a", both);
    ASSERT_EQ(grants.size(), 1u) << n;
    ASSERT_THAT(AskWith("a", bible, 0), IsEmpty());
    ASSERT_EQ(Finish(grants[0].lease, JobState::kFailed, FailureClass::kInfra, 0, "a").value(), JobState::kQueued);
  }
  EXPECT_THAT(AskWith("a", bible), ElementsAre(Id(4))) << "it goes on with what it has";
  Pass(2'000);
  EXPECT_EQ(State(1), JobState::kQueued);
  EXPECT_THAT(Why(1), HasSubstr("no connected worker has its data set regmix"));
}

TEST_F(SetsTest, AWorkerOnWhichJobsFailThoughItSaysThatItHasTheirSetIsToBlame) {
  Register("a");
  const Holdings bible = Sets({{"bible", "1"}});
  ASSERT_TRUE(manager->clients().Submit(Training({"bible", "bible", "bible", "bible"}), now).ok());
  for (int n = 1; n <= 3; ++n) {
    const std::vector<Grant> grants = Grants("a", bible);
    ASSERT_EQ(grants.size(), 1u) << n;
    ASSERT_EQ(Finish(grants[0].lease, JobState::kFailed, FailureClass::kInfra, 0, "a").value(), JobState::kQueued);
  }
  EXPECT_THAT(AskWith("a", bible), IsEmpty());
}

TEST_F(SetsTest, WorkersWhoseSetsOfOneNameDifferAreNamed) {
  for (const char* worker : {"a", "b", "c"}) Register(worker);
  AskWith("a", Sets({{"regmix", "1"}, {"bible", "5"}}), 0);
  AskWith("b", Sets({{"regmix", "2"}, {"bible", "5"}}), 0);
  AskWith("c", Sets({{"regmix", "1"}}), 0);
  const SubmitResult result = DryRun(Training({"regmix", "bible"}));
  ASSERT_EQ(result.differing_sets.size(), 1u);
  EXPECT_EQ(result.differing_sets[0].name, "regmix");
  EXPECT_THAT(result.differing_sets[0].workers, ElementsAre(std::pair("1", std::vector<std::string>{"a", "c"}),
                                                            std::pair("2", std::vector<std::string>{"b"})));
}

class ContentTest : public SetsTest {
 protected:
  // Worker a, whose copy of the set is "1", starts job 1, saves at step 10 where `save` says so, and loses it.
  void TrainOnA(bool save) {
    Register("a");
    ASSERT_TRUE(manager->clients().Submit(Training({"regmix"}), now).ok());
    const std::vector<Grant> grants = Grants("a", Sets({{"regmix", "1"}}));
    ASSERT_EQ(grants.size(), 1u);
    EXPECT_EQ(grants[0].data_content, "1");
    const Lease& lease = grants[0].lease;
    ASSERT_TRUE(manager->workers().Report("a", lease, {Hello(1), Progress(2, 10)}, now).ok());
    if (save) {
      ASSERT_TRUE(manager->workers().CommitCheckpoint("a", lease, {10, "manifest", {}, 2}, now).ok());
    }
    EXPECT_EQ(Get().data_content, "1");
    ASSERT_EQ(Finish(lease, JobState::kFailed, FailureClass::kInfra, 2, "a").value(), JobState::kQueued);
    Pass(2'000);
  }
};

TEST_F(ContentTest, AResumeWaitsForTheDataThatItBeganOn) {
  TrainOnA(/*save=*/true);
  EXPECT_THAT(AskWith("a", Sets({{"regmix", "2"}})), IsEmpty()) << "packed anew meanwhile";
  EXPECT_THAT(Why(1),
              HasSubstr("needs its data set regmix with the content 1, which no connected worker has (a has 2)"));
  Register("b");
  const std::vector<Grant> grants = Grants("b", Sets({{"regmix", "1"}}));
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].data_content, "1");
  EXPECT_EQ(grants[0].resume_from->step, 10);
}

// Each look asks once for what several queues need, and tells apart what differs in the content alone.
TEST_F(ContentTest, QueuesThatNobodyServesHoldUpNoneThatSomebodyServes) {
  TrainOnA(/*save=*/true);
  for (const auto& [n, set] : std::vector<std::pair<int, std::string>>{{2, "bible"}, {3, "bible"}, {4, "regmix"}}) {
    SubmitRequest request = Sweep({n}, "sweep-" + std::to_string(n));
    request.jobs[0].data_set = set;
    ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  }
  EXPECT_THAT(AskWith("a", Sets({{"regmix", "2"}})), ElementsAre(Id(4))) << "it is the last, and takes any content";
  Register("b");
  EXPECT_THAT(AskWith("b", Sets({{"bible", "1"}}), 8), ElementsAre(Id(2), Id(3)));
  EXPECT_THAT(AskWith("b", Sets({{"regmix", "1"}}), 6), ElementsAre(Id(1)));
}

TEST_F(ContentTest, AJobThatBeginsAnewTakesWhatIsThere) {
  TrainOnA(/*save=*/false);
  const std::vector<Grant> grants = Grants("a", Sets({{"regmix", "2"}}));
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].data_content, "2");
  EXPECT_EQ(Get().data_content, "2");
}

TEST_F(ContentTest, SubmittingAgainOverOtherDataSaysSo) {
  TrainOnA(/*save=*/true);
  AskWith("a", Sets({{"regmix", "1"}}), 0);
  EXPECT_THAT(DryRun(Training({"regmix"})).changed_sets, IsEmpty());
  AskWith("a", Sets({{"regmix", "2"}}), 0);
  const SubmitResult result = DryRun(Training({"regmix"}));
  ASSERT_EQ(result.changed_sets.size(), 1u);
  EXPECT_EQ(result.changed_sets[0].name, "regmix");
  EXPECT_EQ(result.changed_sets[0].content_then, "1");
  EXPECT_EQ(result.changed_sets[0].content_now, "2");
  EXPECT_EQ(result.changed_sets[0].jobs, 1);
}

TEST_F(ContentTest, TheRanksOfAGangReadTheSame) {
  Register("a");
  Register("b");
  AskWith("b", Sets({{"regmix", "2"}}), 8);
  SubmitRequest request = Training({"regmix"});
  request.devices = 16;
  request.per_worker = 8;
  ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  EXPECT_THAT(AskWith("a", Sets({{"regmix", "1"}}), 8), IsEmpty()) << "b has other data";
  Register("c");
  EXPECT_THAT(AskWith("c", Sets({{"regmix", "1"}}), 8), ElementsAre(Id(1))) << "with a";
}

}  // namespace
}  // namespace sink
