// What a worker's log says of calls that fail.
#include "worker/outage_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>

namespace sink::worker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class OutageLogTest : public ::testing::Test {
 protected:
  OutageLogTest() : before_(spdlog::default_logger()) {
    auto logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_, true));
    logger->set_pattern("%l: %v");
    logger->set_level(spdlog::level::info);
    spdlog::set_default_logger(logger);
  }
  ~OutageLogTest() override { spdlog::set_default_logger(before_); }

  // What this call adds.
  std::string Note(const absl::Status& status) {
    lines_.str("");
    log_.Note(status);
    return lines_.str();
  }

  absl::Duration now_ = absl::Hours(5);

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream lines_;
  OutageLog log_{[this] { return now_; }};
};

TEST_F(OutageLogTest, AnOutageIsToldOnceAndItsEnd) {
  EXPECT_THAT(Note(absl::UnavailableError("cannot reach it")),
              AllOf(StartsWith("warning: cannot reach it"), HasSubstr("training goes on")));
  EXPECT_EQ(Note(absl::DeadlineExceededError("no answer")), "");
  EXPECT_THAT(Note(absl::OkStatus()), StartsWith("info: the coordinator answers again"));
  EXPECT_EQ(Note(absl::OkStatus()), "");
}

TEST_F(OutageLogTest, AnOutageThatComesAndGoesIsToldOnce) {
  Note(absl::UnavailableError("cannot reach it"));
  Note(absl::OkStatus());
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Note(absl::UnavailableError("cannot reach it")), "");
    EXPECT_EQ(Note(absl::OkStatus()), "");
  }
}

TEST_F(OutageLogTest, ARefusalIsNoOutage) {
  const absl::Status stale = absl::FailedPreconditionError("stale session: another daemon has registered");
  EXPECT_EQ(Note(stale), "error: stale session: another daemon has registered\n");
  EXPECT_EQ(Note(stale), "") << "not at every heartbeat";
  EXPECT_EQ(Note(absl::OkStatus()), "") << "it never was away";
  EXPECT_THAT(Note(absl::ResourceExhaustedError("disk full")), AllOf(HasSubstr("disk full"), Not(HasSubstr("again"))));
}

TEST_F(OutageLogTest, ARefusalIsToldAgainAndThatOfACredentialSeldom) {
  const absl::Status full = absl::ResourceExhaustedError("disk full");
  EXPECT_EQ(Note(full), "error: disk full\n");
  now_ += absl::Seconds(31);
  EXPECT_EQ(Note(full), "error: disk full\n");
  const absl::Status revoked = absl::UnauthenticatedError("this certificate was revoked: join again");
  EXPECT_EQ(Note(revoked), "error: this certificate was revoked: join again\n");
  now_ += absl::Minutes(59);
  EXPECT_EQ(Note(revoked), "");
  now_ += absl::Minutes(2);
  EXPECT_EQ(Note(revoked), "error: this certificate was revoked: join again\n");
}

TEST_F(OutageLogTest, ARefusalEndsAnOutage) {
  Note(absl::UnavailableError("cannot reach it"));
  EXPECT_THAT(Note(absl::InvalidArgumentError("bad name")),
              AllOf(HasSubstr("answers again"), HasSubstr("error: bad name")));
}

}  // namespace
}  // namespace sink::worker
