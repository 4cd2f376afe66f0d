// What a job's eval.metrics adds to the records of a run.
#include "model/train/measure/evaluator.h"

#include <c10/util/Exception.h>
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

// A step that is recorded holds memory, which its owner can give back.
TEST(Evaluator, MakesRoomAndBeginsOnceMoreWhereMemoryRunsOut) {
  const TinyJob job;
  const JobFile file = ReadJobFile(job.MakeRun("run"));
  Transformer model(file.config.model, at::kCPU);
  model.Initialize(1);
  Evaluator evaluator(file, at::kCPU, 2);
  int calls = 0, room_made = 0, fail_at = 0;
  const auto go_on = [&] {
    TORCH_CHECK_WITH(OutOfMemoryError, ++calls != fail_at, "CUDA out of memory");
    return true;
  };
  const auto make_room = [&](const std::string& why) {
    ++room_made;
    fail_at = 0;
    EXPECT_EQ(why, "CUDA out of memory");
  };
  const auto expected = evaluator.Measure(model, go_on, make_room);
  EXPECT_EQ(room_made, 0);
  fail_at = calls + 3;
  const auto measured = evaluator.Measure(model, go_on, make_room);
  EXPECT_EQ(room_made, 1);
  ASSERT_TRUE(expected && measured);
  EXPECT_EQ(measured->metrics.values, expected->metrics.values);
  EXPECT_THROW(evaluator.Measure(
                   model, []() -> bool { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory"); },
                   [&](const std::string&) { ++room_made; }),
               c10::OutOfMemoryError);
  EXPECT_EQ(room_made, 2) << "once each time";
}

}  // namespace
}  // namespace sink::train
