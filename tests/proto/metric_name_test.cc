// The names of metrics, read and written.
#include "proto/pipe/metric_name.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sink::pipe {
namespace {

TEST(MetricName, EveryKindIsReadAndWrittenBack) {
  const std::vector<std::pair<std::string, MetricName>> names = {
      {"train_loss", {.kind = MetricKind::kTrainLoss}},
      {"learning_rate", {.kind = MetricKind::kLearningRate}},
      {"gradient_norm", {.kind = MetricKind::kGradientNorm}},
      {"bos_token", {.kind = MetricKind::kBosToken}},
      {"validation_loss/all", {.kind = MetricKind::kValidationLoss, .domain = kAllDomains}},
      {"validation_loss/wiki-en.2", {.kind = MetricKind::kValidationLoss, .domain = "wiki-en.2"}},
      {"sink_rate/0.3/1", {.kind = MetricKind::kSinkRate, .epsilon = "0.3", .position = kFirstPosition}},
      {"sink_rate/1e-05/bias", {.kind = MetricKind::kSinkRate, .epsilon = "1e-05", .position = kBiasPosition}},
      {"alpha_mean/12", {.kind = MetricKind::kAlphaMean, .position = "12"}},
      {"alpha_max/bias", {.kind = MetricKind::kAlphaMax, .position = kBiasPosition}},
      {"hidden_norm_ratio/0", {.kind = MetricKind::kHiddenNormRatio, .layer = "0"}},
      {"kurtosis/31", {.kind = MetricKind::kEvalMetric, .metric = "kurtosis", .layer = "31"}},
      {"kurtosis/all", {.kind = MetricKind::kEvalMetric, .metric = "kurtosis", .layer = kAllLayers}},
  };
  for (const auto& [text, name] : names) {
    EXPECT_EQ(ParseMetricName(text), name) << text;
    EXPECT_EQ(FormatMetricName(name), text);
  }
}

TEST(MetricName, TheFamilyIsWhatStandsBeforeTheFirstSlash) {
  EXPECT_EQ(ParseMetricName("sink_rate/0.3/1")->family(), "sink_rate");
  EXPECT_EQ(ParseMetricName("kurtosis/3")->family(), "kurtosis");
  EXPECT_EQ(ParseMetricName("train_loss")->family(), "train_loss");
}

TEST(MetricName, OtherFormsAreNoNames) {
  for (const char* text : {"",
                           "/",
                           "/1",
                           "kurtosis",
                           "kurtosis/",
                           "kurtosis/x",
                           "kurtosis/-1",
                           "kurtosis/01",
                           "kurtosis/1/2",
                           "train_loss/1",
                           "bos_token/all",
                           "validation_loss",
                           "validation_loss/",
                           "sink_rate",
                           "sink_rate/0.3",
                           "sink_rate/0.3/",
                           "sink_rate//1",
                           "sink_rate/x/1",
                           "sink_rate/0.3x/1",
                           "sink_rate/nan/1",
                           "sink_rate/0.3/0",
                           "sink_rate/0.3/1/2",
                           "alpha_mean/0",
                           "alpha_mean/+1",
                           "alpha_mean/all",
                           "alpha_max/99999999999",
                           "hidden_norm_ratio/bias"}) {
    EXPECT_FALSE(ParseMetricName(text)) << text;
  }
}

TEST(MetricName, ThePapersEpsilonStandsForAJobElseTheSmallest) {
  EXPECT_TRUE(IsBetterEpsilon("0.3", "0.2"));
  EXPECT_FALSE(IsBetterEpsilon("0.2", "0.3"));
  EXPECT_FALSE(IsBetterEpsilon("0.3", "0.3"));
  EXPECT_TRUE(IsBetterEpsilon("0.2", "0.4"));
  EXPECT_FALSE(IsBetterEpsilon("0.4", "0.2"));
  EXPECT_TRUE(IsBetterEpsilon("1e-05", "0.01"));
  EXPECT_EQ(FormatEpsilon(0.3), "0.3");
  EXPECT_EQ(FormatEpsilon(1e-5), "1e-05");
}

TEST(ValidationLoss, IsThatOfAllDomainsElseTheMeanOverThem) {
  ValidationLoss loss;
  EXPECT_FALSE(loss.value());
  loss.Add("small", 4);
  loss.Add("large", 2);
  EXPECT_EQ(loss.value(), 3);
  loss.Add(kAllDomains, 2.25);
  EXPECT_EQ(loss.value(), 2.25);
}

}  // namespace
}  // namespace sink::pipe
