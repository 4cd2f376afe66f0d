// The exporter over the in-memory store, with a clock that the test moves.
#include "coordinator/service/metrics_exporter.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "coordinator/store/memory_store.h"
#include "proto/config/job_config.h"

namespace sink {
namespace {

class MetricsExporterTest : public ::testing::Test {
 protected:
  MetricsExporterTest() : exporter_(&fail_stop_, [this] { return now_; }) {
    JobManager::Options options;
    options.new_lease_id = [] { return std::string(32, 'c'); };
    options.lease_duration_ms = 1'000'000'000;
    jobs_ = *JobManager::Start(&store_, options, &exporter_, now_);
    exporter_.SetJobs(jobs_.get());
    EXPECT_TRUE(jobs_
                    ->Register({.worker_id = std::string(32, 'a'),
                                .name = "w",
                                .session = std::string(32, 'b'),
                                .address = "",
                                .devices = 5000,
                                .device_kind = "cpu",
                                .version = "",
                                .held = {}},
                               now_)
                    .ok());
  }
  ~MetricsExporterTest() override { exporter_.SetJobs(nullptr); }

  // Leases `count` new jobs.
  std::vector<Grant> Run(int count) {
    SubmitRequest submit;
    submit.sweep = "s" + std::to_string(++poll_);
    for (int i = 0; i < count; ++i) {
      // Short ids must differ: the leading digits carry the number.
      char id[33];
      snprintf(id, sizeof id, "%06x%06x%020x", (i + 1) & 0xffffff, poll_ & 0xffffff, 0);
      submit.jobs.push_back(
          {.id = id, .config_json = "{}", .max_steps = 10, .experiment = "e", .label = "l", .index = i});
    }
    EXPECT_TRUE(jobs_->Submit(submit, now_).ok());
    std::vector<Grant> grants;
    while (static_cast<int>(grants.size()) < count) {
      auto got = jobs_->AcquireLeases(
          {.worker_id = std::string(32, 'a'), .session = std::string(32, 'b'), .poll = ++asked_, .devices_free = count},
          now_);
      if (!got.ok() || got->empty()) {
        ADD_FAILURE() << got.status();
        break;
      }
      grants.insert(grants.end(), got->begin(), got->end());
    }
    return grants;
  }

  // Samples of one family.
  size_t Count(const std::string& name) const {
    for (const auto& family : exporter_.Collect()) {
      if (family.name == name) return family.metric.size();
    }
    return 0;
  }
  double Value(const std::string& name) const {
    for (const auto& family : exporter_.Collect()) {
      if (family.name == name) return family.metric.at(0).gauge.value;
    }
    return -1;
  }

  Now now_{.unix_ms = 1, .steady_ms = 1000};
  FailStop fail_stop_;
  store::MemoryStore store_;
  MetricsExporter exporter_;
  std::unique_ptr<JobManager> jobs_;
  int poll_ = 0;
  uint64_t asked_ = 0;
};

TEST_F(MetricsExporterTest, SeriesOfAFinishedJobGoAfterFiveMinutes) {
  const std::vector<Grant> grants = Run(1);
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(Count("sink_job_step"), 1u);
  FinishRequest finish{.worker_id = std::string(32, 'a'), .lease = grants[0].lease, .message = ""};
  ASSERT_TRUE(jobs_->Finish(finish, now_).ok());
  now_.steady_ms += MetricsExporter::kAfterlifeMs;
  EXPECT_EQ(Count("sink_job_step"), 1u);
  now_.steady_ms += 1;
  EXPECT_EQ(Count("sink_job_step"), 0u);
}

TEST_F(MetricsExporterTest, JobsBeyondTheLimitAreCountedNotShown) {
  ASSERT_EQ(Run(1010).size(), 1010u);
  EXPECT_EQ(Count("sink_job_step"), MetricsExporter::kMaxJobs);
  EXPECT_EQ(Value("sink_jobs_without_series"), 10);
}

TEST_F(MetricsExporterTest, CountersAreShownWithoutAManager) {
  exporter_.LeaseExpired();
  exporter_.SetJobs(nullptr);
  EXPECT_EQ(Count("sink_lease_expirations_total"), 1u);
  EXPECT_EQ(Count("sink_jobs"), 0u);
}

TEST(JobSeries, EveryMetricThatAJobMayMeasureIsShownByLayer) {
  for (const std::string& name : EvalMetrics()) {
    Job job;
    job.progress.latest = LatestValues::FromMap({{name + "/7", 1}, {name + "/all", 2}, {name, 3}});
    std::map<std::string, prometheus::MetricFamily> families, without;
    AddJobSeries(Job(), &without);
    AddJobSeries(job, &families);
    ASSERT_EQ(families.size(), without.size() + 1) << name;
    for (const auto& [family, series] : families) {
      if (without.contains(family)) continue;
      ASSERT_EQ(series.metric.size(), 2u) << family;  // the name without a layer is no series
      EXPECT_EQ(series.metric[0].label[1].name, "layer");
      EXPECT_EQ(series.metric[0].label[1].value, "7");
      EXPECT_EQ(series.metric[1].label[1].value, "all");
    }
  }
}

}  // namespace
}  // namespace sink
