// OpenMetrics: who gets it, and every line of it.
#include "coordinator/service/open_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "coordinator/service/families.h"

namespace sink {
namespace {

TEST(OpenMetrics, IsForWhoPrefersItToPlainText) {
  EXPECT_TRUE(PrefersOpenMetrics("application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"));
  EXPECT_TRUE(PrefersOpenMetrics("Application/OpenMetrics-Text"));
  EXPECT_FALSE(PrefersOpenMetrics("application/openmetrics-text; q=0.3, text/plain; q=0.5"));
  EXPECT_FALSE(PrefersOpenMetrics("application/openmetrics-text;q=0"));
  EXPECT_FALSE(PrefersOpenMetrics("text/plain"));
  EXPECT_FALSE(PrefersOpenMetrics("*/*"));
  EXPECT_FALSE(PrefersOpenMetrics(""));
}

TEST(OpenMetrics, EveryKindOfFamilyIsWrittenAsTheFormatSays) {
  Families families;
  families.Counter("sink_checkpoint_bytes_total", "Bytes of\ncheckpoints", 12345678901234);
  prometheus::ClientMetric histogram;
  histogram.histogram = {.sample_count = 3, .sample_sum = 1.25, .bucket = {{1, 0.5}, {2, 1}, {3, INFINITY}}};
  families.Add("sink_dispatch_seconds", "Waiting", prometheus::MetricType::Histogram, histogram);
  families.Gauge("sink_job_info", "Where", 1, {{"job", "a"}, {"setting", "x=\"1\\2\"\n"}});
  families.Gauge("sink_rate_ratio", "Share", 0.1, {{"job", "a"}});
  families.Gauge("sink_train_loss", "Loss", NAN);
  families.Gauge("sink_train_loss", "Loss", -INFINITY, {{"job", "b"}});
  EXPECT_EQ(OpenMetricsText(families.Take()),
            "# TYPE sink_checkpoint_bytes counter\n"
            "# UNIT sink_checkpoint_bytes bytes\n"
            "# HELP sink_checkpoint_bytes Bytes of\\ncheckpoints\n"
            "sink_checkpoint_bytes_total 12345678901234\n"
            "# TYPE sink_dispatch_seconds histogram\n"
            "# UNIT sink_dispatch_seconds seconds\n"
            "# HELP sink_dispatch_seconds Waiting\n"
            "sink_dispatch_seconds_bucket{le=\"0.5\"} 1\n"
            "sink_dispatch_seconds_bucket{le=\"1.0\"} 2\n"
            "sink_dispatch_seconds_bucket{le=\"+Inf\"} 3\n"
            "sink_dispatch_seconds_count 3\n"
            "sink_dispatch_seconds_sum 1.25\n"
            "# TYPE sink_job info\n"
            "# HELP sink_job Where\n"
            "sink_job_info{job=\"a\",setting=\"x=\\\"1\\\\2\\\"\\n\"} 1\n"
            "# TYPE sink_rate_ratio gauge\n"
            "# UNIT sink_rate_ratio ratio\n"
            "# HELP sink_rate_ratio Share\n"
            "sink_rate_ratio{job=\"a\"} 0.1\n"
            "# TYPE sink_train_loss gauge\n"
            "# HELP sink_train_loss Loss\n"
            "sink_train_loss NaN\n"
            "sink_train_loss{job=\"b\"} -Inf\n"
            "# EOF\n");
}

}  // namespace
}  // namespace sink
