// In what two settings differ.
#include "coordinator/report/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sink::report {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Differing(const std::string& a, const std::string& b) {
  report::Run of_a, of_b;
  of_a.settings = Json::parse(a);
  of_b.settings = Json::parse(b);
  return DifferingKeys(of_a, of_b);
}

TEST(DifferingKeys, AreInTheFirstOnesOrder) {
  EXPECT_THAT(Differing(R"({"train": {"learning_rate": 0.001, "max_steps": 9}, "model": {"variant": {"window": 0}}})",
                        R"({"model": {"variant": {"window": 16}}, "train": {"max_steps": 9, "learning_rate": 0.1}})"),
              ElementsAre("train.learning_rate", "model.variant.window"));
}

TEST(DifferingKeys, LeaveOutTheSeedAndWhatNoResultDependsOn) {
  EXPECT_THAT(Differing(R"({"train": {"seed": 42, "log_every": 1, "micro_batch_size": 2}, "checkpoint": {"every": 5}})",
                        R"({"train": {"seed": 43, "log_every": 2, "micro_batch_size": 4}, "checkpoint": {"keep": 2}})"),
              IsEmpty());
}

TEST(DifferingKeys, NameWhatOnlyOneOfThemHas) {
  EXPECT_THAT(Differing(R"({"model": {"variant": {"ffn": "none"}, "hidden_size": 64}})",
                        R"({"model": {"variant": {"window": 16}}, "eval": {"tokens": 64}})"),
              ElementsAre("model.variant.ffn", "model.variant.window", "model.hidden_size", "eval.tokens"));
  EXPECT_THAT(Differing(R"({"data": "bytes"})", R"({"data": {"set": "bytes"}})"), ElementsAre("data", "data.set"));
}

}  // namespace
}  // namespace sink::report
