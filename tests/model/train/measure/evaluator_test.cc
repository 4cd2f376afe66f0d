// What a job's eval.metrics adds to the records of a run.
#include "model/train/measure/evaluator.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/model/train/helpers/tiny_job.h"

namespace sink::train {
namespace {

std::set<std::string> NamesOf(const TinyJob& job) {
  std::vector<pipe::Event> events;
  EXPECT_EQ(job.Train(job.MakeRun("run"), events), RunOutcome::kFinished);
  std::set<std::string> names;
  for (const pipe::Event& event : events)
    if (const auto* metrics = std::get_if<pipe::Metrics>(&event))
      for (const auto& [name, value] : metrics->values) names.insert(name);
  return names;
}

TEST(Evaluator, MetricsOfAJobAreSeriesByLayer) {
  TinyJob plain;
  plain.config.train.max_steps = 2;
  TinyJob job;
  job.config.train.max_steps = 2;
  job.config.eval.metrics = {"first_attention", "kurtosis", "gate_mean"};  // it has no gate
  std::set<std::string> expected = NamesOf(plain);
  EXPECT_FALSE(expected.contains("kurtosis/all"));
  expected.insert({"first_attention/0", "first_attention/1", "first_attention/all", "kurtosis/0", "kurtosis/1",
                   "kurtosis/2", "kurtosis/all"});
  EXPECT_EQ(NamesOf(job), expected);
}

}  // namespace
}  // namespace sink::train
