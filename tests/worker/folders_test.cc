// The worker's folders: one daemon each, leases that survive a restart, bounded disk, checkpoints that are what they
// say.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "proto/run/manifest.h"
#include "tests/testing/temp_dir.h"
#include "worker/checkpoint_links.h"
#include "worker/data_folder.h"
#include "worker/flags.h"
#include "worker/run_folder.h"

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

v1::LeaseRef Lease(const std::string& job, int attempt) {
  v1::LeaseRef lease;
  lease.set_job_id(job);
  lease.set_attempt(attempt);
  lease.set_fence((uint64_t{7} << 32) | attempt);
  lease.set_lease_id(absl::StrCat(job, attempt));
  return lease;
}

TEST(DataFolder, IdentityLastsAndTheFolderIsNotShared) {
  testing::TempDir dir;
  std::string id;
  {
    auto folder = DataFolder::Open(dir / "worker");
    ASSERT_TRUE(folder.ok()) << folder.status();
    id = folder->worker_id();
    EXPECT_EQ(id.size(), 32u);
    const auto second = DataFolder::Open(dir / "worker");
    EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
    EXPECT_NE(second.status().message().find("another sink-worker"), absl::string_view::npos);
  }
  EXPECT_EQ(DataFolder::Open(dir / "worker")->worker_id(), id);
}

TEST(DataFolder, EveryDaemonHasALaterSessionWhateverTheClockSays) {
  testing::TempDir dir;
  std::string before;
  for (int start = 0; start < 3; ++start) {
    const std::string session = DataFolder::Open(dir / "worker")->session();
    EXPECT_EQ(session.size(), 32u);
    EXPECT_EQ(session.substr(0, 5), "00000") << "by which the coordinator knows that it has an order";
    EXPECT_GT(session.substr(0, 16), before);
    before = session.substr(0, 16);
  }
  std::string id = DataFolder::Open(dir / "worker")->worker_id();
  std::ofstream(dir / "worker/worker.id") << id << "\n00000ffffffffff0\n";  // a clock that was wrong then
  EXPECT_EQ(DataFolder::Open(dir / "worker")->session().substr(0, 16), "00000ffffffffff1");
  std::ofstream(dir / "worker/worker.id") << id << "\n";  // as older programs left it
  EXPECT_EQ(DataFolder::Open(dir / "worker")->worker_id(), id);
}

TEST(DataFolder, WhereNoAttemptCouldHaveAFolderNoDaemonStarts) {
  testing::TempDir dir;
  std::ofstream(dir / "jobs") << "no folder";
  const absl::Status refused = DataFolder::Open(dir / "").status();
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find(dir / "jobs"), std::string::npos) << refused;
}

// As a new worker it would lose the jobs that it holds, without a word.
TEST(DataFolder, ADamagedIdentityIsRefusedAndStaysUntilItIsRemoved) {
  testing::TempDir dir;
  const std::string id = DataFolder::Open(dir / "worker")->worker_id(), path = dir / "worker/worker.id";
  for (const std::string& damaged : {std::string(), id.substr(1) + "\n", std::string(9000, 'x')}) {
    std::ofstream(path) << damaged;
    const absl::Status refused = DataFolder::Open(dir / "worker").status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_NE(refused.message().find(path), absl::string_view::npos) << refused;
  }
  fs::remove(path);
  EXPECT_NE(DataFolder::Open(dir / "worker")->worker_id(), id);
}

TEST(RunFolder, OpenLeasesAreFoundUntilTheyAreClosed) {
  testing::TempDir dir;
  const std::string data = dir.path().string();
  for (int attempt : {1, 2}) ASSERT_TRUE(RunFolder(data, Lease("a", attempt)).Create(Lease("a", attempt)).ok());
  fs::create_directories(dir / "jobs/b/1-1/checkpoints/step-000000007");
  std::ofstream(dir / "jobs/b/1-1/lease.json") << "{\"job\":";
  EXPECT_EQ(FindOpenLeases(data).size(), 2u);
  EXPECT_TRUE(fs::exists(dir / "jobs/b/1-1/lease.json.damaged"));
  EXPECT_FALSE(fs::exists(dir / "jobs/b/1-1/lease.json")) << "retention takes the folder in its time";
  EXPECT_EQ(FindCheckpoints(data, "b", 7).size(), 1u) << "which are good all the same";
  ASSERT_TRUE(RunFolder(data, Lease("a", 1)).Close().ok());
  const auto leases = FindOpenLeases(data);
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].SerializeAsString(), Lease("a", 2).SerializeAsString());
}

TEST(RunFolder, AnAttemptThatBeginsSharesNoFolderWithAnEarlierOneOfTheSameNumbers) {
  testing::TempDir dir;
  const std::string data = dir.path().string();
  const v1::LeaseRef former = Lease("a", 1);
  v1::LeaseRef lease = former;  // of a coordinator that began anew
  lease.set_lease_id("another");
  ASSERT_TRUE(RunFolder::ForNew(data, former).Create(former).ok());
  const RunFolder folder = RunFolder::ForNew(data, lease);
  EXPECT_NE(folder.path(), RunFolder(data, former).path());
  EXPECT_NE(folder.marker(), RunFolder(data, former).marker());
  EXPECT_FALSE(fs::exists(folder.checkpoints()));
  ASSERT_TRUE(folder.Create(lease).ok());
  EXPECT_EQ(RunFolder(data, lease).path(), folder.path()) << "where a restarted daemon finds it";
  EXPECT_EQ(FindOpenLeases(data).size(), 2u);
  ASSERT_TRUE(RunFolder(data, former).Close().ok());
  const auto leases = FindOpenLeases(data);
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases[0].lease_id(), "another");
}

TEST(RunFolder, OutcomeSurvives) {
  testing::TempDir dir;
  const RunFolder folder(dir.path().string(), Lease("a", 1));
  ASSERT_TRUE(folder.Create(Lease("a", 1)).ok());
  EXPECT_FALSE(folder.LoadOutcome().has_value());
  ASSERT_TRUE(folder.SaveOutcome(Failure(v1::USER, "bad \xff byte")).ok());
  const auto outcome = folder.LoadOutcome();
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->failure_class, v1::USER);
  EXPECT_EQ(outcome->message, "bad \xEF\xBF\xBD byte");
  const Outcome cancelled = {v1::CANCELLED, v1::FAILURE_CLASS_NONE, "cancelled", "the checkpoint of step 7 is lost"};
  ASSERT_TRUE(folder.SaveOutcome(cancelled).ok());
  EXPECT_EQ(folder.LoadOutcome(), cancelled);
  std::ofstream(folder.path() + "/outcome.json") << "{\"state\":";
  const auto damaged = folder.LoadOutcome();
  ASSERT_TRUE(damaged.has_value());
  EXPECT_EQ(damaged->failure_class, v1::INFRA);
  EXPECT_NE(damaged->message.find("outcome.json is damaged"), std::string::npos) << damaged->message;
}

TEST(RunFolder, OutcomeOfAnOlderDaemonIsRead) {
  const auto outcome =
      DecodeOutcome(R"({"state": "CANCELLED", "class": "FAILURE_CLASS_NONE", "message": "cancelled"})");
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(*outcome, (Outcome{v1::CANCELLED, v1::FAILURE_CLASS_NONE, "cancelled"}));
}

TEST(Retention, KeepsTheNewestClosedRunsAndEveryOpenOne) {
  testing::TempDir dir;
  const std::string data = dir.path().string();
  for (int attempt = 1; attempt <= 5; ++attempt) {
    const RunFolder folder(data, Lease("a", attempt));
    ASSERT_TRUE(folder.Create(Lease("a", attempt)).ok());
    std::ofstream(folder.path() + "/big") << std::string(1000, 'x');
    if (attempt > 1) {
      EXPECT_TRUE(folder.Close().ok());
    }
    fs::last_write_time(folder.path(), fs::file_time_type::clock::now() + std::chrono::seconds(attempt));
  }
  auto exists = [&](int attempt) { return fs::exists(RunFolder(data, Lease("a", attempt)).path()); };
  ApplyRetention(data, {.runs_per_job = 2, .total_bytes = 1 << 20});
  EXPECT_TRUE(exists(1) && !exists(2) && !exists(3) && exists(4) && exists(5));
  ApplyRetention(data, {.runs_per_job = 2, .total_bytes = 2500});
  EXPECT_TRUE(exists(1) && !exists(4) && exists(5));
  ApplyRetention(data, {.runs_per_job = 2, .total_bytes = 0});
  EXPECT_TRUE(exists(1) && !exists(5));  // the open one stays, whatever the limit
}

TEST(CheckpointLinks, LinkedCheckpointOutlivesItsTrainersFolder) {
  testing::TempDir dir;
  const std::string from = dir / "step-000000001", to = dir / "upload";
  fs::create_directories(from);
  std::ofstream(from + "/weights") << "0123456789";
  const auto manifest = run::WriteManifest(from, 1);
  ASSERT_TRUE(manifest.ok());
  fs::create_directories(to);
  std::ofstream(to + "/stale") << "of an earlier one";
  ASSERT_TRUE(LinkCheckpoint(from, to, *manifest).ok());
  fs::remove_all(from);
  EXPECT_FALSE(run::VerifyCheckpoint(to, *manifest));
  EXPECT_FALSE(fs::exists(to + "/stale"));
  EXPECT_TRUE(absl::IsNotFound(LinkCheckpoint(from, to, *manifest)));
  EXPECT_FALSE(run::VerifyCheckpoint(to, *manifest));  // the old one is still there
}

TEST(CheckpointLinks, WhatIsSomebodyElsesIsCopiedForAReader) {
  testing::TempDir dir;
  const std::string from = dir / "step-000000001", to = dir / "resumed";
  fs::create_directories(from);
  std::ofstream(from + "/weights") << "0123456789";
  const auto manifest = run::WriteManifest(from, 1);
  ASSERT_TRUE(manifest.ok());
  ASSERT_TRUE(LinkCheckpoint(from, to, *manifest, geteuid()).ok());
  EXPECT_EQ(fs::hard_link_count(to + "/weights"), 2u);  // our own, to give away
  constexpr uid_t kTrainer = 54321, kReader = 54322;
  if (chown((from + "/weights").c_str(), kTrainer, static_cast<gid_t>(-1)) != 0)
    GTEST_SKIP() << "only root gives files away";
  ASSERT_TRUE(LinkCheckpoint(from, to, *manifest, kTrainer).ok());
  EXPECT_EQ(fs::hard_link_count(to + "/weights"), 2u);
  ASSERT_TRUE(LinkCheckpoint(from, to, *manifest, kReader).ok());
  EXPECT_EQ(fs::hard_link_count(to + "/weights"), 1u);
  EXPECT_FALSE(run::VerifyCheckpoint(to, *manifest));
}

TEST(Flags, MistakesNameTheFlagAndTheFix) {
  EXPECT_TRUE(absl::IsNotFound(FindTrainer("/nowhere/sink-trainer").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(FindTrainer("/etc/passwd").status()));
  for (const char* text : {"", "30", "-1s", "0s", "100h", "soon"}) {
    const auto duration = ParseDurationFlag("--grace", text);
    EXPECT_TRUE(absl::IsInvalidArgument(duration.status())) << text;
    EXPECT_NE(duration.status().message().find("--grace"), absl::string_view::npos);
  }
  EXPECT_EQ(*ParseDurationFlag("--grace", "1m30s"), absl::Seconds(90));
  for (const char* text : {"", "200", "MB/s", "-1MB/s", "0GB/s", "nanMB/s", "2TB/s", "1e9GB/s", "on"}) {
    const auto rate = ParseRateFlag("--check-sets", text);
    EXPECT_TRUE(absl::IsInvalidArgument(rate.status())) << text;
    EXPECT_NE(rate.status().message().find("--check-sets"), absl::string_view::npos);
  }
  EXPECT_EQ(*ParseRateFlag("--check-sets", "1.5GB/s"), 1'500'000'000);
  EXPECT_EQ(*ParseRateFlag("--check-sets", "off"), 0);
  testing::TempDir dir;
  const auto folder = DataFolder::Open(dir / "worker");
  Flags flags;
  flags.name = "two words";
  const auto options = MakeDaemonOptions(flags, *folder);
  EXPECT_TRUE(absl::IsInvalidArgument(options.status())) << options.status();
}

TEST(Flags, AdvertiseTakesAHostWithoutItsPort) {
  testing::TempDir dir;
  const auto folder = DataFolder::Open(dir / "worker");
  Flags flags;
  flags.trainer = "/proc/self/exe";
  for (const char* host : {"", "node-1.cluster", "10.0.0.7", "fd00::1"}) {
    flags.advertise = host;
    const auto options = MakeDaemonOptions(flags, *folder);
    ASSERT_TRUE(options.ok()) << options.status();
    EXPECT_EQ(options->advertise, host);
  }
  for (const char* text : {"node:29500", " node", "http://node", "me@node", "node,other"}) {
    flags.advertise = text;
    const auto options = MakeDaemonOptions(flags, *folder);
    EXPECT_TRUE(absl::IsInvalidArgument(options.status())) << text;
    EXPECT_NE(options.status().message().find("--advertise"), absl::string_view::npos);
    const bool tells_what_to_write = options.status().message().find("; write node") != absl::string_view::npos;
    EXPECT_EQ(tells_what_to_write, std::string(text) != "node,other") << options.status();
  }
}

TEST(Flags, TheRateOfReadingSetsReachesTheDaemon) {
  testing::TempDir dir;
  const auto folder = DataFolder::Open(dir / "worker");
  Flags flags;
  flags.trainer = "/proc/self/exe";
  EXPECT_EQ(MakeDaemonOptions(flags, *folder)->set_check_rate, int64_t{ContentCheck::kDefaultRate});
  flags.check_sets = "off";
  EXPECT_EQ(MakeDaemonOptions(flags, *folder)->set_check_rate, 0);
  flags.check_sets = "fast";
  EXPECT_TRUE(absl::IsInvalidArgument(MakeDaemonOptions(flags, *folder).status()));
}

TEST(Flags, TheTimeWithoutWorkReachesTheDaemon) {
  testing::TempDir dir;
  const auto folder = DataFolder::Open(dir / "worker");
  Flags flags;
  flags.trainer = "/proc/self/exe";
  EXPECT_EQ(MakeDaemonOptions(flags, *folder)->runner.limits.idle, absl::Hours(2));
  EXPECT_EQ(MakeDaemonOptions(flags, *folder)->runner.limits.stall, absl::InfiniteDuration()) << "a sweep's alone";
  flags.stall_timeout = "45m";
  EXPECT_EQ(MakeDaemonOptions(flags, *folder)->runner.limits.idle, absl::Minutes(45));
  for (const char* off : {"0", "0s", "never"}) {
    flags.stall_timeout = off;
    EXPECT_EQ(MakeDaemonOptions(flags, *folder)->runner.limits.idle, absl::InfiniteDuration()) << off;
  }
  for (const char* text : {"", "-1h", "often", "2"}) {
    flags.stall_timeout = text;
    const auto options = MakeDaemonOptions(flags, *folder);
    EXPECT_TRUE(absl::IsInvalidArgument(options.status())) << text;
    EXPECT_NE(options.status().message().find("--stall-timeout"), absl::string_view::npos) << options.status();
    EXPECT_NE(options.status().message().find("never"), absl::string_view::npos) << options.status();
  }
}

TEST(Outcome, MessageStaysWithinWhatTheCoordinatorTakes) {
  EXPECT_LT(Failure(v1::INFRA, std::string(90 << 10, '\xff')).message.size(), size_t{128} << 10);
}

}  // namespace
}  // namespace sink::worker
