// What a daemon's log says of the attempts that end on it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/time/clock.h"
#include "tests/testing/temp_dir.h"
#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_coordinator.h"
#include "worker/daemon.h"

namespace sink::worker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class DaemonLogTest : public ::testing::Test {
 protected:
  DaemonLogTest() : before_(spdlog::default_logger()) {
    auto logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_, true));
    logger->set_pattern("%l: %v");
    logger->set_level(spdlog::level::info);
    spdlog::set_default_logger(logger);
  }
  ~DaemonLogTest() override { spdlog::set_default_logger(before_); }

  // The log of a daemon that has run one job and ended.
  std::string LogOf(FakeCoordinator* coordinator) {
    const std::string lease = coordinator->AddJob("job1", R"({"steps": 3})");
    Daemon daemon(coordinator, *FindDevices("cpu:1", nullptr), FakeTrainerOptions(dir_.path().string()));
    daemon.Start();
    EXPECT_TRUE(coordinator->WaitForFinish(lease));
    daemon.BeginDrain();
    EXPECT_TRUE(daemon.WaitUntilFinished(absl::Seconds(20)));
    return lines_.str();
  }

  testing::TempDir dir_;

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream lines_;
};

TEST_F(DaemonLogTest, SaysWhyAnAttemptFailedThatStartedNoTrainer) {
  FakeCoordinator coordinator;
  std::ofstream(dir_ / "jobs") << "a file where the folder of all runs should be";
  EXPECT_THAT(LogOf(&coordinator),
              AllOf(HasSubstr("warning: job job1: attempt 1 failed here: the worker cannot use its folder: "),
                    HasSubstr(dir_ / "jobs")));
}

// A heartbeat finds the attempt gone before the answer to its end is here.
class ForgetsWhatHasEnded : public FakeCoordinator {
 public:
  absl::StatusOr<v1::FinishResponse> Finish(const v1::FinishRequest& request) override {
    const auto answer = FakeCoordinator::Finish(request);
    MakeStale(request.lease().lease_id());
    // The daemon has had the answer to the first of these when it sends the second.
    const int before = heartbeats();
    for (int i = 0; i < 2000 && heartbeats() < before + 2; ++i) absl::SleepFor(absl::Milliseconds(5));
    return answer;
  }
};

TEST_F(DaemonLogTest, AnAttemptThatHasEndedWellIsNotSaidToHaveGoneToAnotherWorker) {
  ForgetsWhatHasEnded coordinator;
  EXPECT_THAT(LogOf(&coordinator),
              AllOf(HasSubstr("the coordinator has it as SUCCEEDED"), Not(HasSubstr("has given it to another worker")),
                    Not(HasSubstr("failed here"))));
}

}  // namespace
}  // namespace sink::worker
