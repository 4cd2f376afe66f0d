// What libprotobuf says is a line of our log, and no caller can fill that with it.
#include "coordinator/log/protobuf_log.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <string>

#include "coordinator/log/log.h"

namespace sink {
namespace {

TEST(OneAMinute, TakesTheFirstAndThenSaysHowManyItLeftOut) {
  using std::chrono::milliseconds;
  OneAMinute limit;
  const OneAMinute::Time start{milliseconds(1)};
  EXPECT_EQ(limit.Take(start), 0u);
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(limit.Take(start + milliseconds(i)), std::nullopt);
  EXPECT_EQ(limit.Take(start + milliseconds(59'999)), std::nullopt);
  EXPECT_EQ(limit.Take(start + milliseconds(60'000)), 5001u);
  EXPECT_EQ(limit.Take(start + milliseconds(60'001)), std::nullopt);
  EXPECT_EQ(limit.Take(start + milliseconds(120'000)), 1u);
  EXPECT_EQ(limit.Take(start + milliseconds(200'000)), 0u);
}

TEST(ProtobufLog, IsOneLineOfOursHoweverOftenItSpeaks) {
  const auto before = spdlog::default_logger();
  std::ostringstream lines;
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("coordinator", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)));
  spdlog::set_formatter(std::make_unique<JsonLines>());
  SendProtobufLogToOurs();
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 1000; ++i) GOOGLE_LOG(ERROR) << "String field 'id' contains invalid UTF-8 data " << i;
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  spdlog::set_default_logger(before);
  const std::string text = lines.str();
  EXPECT_THAT(text, ::testing::HasSubstr(R"("message":"protobuf: String field 'id' contains invalid UTF-8 data 0"})"));
  EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
}

}  // namespace
}  // namespace sink
