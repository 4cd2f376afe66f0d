// job.json: the bytes of ever, what a trainer accepts, and what it says about the rest.
#include "proto/run/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sink::run {
namespace {

using ::testing::HasSubstr;

// As sink-worker wrote it before worker and trainer shared this code.
constexpr char kByWorker[] = R"({
  "attempt": 3,
  "config": {
    "model": {
      "num_hidden_layers": 2
    },
    "train": {
      "max_steps": 20,
      "seed": 7
    }
  },
  "data_root": "/data/sets",
  "device": "cuda:1",
  "job": "0123456789abcdef0123456789abcdef",
  "model": "/models/gpt2"
}
)";
constexpr char kConfig[] = R"({"train":{"seed":7,"max_steps":20},"model":{"num_hidden_layers":2}})";

JobFile Job() {
  return {.job = "0123456789abcdef0123456789abcdef",
          .attempt = 3,
          .config = {},
          .data_root = "/data/sets",
          .model = "/models/gpt2",
          .device = "cuda:1"};
}

TEST(JobFile, PrintedBytesAreThoseOfEver) {
  EXPECT_EQ(PrintJobFile(Job(), kConfig), kByWorker);
  JobFile by_hand = Job();
  by_hand.model.clear();
  by_hand.attempt = 1;
  EXPECT_EQ(PrintJobFile(by_hand, "{}"),
            "{\n  \"attempt\": 1,\n  \"config\": {},\n  \"data_root\": \"/data/sets\",\n  \"device\": \"cuda:1\",\n"
            "  \"job\": \"0123456789abcdef0123456789abcdef\"\n}\n");
}

TEST(JobFile, FieldsOfTheConfigurationThatWeDoNotKnowAreHandedOn) {
  const auto text = PrintJobFile(Job(), R"({"of_tomorrow":[1,2]})");
  ASSERT_TRUE(text.has_value());
  EXPECT_THAT(*text, HasSubstr("of_tomorrow"));
  EXPECT_THAT(ParseJobFile(*text).error, HasSubstr("of_tomorrow"));
}

TEST(JobFile, PrintedFileIsRead) {
  const JobFileResult result = ParseJobFile(kByWorker);
  ASSERT_TRUE(result.job.has_value()) << result.error;
  EXPECT_EQ(result.job->job, Job().job);
  EXPECT_EQ(result.job->attempt, 3);
  EXPECT_EQ(result.job->config.train.seed, 7);
  EXPECT_EQ(result.job->data_root, "/data/sets");
  EXPECT_EQ(result.job->model, "/models/gpt2");
  EXPECT_EQ(result.job->device, "cuda:1");

  const JobFileResult least = ParseJobFile(R"({"job":"a","config":{},"data_root":"d"})");
  ASSERT_TRUE(least.job.has_value()) << least.error;
  EXPECT_EQ(least.job->attempt, 1);
  EXPECT_EQ(least.job->device, "cpu");
}

TEST(JobFile, WhatCannotBePrintedIsNothing) {
  EXPECT_EQ(PrintJobFile(Job(), "[]"), std::nullopt);
  EXPECT_EQ(PrintJobFile(Job(), "{"), std::nullopt);
  JobFile job = Job();
  job.data_root = "\xff";
  EXPECT_EQ(PrintJobFile(job, "{}"), std::nullopt);
}

TEST(JobFile, MistakesAreNamed) {
  EXPECT_EQ(ParseJobFile("").error, "not a JSON object");
  EXPECT_EQ(ParseJobFile(R"({"job":"a","data_root":"d"})").error, "field 'config' is missing");
  EXPECT_EQ(ParseJobFile(R"({"job":1})").error, "job: must be a string");
  EXPECT_EQ(ParseJobFile(R"({"attempt":-1})").error, "attempt: must be a whole number");
  EXPECT_THAT(ParseJobFile(R"({"mood":1})").error, HasSubstr("unknown field 'mood'; known are job"));
  EXPECT_THAT(ParseJobFile(R"({"config":{"train":{"sede":7}}})").error, HasSubstr("config: train.sede"));
}

}  // namespace
}  // namespace sink::run
