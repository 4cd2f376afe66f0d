// Faults planted into what a coordinator answers: each is found, named and given a fix.
#include "coordinator/doctor/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/doctor/planted.h"

namespace sink::doctor {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNow = 1'800'000'000'000;

Fleet Healthy() {
  Fleet fleet;
  fleet.address = "127.0.0.1:7070";
  fleet.version = "1.2.3";
  fleet.now_ms = kNow;
  fleet.sweeps.set_version("1.2.3");
  for (const char* name : {"a", "b"}) {
    v1::Worker* worker = fleet.workers.add_workers();
    worker->set_name(name);
    worker->set_state("connected");
    worker->set_version("1.2.3");
    worker->set_devices(1);
    worker->set_devices_free(1);
    worker->set_device_kind("cpu");
    worker->set_last_seen_ms(kNow - 2000);
    worker->add_sets()->set_name("text");
    worker->mutable_sets(0)->set_content("c0ffee");
  }
  return fleet;
}

TEST(FleetDoctor, AHealthyFleetIsGoodLineByLine) {
  const std::vector<Finding> findings = Examine(Healthy());
  ASSERT_EQ(findings.size(), 3u);  // the coordinator and two workers
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.level, Level::kGood) << finding.what;
    EXPECT_EQ(finding.fix, "");
  }
}

TEST(FleetDoctor, AJobThatWaitsWhileAllDevicesWorkIsNoFault) {
  Fleet fleet = Healthy();
  for (v1::Worker& worker : *fleet.workers.mutable_workers()) {
    worker.set_devices_free(0);
    worker.add_job_ids("77c0b01d2e3f2a91c077b01d2e3f2a91");
  }
  fleet.waiting.emplace_back().mutable_job()->set_id("3f2a91c077b01d2e3f2a91c077b01d2e");
  EXPECT_EQ(Examine(fleet).back().level, Level::kGood);
  EXPECT_EQ(Examine(fleet).back().what, "waits for a device: all are in use");
}

TEST(FleetDoctor, AWorkerWithoutAJobThatKeepsADeviceOutOfUseIsAFault) {
  Fleet fleet = Healthy();
  fleet.workers.mutable_workers(0)->set_devices_free(0);
  const std::vector<Finding> findings = Examine(fleet);
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[1].level, Level::kFault);
  EXPECT_EQ(findings[1].subject, "worker a");
  EXPECT_THAT(findings[1].what, HasSubstr("has no job and keeps 1 of its 1 device out of use"));
  EXPECT_THAT(findings[1].fix, HasSubstr("restart the machine"));
}

TEST(FleetDoctor, ADamagedCheckpointThatIsPinnedIsUnpinnedFirst) {
  Fleet fleet = Healthy();
  v1::Checkpoint* damaged = fleet.sweeps.add_damaged();
  damaged->set_job_id("3f2a91c077b01d2e3f2a91c077b01d2e");
  damaged->set_step(300);
  damaged->set_damage("model.safetensors has not the hash");
  damaged->set_pinned(true);
  const std::vector<Finding> findings = Examine(fleet);
  ASSERT_EQ(findings.size(), 4u);
  EXPECT_EQ(findings[1].level, Level::kFault);
  EXPECT_THAT(findings[1].what, HasSubstr("step 300 of job 3f2a91c0 is damaged: model.safetensors has not the hash"));
  EXPECT_THAT(findings[1].fix,
              HasSubstr("unpin 3f2a91c0 --step 300, then sinkctl checkpoint drop 3f2a91c0 --step 300"));
}

using Planted = PlantedIn<Fleet>;

class FleetFault : public ::testing::TestWithParam<Planted> {};

TEST_P(FleetFault, IsFoundAndGivenAFix) {
  Fleet fleet = Healthy();
  GetParam().plant(fleet);
  int found = 0;
  for (const Finding& finding : Examine(fleet)) {
    if (finding.level == Level::kGood) continue;
    ++found;
    EXPECT_EQ(finding.level, GetParam().level);
    EXPECT_THAT(finding.what, HasSubstr(GetParam().what));
    EXPECT_THAT(finding.fix, HasSubstr(GetParam().fix));
  }
  EXPECT_EQ(found, 1);
}

INSTANTIATE_TEST_SUITE_P(
    Planted, FleetFault,
    ::testing::Values(Planted{"disk", Level::kFault, "disk is nearly full", "make room",
                              [](Fleet& f) { f.sweeps.add_warnings("the coordinator's disk is nearly full"); }},
                      Planted{"clock", Level::kFault, "are 5m apart", "synchronise both clocks",
                              [](Fleet& f) { f.now_ms += 5 * 60'000 - 2000; }},
                      Planted{"clock_by_its_own_word", Level::kFault, "are 10m apart", "synchronise both clocks",
                              [](Fleet& f) { f.sweeps.set_now_ms(kNow + 10 * 60'000); }},
                      Planted{"silent", Level::kFault, "is disconnected, last heard from 1m ago", "its log",
                              [](Fleet& f) {
                                f.workers.mutable_workers(0)->set_state("disconnected");
                                f.workers.mutable_workers(0)->set_last_seen_ms(kNow - 60'000);
                              }},
                      Planted{"stopped", Level::kHint, "was stopped 1m ago", "start it again",
                              [](Fleet& f) {
                                f.workers.mutable_workers(0)->set_state("stopped");
                                f.workers.mutable_workers(0)->set_last_seen_ms(kNow - 60'000);
                              }},
                      Planted{"just_stopped", Level::kHint, "was stopped a moment ago", "start it again",
                              [](Fleet& f) {
                                f.workers.mutable_workers(0)->set_state("stopped");
                                f.workers.mutable_workers(0)->set_last_seen_ms(kNow - 900);
                              }},
                      Planted{"stopped_and_not_ready", Level::kHint, "was stopped 1m ago", "start it again",
                              [](Fleet& f) {
                                v1::Worker* worker = f.workers.mutable_workers(0);
                                worker->set_state("stopped");
                                worker->set_last_seen_ms(kNow - 60'000);
                                worker->set_hold("quarantined");
                                worker->clear_sets();
                                worker->add_incomplete_sets()->set_name("text");
                                worker->add_incomplete_models()->set_name("x/opt");
                              }},
                      Planted{"gone_and_without_sets", Level::kFault, "is gone, last heard from 1m ago", "its log",
                              [](Fleet& f) {
                                v1::Worker* worker = f.workers.mutable_workers(0);
                                worker->set_state("gone");
                                worker->set_last_seen_ms(kNow - 60'000);
                                worker->clear_sets();
                              }},
                      Planted{"version", Level::kHint, "is of version 1.2.2, this sinkctl of 1.2.3", "same version",
                              [](Fleet& f) { f.workers.mutable_workers(1)->set_version("1.2.2"); }},
                      Planted{"coordinator_version", Level::kHint, "is of version 1.3.0, this sinkctl of 1.2.3",
                              "same version", [](Fleet& f) { f.sweeps.set_version("1.3.0"); }},
                      Planted{"older_coordinator", Level::kHint, "is of an older version, this sinkctl of 1.2.3",
                              "same version", [](Fleet& f) { f.sweeps.clear_version(); }},
                      Planted{"quarantine", Level::kFault, "in quarantine: three jobs failed", "sinkctl uncordon a",
                              [](Fleet& f) {
                                f.workers.mutable_workers(0)->set_hold("quarantined");
                                f.workers.mutable_workers(0)->set_hold_reason("three jobs failed");
                              }},
                      Planted{"cordon", Level::kHint, "takes no new jobs: it is cordoned (new disk)",
                              "sinkctl uncordon b",
                              [](Fleet& f) {
                                f.workers.mutable_workers(1)->set_hold("cordoned");
                                f.workers.mutable_workers(1)->set_hold_reason("new disk");
                              }},
                      Planted{"no_sets", Level::kHint, "no packed data set", "--data-root",
                              [](Fleet& f) { f.workers.mutable_workers(0)->clear_sets(); }},
                      Planted{"half_a_copy", Level::kFault,
                              "takes no jobs for data set text, of which its copy is not used: no x.bin",
                              "copy the set anew",
                              [](Fleet& f) {
                                v1::Worker* worker = f.workers.mutable_workers(0);
                                worker->clear_sets();
                                v1::IncompleteCopy* set = worker->add_incomplete_sets();
                                set->set_name("text");
                                set->set_gap("no x.bin");
                              }},
                      Planted{"being_compared", Level::kHint, "of which its copy is not used yet: ", "wait for it",
                              [](Fleet& f) {
                                v1::IncompleteCopy* set = f.workers.mutable_workers(0)->add_incomplete_sets();
                                set->set_name("text");
                                set->set_gap("it is being compared");
                                set->set_use(v1::COPY_BEING_COMPARED);
                              }},
                      Planted{"half_a_model", Level::kHint, "its copy is not used: no y", "wait until it is copied",
                              [](Fleet& f) {
                                v1::Worker* worker = f.workers.mutable_workers(0);
                                v1::IncompleteCopy* model = worker->add_incomplete_models();
                                model->set_name("x/opt");
                                model->set_gap("no y");
                              }},
                      Planted{"no_tokenizer", Level::kHint,
                              "takes no jobs that read texts for model x/opt, of which its copy has no whole "
                              "tokenizer: no y",
                              "put the model's own tokenizer files there",
                              [](Fleet& f) {
                                v1::Worker* worker = f.workers.mutable_workers(0);
                                v1::IncompleteCopy* model = worker->add_incomplete_models();
                                model->set_name("x/opt");
                                model->set_gap("no y");
                                model->set_use(v1::COPY_WITHOUT_TOKENIZER);
                              }},
                      Planted{"no_workers", Level::kFault, "none is connected",
                              "sink-worker --coordinator 127.0.0.1:7070", [](Fleet& f) { f.workers.clear_workers(); }},
                      Planted{"different_sets", Level::kFault, "is not the same on all workers: ", "copy one of them",
                              [](Fleet& f) { f.workers.mutable_workers(0)->mutable_sets(0)->set_content("decaf"); }},
                      Planted{"waiting", Level::kHint, "job 3f2a91c0 waits: it needs 8 devices", "sinkctl why 3f2a91c0",
                              [](Fleet& f) {
                                v1::WhyJobResponse& why = f.waiting.emplace_back();
                                why.mutable_job()->set_id("3f2a91c077b01d2e3f2a91c077b01d2e");
                                why.add_reasons("it needs 8 devices on one worker");
                              }}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace sink::doctor
