// A log says what is new, however often calls fail.
#include "worker/outage_log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>

namespace sink::worker {
namespace {

class OutageLogTest : public ::testing::Test {
 protected:
  OutageLogTest() {
    auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
    logger->set_pattern("%v");
    spdlog::set_default_logger(std::move(logger));
  }
  ~OutageLogTest() override { spdlog::set_default_logger(before_); }
  int Count(const std::string& piece) const {
    int count = 0;
    const std::string text = text_.str();
    for (size_t at = text.find(piece); at != std::string::npos; at = text.find(piece, at + 1)) ++count;
    return count;
  }

  const std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  std::ostringstream text_;
  OutageLog log_;
};

TEST_F(OutageLogTest, ARefusalBesideCallsThatGoWellIsSaidOnce) {
  for (int i = 0; i < 100; ++i) {
    log_.Note(absl::ResourceExhaustedError("disk full"));
    log_.Note(absl::OkStatus());
  }
  EXPECT_EQ(Count("disk full"), 1);
  EXPECT_EQ(Count("reached again"), 0) << "it was never away";
  log_.Note(absl::ResourceExhaustedError("something else"));
  EXPECT_EQ(Count("something else"), 1);
}

TEST_F(OutageLogTest, AnOutageThatComesAndGoesIsSaidOnce) {
  for (int i = 0; i < 100; ++i) {
    log_.Note(absl::UnavailableError("cannot reach"));
    log_.Note(absl::UnavailableError("cannot reach"));
    log_.Note(absl::OkStatus());
  }
  EXPECT_EQ(Count("cannot reach"), 1);
  EXPECT_EQ(Count("reached again"), 1);
}

}  // namespace
}  // namespace sink::worker
