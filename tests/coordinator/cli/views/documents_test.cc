// What status and report make of the same measurements.
#include "coordinator/cli/views/documents.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "coordinator/cli/views/received_json.h"
#include "coordinator/report/measures.h"

namespace sink::cli {
namespace {

const std::map<std::string, double> kMeasured = {
    {"train_loss", 2.5},           {"validation_loss/small", 4.0}, {"validation_loss/large", 2.0},
    {"validation_loss/all", 2.25},  // of unequal domains: not the mean of the two
    {"sink_rate/0.2/1", 0.5},      {"sink_rate/0.3/1", 0.25},      {"sink_rate/0.3/bias", 0.75},
    {"alpha_mean/1", 0.125},       {"alpha_max/1", 0.9},           {"hidden_norm_ratio/0", 1.0},
    {"hidden_norm_ratio/3", 7.0},  {"hidden_norm_ratio/all", 9.0}, {"kurtosis/1", 11.0}};

void ExpectEqual(const std::map<std::string, double>& measured) {
  v1::Progress progress;
  report::Run run;
  for (const auto& [name, value] : measured) {
    (*progress.mutable_latest())[name] = value;
    run.curves[name].push_back({.step = 10, .value = value});
  }
  const Measurements status = Measure(progress);
  EXPECT_EQ(status.validation_loss, report::Value(run, report::Measure::kValidationLoss));
  EXPECT_EQ(status.train_loss, report::Value(run, report::Measure::kTrainLoss));
  EXPECT_EQ(status.epsilon, report::Epsilon(run));
  const auto rate = report::Value(run, report::Measure::kSinkRate);
  EXPECT_EQ(status.sink_rate.has_value(), rate.has_value());
  EXPECT_EQ(100 * status.sink_rate.value_or(0), rate.value_or(0));
  EXPECT_EQ(status.alpha_mean, report::Value(run, report::Measure::kAlphaMean));
  EXPECT_EQ(status.alpha_max, report::Value(run, report::Measure::kAlphaMax));
}

TEST(Measure, StatusAndReportSayTheSameOfOneJob) {
  ExpectEqual(kMeasured);
  std::map<std::string, double> without_all = kMeasured;
  without_all.erase("validation_loss/all");
  ExpectEqual(without_all);
  std::map<std::string, double> of_another_epsilon = kMeasured;
  of_another_epsilon.erase("sink_rate/0.3/1");
  of_another_epsilon.erase("sink_rate/0.3/bias");
  of_another_epsilon["sink_rate/0.15/1"] = 0.625;
  ExpectEqual(of_another_epsilon);
  ExpectEqual({});
}

TEST(Measure, ValuesAreThoseOfAllDomainsTheFirstPositionAndTheLayers) {
  v1::Progress progress;
  for (const auto& [name, value] : kMeasured) (*progress.mutable_latest())[name] = value;
  const Measurements measured = Measure(progress);
  EXPECT_EQ(measured.validation_loss, 2.25);
  EXPECT_EQ(measured.sink_rate, 0.25);
  EXPECT_EQ(measured.hidden_norm_ratio, 7.0);
}

// S12 of tests/security/README.md: a configuration that ends whoever prints it is none.
TEST(ReceivedJson, WhatIsNestedTooDeeplyIsNone) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += R"({"a":)";
  deep += "1" + std::string(200'000, '}');
  EXPECT_TRUE(ReceivedJson(deep).is_null());
  EXPECT_TRUE(ReceivedJson("{").is_null());
  EXPECT_EQ(ReceivedJson(R"({"train": {"max_steps": [1]}})")["train"]["max_steps"][0], 1);
}

}  // namespace
}  // namespace sink::cli
