// Lines of the log for machines: each is a JSON object whatever was said, and names the job that it is about.
#include "coordinator/log/log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <vector>

namespace sink {
namespace {

class JsonLog : public ::testing::Test {
 protected:
  JsonLog() : logger_("worker", std::make_shared<spdlog::sinks::ostream_sink_mt>(out_)) {
    logger_.set_formatter(std::make_unique<JsonLines>());
  }
  // Every line that was written; a line that is no JSON is a failure.
  std::vector<nlohmann::json> Lines() {
    std::vector<nlohmann::json> lines;
    std::istringstream in(out_.str());
    for (std::string line; std::getline(in, line);) {
      lines.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false));
      EXPECT_TRUE(lines.back().is_object()) << line;
    }
    return lines;
  }

  std::ostringstream out_;
  spdlog::logger logger_;
};

TEST_F(JsonLog, ALineTellsTimeLevelAndMessage) {
  logger_.warn("the disk of {} is full", "/data");
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["level"], "warning");
  EXPECT_EQ(lines[0]["logger"], "worker");
  EXPECT_EQ(lines[0]["message"], "the disk of /data is full");
  EXPECT_EQ(lines[0]["time"].get<std::string>().size(), std::string("2026-01-31T16:05:09.123+00:00").size());
  EXPECT_FALSE(lines[0].contains("job"));
}

TEST_F(JsonLog, WhateverIsSaidStaysOneLineOfJson) {
  const std::string wild = "a \"quote\"\\\nnext\tline \x1b[31m\x01\xff\xc3 \u00e9";
  logger_.error("{}", wild);
  logger_.info("{}", std::string("zero\0byte", 9));
  logger_.info("");
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["message"].get<std::string>().substr(0, 22), "a \"quote\"\\\nnext\tline \x1b");
  EXPECT_EQ(lines[1]["message"], std::string("zero\0byte", 9));
}

TEST_F(JsonLog, WhatAThreadSaysIsAboutTheJobOfItsScope) {
  {
    const LogScope outer("job-1", "lease-1");
    logger_.info("one");
    {
      const LogScope inner("job-2", "");
      logger_.info("two");
    }
    logger_.info("three");
    std::thread([this] { logger_.info("elsewhere"); }).join();
  }
  logger_.info("after");
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0]["job"], "job-1");
  EXPECT_EQ(lines[0]["lease"], "lease-1");
  EXPECT_EQ(lines[1]["job"], "job-2");
  EXPECT_FALSE(lines[1].contains("lease"));
  EXPECT_EQ(lines[2]["job"], "job-1");
  EXPECT_FALSE(lines[3].contains("job"));
  EXPECT_FALSE(lines[4].contains("job"));
}

}  // namespace
}  // namespace sink
