// Blocks of points read back as they were written, and points that come again take their places.
#include "coordinator/store/point_table.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <random>

#include "coordinator/store/memory_store.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace sink::store {
namespace {

constexpr char kJob[] = "0123456789abcdef0123456789abcdef";

TEST(PointBlock, ReadsBackWhatWasAppended) {
  std::vector<StoredPoint> points;
  for (int64_t step : {int64_t{0}, int64_t{1}, int64_t{1} << 48, std::numeric_limits<int64_t>::max()}) {
    for (int64_t series : {int64_t{1}, int64_t{2}, int64_t{100'000}, int64_t{3}}) {
      points.push_back({series, step, 1.5 * static_cast<double>(series), static_cast<int>(step % 3)});
    }
  }
  std::string block;
  EXPECT_EQ(AppendToBlock(points, 0, &block), points.size());
  std::vector<StoredPoint> read;
  ASSERT_TRUE(DecodeBlock(block, &read));
  ASSERT_EQ(read.size(), points.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].series, points[i].series);
    EXPECT_EQ(read[i].step, points[i].step);
    EXPECT_EQ(read[i].value, points[i].value);
    EXPECT_EQ(read[i].attempt, points[i].attempt);
  }
}

TEST(PointBlock, IsFilledUpToItsSizeAndNoFurther) {
  std::vector<StoredPoint> points(5000, {1, 1, 0.5, 1});
  for (size_t i = 0; i < points.size(); ++i) points[i].series = static_cast<int64_t>(i);
  for (size_t next = 0; next < points.size();) {
    std::string block;
    const size_t count = AppendToBlock(points, next, &block);
    ASSERT_GT(count, 0u);
    EXPECT_LE(block.size(), kBlockBytes);
    next += count;
    if (next < points.size()) {
      EXPECT_GT(block.size(), kBlockBytes * 9 / 10);
    }
  }
}

TEST(PointBlock, DamageIsFoundOrHarmlessAndNeverReadsBeyondTheEnd) {
  std::vector<StoredPoint> points;
  for (int i = 0; i < 100; ++i) points.push_back({i % 10, i / 10, 0.1 * i, 1});
  const std::string block = EncodeBlock(points);
  for (size_t size = 0; size < block.size(); ++size) {
    std::vector<StoredPoint> read;
    DecodeBlock(std::string_view(block).substr(0, size), &read);
  }
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = block;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    std::vector<StoredPoint> read;
    DecodeBlock(damaged, &read);
    EXPECT_LE(read.size(), 2 * block.size());
  }
}

// Attempts that end anywhere and begin again at an earlier step, measuring some names at some steps, in reports of any
// size: the table holds what the store in memory holds.
TEST(PointTable, AgreesWithTheStoreInMemoryWhateverIsRepeated) {
  testing::TempDir folder;
  auto sqlite = SqliteStore::Open(folder / "d");
  ASSERT_TRUE(sqlite.ok()) << sqlite.status();
  MemoryStore memory;
  const std::vector<JobStore*> stores = {sqlite->get(), &memory};
  for (JobStore* store : stores) {
    ASSERT_TRUE(store
                    ->Write([](Transaction& rows) {
                      Sweep sweep;
                      sweep.name = "s";
                      rows.PutSweep(sweep).IgnoreError();
                      Job job;
                      job.id = kJob;
                      job.home_sweep = "s";
                      return rows.InsertJob(job, "{}");
                    })
                    .ok());
  }
  std::mt19937 random(11);
  int64_t begin = 0;
  for (int attempt = 1; attempt <= 12; ++attempt) {
    const int64_t end = begin + 1 + static_cast<int64_t>(random() % 300);
    std::vector<MetricPoint> report;
    for (int64_t step = begin; step < end; ++step) {
      for (int name = 0; name < 12; ++name) {
        if (name > 0 && random() % 3 != 0) continue;
        report.push_back({0, "name/" + std::to_string(name), step, static_cast<double>(random()), attempt});
      }
      if (random() % 8 != 0 && step + 1 < end) continue;
      if (random() % 8 == 0) std::shuffle(report.begin(), report.end(), random);
      if (random() % 8 == 0) report.push_back(report.front());
      for (JobStore* store : stores) {
        ASSERT_TRUE(store->Write([&](Transaction& rows) { return rows.PutMetrics(kJob, report); }).ok());
      }
      report.clear();
    }
    begin = std::max<int64_t>(0, end - static_cast<int64_t>(random() % 300));
  }
  for (int i = 0; i < 500; ++i) {
    const std::string name = "name/" + std::to_string(random() % 13);  // one more than there are
    const int64_t until = static_cast<int64_t>(random() % 1000), after = until - static_cast<int64_t>(random() % 100);
    std::optional<double> last[2];
    for (int store = 0; store < 2; ++store) {
      const absl::Status status = stores[store]->Read([&](Snapshot& rows) {
        const auto value = rows.LastValue(kJob, name, after, until);
        if (value.ok()) last[store] = *value;
        return value.status();
      });
      ASSERT_TRUE(status.ok()) << status;
    }
    EXPECT_EQ(last[0], last[1]) << name << " after " << after << " until " << until;
  }
  std::map<std::pair<std::string, int64_t>, std::pair<double, int>> read[2];
  std::vector<std::string> order[2];
  for (int i = 0; i < 2; ++i) {
    MetricQuery page;
    page.limit = 97;
    for (bool more = true; more;) {
      std::vector<MetricPoint> points;
      const absl::Status status = stores[i]->Read([&](Snapshot& rows) {
        auto listed = rows.ListMetrics(kJob, page);
        if (listed.ok()) points = *listed;
        return listed.status();
      });
      ASSERT_TRUE(status.ok()) << status;
      for (const MetricPoint& point : points) {
        EXPECT_GT(point.id, page.after);
        page.after = point.id;
        const bool is_new = read[i].insert({{point.name, point.step}, {point.value, point.attempt}}).second;
        EXPECT_TRUE(is_new) << point.name << " " << point.step;
        order[i].push_back(point.name + "@" + std::to_string(point.step));
      }
      more = !points.empty();
    }
    MetricSample sample;
    ASSERT_TRUE(stores[i]
                    ->Read([&](Snapshot& rows) {
                      sample = *rows.SampleMetrics(kJob, {});
                      return absl::OkStatus();
                    })
                    .ok());
    EXPECT_EQ(sample.points.size(), read[i].size()) << "of so few points all are the sample";
    EXPECT_EQ(sample.last, page.after);
  }
  EXPECT_GT(read[0].size(), 2000u);
  EXPECT_EQ(read[0], read[1]);
  EXPECT_EQ(order[0], order[1]) << "a point that is replaced keeps its place";
}

// A chart of a job with hundreds of blocks reads some of them, and all where it would show too few points otherwise.
TEST(PointTable, TheSampleOfALongJobIsEvenlySpreadAndEndsWithTheNewestPoint) {
  constexpr int64_t kSteps = 200'000, kRare = 4'000;
  testing::TempDir folder;
  auto store = SqliteStore::Open(folder / "d");
  ASSERT_TRUE(store.ok());
  const auto value = [](int64_t step) { return 1.0 / static_cast<double>(step); };
  ASSERT_TRUE((*store)
                  ->Write([&](Transaction& rows) -> absl::Status {
                    Sweep sweep;
                    sweep.name = "s";
                    rows.PutSweep(sweep).IgnoreError();
                    Job job;
                    job.id = kJob;
                    job.home_sweep = "s";
                    rows.InsertJob(job, "{}").IgnoreError();
                    std::vector<MetricPoint> points;
                    for (int64_t step = 1; step <= kSteps; ++step) {
                      points.push_back({0, "loss", step, value(step), 1});
                      if (step % kRare == 0) points.push_back({0, "rare", step, value(step), 1});
                    }
                    return rows.PutMetrics(kJob, points);
                  })
                  .ok());
  MetricSample loss, rare;
  std::vector<MetricPoint> after;
  ASSERT_TRUE((*store)
                  ->Read([&](Snapshot& rows) {
                    loss = *rows.SampleMetrics(kJob, {"loss"});
                    rare = *rows.SampleMetrics(kJob, {"rare"});
                    MetricQuery rest;
                    rest.after = loss.last;
                    after = *rows.ListMetrics(kJob, rest);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_GT(loss.points.size(), 500u);
  EXPECT_LT(loss.points.size(), 5'000u);
  EXPECT_EQ(loss.points.front().step, 1);
  EXPECT_EQ(loss.points.back().step, kSteps);
  EXPECT_EQ(rare.points.size(), static_cast<size_t>(kSteps / kRare));
  EXPECT_TRUE(after.empty());
  for (size_t i = 0; i < loss.points.size(); ++i) {
    const MetricPoint& point = loss.points[i];
    ASSERT_EQ(point.name, "loss");
    ASSERT_EQ(point.value, value(point.step));
    if (i == 0) continue;
    ASSERT_GT(point.id, loss.points[i - 1].id);
    ASSERT_LE(point.step - loss.points[i - 1].step, kSteps / 60);
  }
}

TEST(PointTable, ABodyThatFailsLeavesNeitherPointsNorNames) {
  testing::TempDir folder;
  auto store = SqliteStore::Open(folder / "d");
  ASSERT_TRUE(store.ok());
  const auto put = [&](const std::string& name, double value, bool fails) {
    return (*store)->Write([&](Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = "s";
      rows.PutSweep(sweep).IgnoreError();
      Job job;
      job.id = kJob;
      job.home_sweep = "s";
      rows.InsertJob(job, "{}").IgnoreError();
      absl::Status status = rows.PutMetrics(kJob, {{0, name, 1, value, 1}});
      return fails ? absl::AbortedError("") : status;
    });
  };
  EXPECT_FALSE(put("first", 1, true).ok());
  ASSERT_TRUE(put("second", 2, false).ok());
  ASSERT_TRUE(put("first", 3, false).ok());
  std::vector<MetricPoint> points;
  ASSERT_TRUE((*store)
                  ->Read([&](Snapshot& rows) {
                    points = *rows.ListMetrics(kJob, {});
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].name, "second");
  EXPECT_EQ(points[0].value, 2);
  EXPECT_EQ(points[1].name, "first");
  EXPECT_EQ(points[1].value, 3);
}

// A restart from an early step repeats a few points of a long curve at a time: blocks beyond them are none of its
// business, so that even a damaged one is not read.
TEST(PointTable, RepeatedStepsReadOnlyTheBlocksThatMayHoldThem) {
  testing::TempDir folder;
  const auto open = [&] {
    auto store = SqliteStore::Open(folder / "d");
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  };
  const auto put = [](JobStore& store, int64_t first, int64_t last, int attempt) {
    std::vector<MetricPoint> points;
    for (int64_t step = first; step <= last; ++step) points.push_back({0, "loss", step, 1.0 / double(step), attempt});
    return store.Write([&](Transaction& rows) { return rows.PutMetrics(kJob, points); });
  };
  {
    auto store = open();
    Job job;
    job.id = kJob;
    job.home_sweep = "s";
    const auto insert = [&](Transaction& rows) {
      Sweep sweep;
      sweep.name = "s";
      rows.PutSweep(sweep).IgnoreError();
      return rows.InsertJob(job, "{}");
    };
    ASSERT_TRUE(store->Write(insert).ok());
    for (int64_t step = 1; step < 30'000; step += 1000) ASSERT_TRUE(put(*store, step, step + 999, 1).ok());
  }
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "d/sink.db").c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw,
                         "UPDATE points SET data = x'ff' WHERE place = (SELECT max(place) - 1 FROM points) AND place > "
                         "(SELECT min(place) FROM points)",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  ASSERT_EQ(sqlite3_changes(raw), 1);
  sqlite3_close(raw);
  auto store = open();
  const absl::Status repeated = put(*store, 1, 3, 2);
  EXPECT_TRUE(repeated.ok()) << repeated;
  EXPECT_FALSE(put(*store, 1, 30'000, 2).ok()) << "which reads them all";
}

}  // namespace
}  // namespace sink::store
