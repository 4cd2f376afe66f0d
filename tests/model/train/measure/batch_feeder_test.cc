// Batches read ahead are the batches that would have been read, and the cursor does not tell.
#include "model/train/measure/batch_feeder.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "model/train/measure/batch.h"
#include "tests/model/train/helpers/tiny_job.h"

namespace sink::train {
namespace {

TEST(BatchFeeder, ReadingAheadGivesTheSameBatchesAndCursors) {
  const TinyJob job;
  const JobFile file = ReadJobFile(job.MakeRun("run"));
  const auto feeder = [&](bool ahead) {
    return BatchFeeder(data::Loader(LoaderOptionsOf(file, "train")), 3, 64, at::kCPU, ahead);
  };
  BatchFeeder plain = feeder(false), ahead = feeder(true);
  data::Loader loader(LoaderOptionsOf(file, "train"));
  for (int i = 0; i < 5; ++i) {
    const at::Tensor batch = ahead.Next();
    EXPECT_TRUE(batch.equal(ReadBatch(loader, 3, 64, at::kCPU))) << i;
    EXPECT_TRUE(batch.equal(plain.Next())) << i;
    EXPECT_EQ(ahead.cursor(), loader.cursor()) << i;
    EXPECT_EQ(plain.cursor(), loader.cursor()) << i;
  }
  ahead.Seek({});
  loader.Seek({});
  EXPECT_EQ(ahead.cursor(), data::Cursor());
  EXPECT_TRUE(ahead.Next().equal(ReadBatch(loader, 3, 64, at::kCPU)));
}

TEST(BatchFeeder, ABatchThatCannotBeReadAheadFailsNoneBeforeIt) {
  const TinyJob job;
  data::LoaderOptions options = LoaderOptionsOf(ReadJobFile(job.MakeRun("run")), "train");
  const int64_t rows = data::Loader(options).rows_per_epoch();
  job.AddNoise();  // has every id
  options.vocab_size = 47;
  data::Loader loader(options);
  int64_t good = 0;  // rows before the first with an id that is not below 47
  try {
    for (std::vector<int32_t> row(65); good < rows; ++good) loader.Next(1, row.data());
  } catch (const data::DataError&) {
  }
  ASSERT_GT(good, 0);
  ASSERT_LT(good, rows);
  BatchFeeder feeder(data::Loader(options), good, 64, at::kCPU, /*ahead=*/true);
  EXPECT_NO_THROW(feeder.Next());
  EXPECT_EQ(feeder.cursor().position, good);
  EXPECT_THROW(feeder.Next(), data::DataError);
  EXPECT_THROW(feeder.Next(), data::DataError) << "and none is passed over";
  feeder.Seek({});
  EXPECT_NO_THROW(feeder.Next());
}

// A batch that was given out stays as it is while others are read.
TEST(BatchFeeder, BatchesAreTheCallersOwn) {
  const TinyJob job;
  BatchFeeder feeder(data::Loader(LoaderOptionsOf(ReadJobFile(job.MakeRun("run")), "train")), 2, 64, at::kCPU, true);
  const at::Tensor first = feeder.Next(), copy = first.clone();
  feeder.Next();
  feeder.Next();
  EXPECT_TRUE(first.equal(copy));
}

}  // namespace
}  // namespace sink::train
