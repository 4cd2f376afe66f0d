// A coordinator that lies, or one that somebody plays: what its answers can do to a worker's machine. S8, S15 and S16
// of the audit (tests/security/README.md).
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/data_folder.h"
#include "worker/valid_utf8.h"

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

// Gives what a test says to the first question, and then what a coordinator would.
class LyingCoordinator : public FakeCoordinator {
 public:
  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request) override {
    auto response = FakeCoordinator::Register(request);
    if (response.ok()) response->set_heartbeat_interval_ms(heartbeat_ms);
    return response;
  }
  absl::StatusOr<v1::LeaseResponse> Lease(const v1::LeaseRequest& request) override {
    if (request.poll() > 1) return FakeCoordinator::Lease(request);
    return first;
  }
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) override {
    ++heartbeats;
    return FakeCoordinator::Heartbeat(request);
  }

  // Set before the daemon starts.
  v1::LeaseResponse first;
  int heartbeat_ms = 50;

  std::atomic<int> heartbeats = 0;
};

class LyingCoordinatorTest : public ::testing::Test {
 protected:
  LyingCoordinatorTest() { fs::create_directories(data_); }

  v1::Grant& AddGrant(const std::string& job, const std::string& lease) {
    v1::Grant& grant = *coordinator_.first.add_grants();
    grant.mutable_lease()->set_job_id(job);
    grant.mutable_lease()->set_lease_id(lease);
    grant.mutable_lease()->set_attempt(1);
    grant.mutable_lease()->set_fence(1);
    grant.set_devices(1);
    grant.set_config_json(R"({"steps": 1})");
    return grant;
  }
  void Start() {
    daemon_.emplace(&coordinator_, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(data_));
    daemon_->Start();
  }
  std::set<std::string> Outside() const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(dir_.path())) {
      if (entry.path().string().rfind(data_, 0) != 0) names.insert(entry.path().string());
    }
    return names;
  }

  testing::TempDir dir_;
  const std::string data_ = dir_ / "a/b/c/worker";
  LyingCoordinator coordinator_;
  std::optional<Daemon> daemon_;
};

// S8: a job's id is a folder's name.
TEST_F(LyingCoordinatorTest, S8_NoAnswerMakesAFolderElsewhere) {
  AddGrant("../../escaped", "1");
  AddGrant("../../../x/y", "2");
  AddGrant("/tmp/sink-test-escaped", "3");
  AddGrant("..", "4");
  AddGrant("job", "../../../escaped");
  AddGrant("deep", "6").set_config_json(std::string(100'000, '[') + std::string(100'000, ']'));  // S12
  AddGrant("none", "7").set_devices(-1);
  const std::set<std::string> before = Outside();
  const std::string honest = coordinator_.AddJob("honest", R"({"steps": 3})");
  Start();
  EXPECT_TRUE(coordinator_.WaitForFinish(honest)) << "the daemon goes on";
  EXPECT_EQ(Outside(), before);
  EXPECT_FALSE(fs::exists("/tmp/sink-test-escaped"));
  EXPECT_FALSE(fs::exists(data_ + "/jobs/deep"));
}

// S15: 300 jobs at once for one device, and heartbeats without a pause: 64 folders at most, and 100 calls a second.
TEST_F(LyingCoordinatorTest, S15_NumbersThatNobodyMeansAreNotObeyed) {
  coordinator_.heartbeat_ms = 0;
  for (int i = 0; i < 300; ++i) AddGrant(absl::StrCat("job", i), absl::StrCat("lease", i));
  Start();
  for (int i = 0; i < 200 && coordinator_.heartbeats == 0; ++i) absl::SleepFor(absl::Milliseconds(10));
  const int before = coordinator_.heartbeats;
  const absl::Time begun = absl::Now();
  absl::SleepFor(absl::Seconds(1));
  EXPECT_LE(coordinator_.heartbeats - before, 110 * absl::ToDoubleSeconds(absl::Now() - begun));
  size_t folders = 0;
  if (fs::exists(data_ + "/jobs")) {
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(data_ + "/jobs")) ++folders;
  }
  EXPECT_LE(folders, 64u);
}

// S15: what a trainer says comes into the worker's log as text.
TEST(LogText, S15_NothingSteersATerminalOrBeginsALine) {
  EXPECT_EQ(LogText("a\x1b[2Jb\nfake line\r\x07\x7f"), "a [2Jb fake line   ");
  EXPECT_EQ(LogText("\xc2\x9b"
                    "31m\xc3\xa9"),
            " 31m\xc3\xa9");
  EXPECT_EQ(LogText("bad \xff byte"), "bad \xEF\xBF\xBD byte");
}

// S16: a folder in /tmp that somebody else made first is theirs.
TEST(DataFolder, S16_OneThatBelongsToAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  testing::TempDir dir;
  const std::string taken = dir / "sink-user";
  fs::create_directories(taken);
  ASSERT_EQ(chown(taken.c_str(), 65534, 65534), 0);
  const auto opened = DataFolder::Open(taken);
  EXPECT_TRUE(absl::IsFailedPrecondition(opened.status())) << opened.status();
  EXPECT_TRUE(fs::is_empty(taken));
}

// S9: leases and jobs are for the worker's user alone.
TEST(DataFolder, S9_IsItsUsersAlone) {
  testing::TempDir dir;
  fs::create_directories(dir / "worker");
  fs::permissions(dir / "worker", fs::perms(0755));
  ASSERT_TRUE(DataFolder::Open(dir / "worker").ok());
  EXPECT_EQ(fs::status(dir / "worker").permissions(), fs::perms(0700));
}

}  // namespace
}  // namespace sink::worker
