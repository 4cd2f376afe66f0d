// Which lines of a job's log stay, in both stores.
#include "coordinator/store/log_lines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "coordinator/job/status_macros.h"
#include "tests/coordinator/store/either_store.h"

namespace sink::store {
namespace {

constexpr int64_t kLinesKept = kFirstLinesKept + kNewestLinesKept;

std::string Id(int n) { return std::to_string(n) + std::string(31, 'a'); }

// A store with three jobs.
class LogLines : public EitherStore {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(EitherStore::SetUp());
    Must([](Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = "s";
      SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
      for (int n = 1; n <= 3; ++n) {
        Job job;
        job.id = Id(n);
        job.home_sweep = "s";
        SINK_RETURN_IF_ERROR(rows.InsertJob(job, "{}"));
      }
      return absl::OkStatus();
    });
  }

  // The job's lines from the number on, some hundred a transaction as a worker reports them; each says its number.
  void AppendLines(int job, int64_t first, int64_t count) {
    constexpr int64_t kAtOnce = 700;
    for (int64_t n = first; n < first + count;) {
      std::vector<LogLine> lines;
      for (const int64_t end = std::min(first + count, n + kAtOnce); n < end; ++n)
        lines.push_back({0, n, 1, "stdout", std::to_string(n)});
      Must([&](Transaction& rows) { return rows.AppendLogs(Id(job), lines); });
    }
  }
  std::vector<LogLine> Lines(int job, int64_t after = 0, int limit = 1'000'000) {
    return Get<std::vector<LogLine>>([&](Snapshot& rows) { return rows.ListLogs(Id(job), after, limit); });
  }
  std::vector<LogLine> Tail(int job, int count) {
    return Lines(job, Get<int64_t>([&](Snapshot& rows) { return rows.CursorBeforeTail(Id(job), count); }));
  }
  static std::vector<int64_t> Numbers(const std::vector<LogLine>& lines) {
    std::vector<int64_t> numbers;
    for (const LogLine& line : lines) numbers.push_back(std::stoll(line.text));
    return numbers;
  }
  // What is kept of so many lines.
  static std::vector<int64_t> KeptOf(int64_t count) {
    std::vector<int64_t> numbers;
    for (int64_t n = 1; n <= count; ++n)
      if (n <= kFirstLinesKept || n > count - kNewestLinesKept) numbers.push_back(n);
    return numbers;
  }
};

TEST_P(LogLines, OfALogTheFirstLinesStayAndTheNewestAndTheOldestBetweenGo) {
  AppendLines(1, 1, kLinesKept);
  EXPECT_EQ(Numbers(Lines(1)), KeptOf(kLinesKept)) << "all";
  for (const LogLine& line : Lines(1)) ASSERT_EQ(line.missing, 0) << line.text;
  AppendLines(1, kLinesKept + 1, 1);
  EXPECT_EQ(Numbers(Lines(1)), KeptOf(kLinesKept + 1));
  AppendLines(1, kLinesKept + 2, 4321);
  const std::vector<LogLine> lines = Lines(1);
  ASSERT_EQ(Numbers(lines), KeptOf(kLinesKept + 4322));
  for (size_t i = 0; i < lines.size(); ++i) {
    ASSERT_EQ(lines[i].missing, i == kFirstLinesKept ? 4322 : 0) << lines[i].text;
    ASSERT_EQ(lines[i].time_ms, std::stoll(lines[i].text));
    if (i > 0) {
      ASSERT_LT(lines[i - 1].cursor, lines[i].cursor);
    }
  }
}

TEST_P(LogLines, OneJobsManyLinesTakeNothingFromAnothersLog) {
  for (int64_t round = 0; round < 3; ++round) {
    for (const int quiet : {1, 3}) AppendLines(quiet, round * 5 + 1, 5);
    AppendLines(2, round * kLinesKept + 1, kLinesKept);
  }
  EXPECT_EQ(Numbers(Lines(2)), KeptOf(3 * kLinesKept));
  for (const int quiet : {1, 3}) {
    EXPECT_EQ(Numbers(Lines(quiet)), KeptOf(15)) << quiet;
    for (const LogLine& line : Lines(quiet)) EXPECT_EQ(line.missing, 0) << quiet << ": " << line.text;
  }
}

TEST_P(LogLines, AReaderWhoseLastLineIsGoneGoesOnWithWhatIsKept) {
  AppendLines(1, 1, 1500);
  const int64_t at_1500 = Lines(1).back().cursor;
  AppendLines(1, 1501, kLinesKept);
  std::vector<LogLine> next = Lines(1, at_1500, 2);
  ASSERT_EQ(Numbers(next), (std::vector<int64_t>{2501, 2502}));
  EXPECT_EQ(next[0].missing, 1000);
  EXPECT_EQ(next[1].missing, 0);
  // Page after page: every line once, and the gap between two pages is seen as well.
  std::vector<LogLine> read;
  int64_t missing = 0;
  for (int64_t after = 0; !(next = Lines(1, after, 500)).empty(); after = next.back().cursor) {
    for (const LogLine& line : next) missing += line.missing;
    read.insert(read.end(), next.begin(), next.end());
  }
  EXPECT_EQ(Numbers(read), KeptOf(1500 + kLinesKept));
  EXPECT_EQ(missing, 1500);
  EXPECT_EQ(Numbers(Tail(1, 2)), (std::vector<int64_t>{1499 + kLinesKept, 1500 + kLinesKept}));
  EXPECT_EQ(Tail(1, kNewestLinesKept + 10).at(10).missing, 1500);
  EXPECT_EQ(Numbers(Tail(1, kLinesKept)), KeptOf(1500 + kLinesKept));
}

TEST_P(LogLines, LinesThatAFailedBodyWouldHaveDroppedStay) {
  AppendLines(1, 1, kLinesKept);
  const absl::Status status = store_->Write([&](Transaction& rows) -> absl::Status {
    SINK_RETURN_IF_ERROR(rows.AppendLogs(Id(1), std::vector<LogLine>(3000, {0, 1, 1, "stdout", "0"})));
    SINK_ASSIGN_OR_RETURN(const std::vector<LogLine> seen, rows.ListLogs(Id(1), 0, 1'000'000));
    EXPECT_EQ(seen.size(), static_cast<size_t>(kLinesKept));
    EXPECT_EQ(seen[kFirstLinesKept].missing, 3000);
    return absl::AbortedError("changed my mind");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Numbers(Lines(1)), KeptOf(kLinesKept));
}

INSTANTIATE_TEST_SUITE_P(Stores, LogLines, ::testing::Values("memory", "sqlite"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace sink::store
