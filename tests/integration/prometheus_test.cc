// A real Prometheus server scrapes a live sweep; the sink rate is there while the job still trains.
#include <gtest/gtest.h>

#include "tests/testing/test_cluster.h"
#include "tests/testing/unused_port.h"

namespace sink {
namespace {

using testing::RunCommand;
using testing::TestCluster;
using testing::UnusedPort;
using testing::WaitFor;

TEST(Prometheus, AnswersTheSinkRateOfALiveJob) {
  if (RunCommand({"prometheus", "--version"}).exit_code != 0)
    GTEST_SKIP() << "no prometheus on this machine; deploy/bootstrap.sh --tests installs it";
  TestCluster cluster;
  testing::WriteFile(cluster.path("prometheus.yml"),
                     "global: {scrape_interval: 1s}\n"
                     "scrape_configs:\n"
                     "  - job_name: sink\n"
                     "    static_configs: [{targets: [\"" +
                         cluster.metrics_address() + "\"]}]\n");
  const std::string server = "127.0.0.1:" + std::to_string(UnusedPort());
  testing::ChildProcess prometheus({"prometheus", "--config.file", cluster.path("prometheus.yml"),
                                    "--storage.tsdb.path", cluster.path("tsdb"), "--web.listen-address", server},
                                   cluster.path("logs/prometheus.log"));
  const std::string file = cluster.WriteSweep("live.yaml", testing::TinySweep("live", 1000000, {"1e-3", "4e-3"}));
  ASSERT_EQ(cluster.Sinkctl({"submit", file}).exit_code, 0);

  const auto query = [&](const std::string& expression) {
    const auto result = RunCommand(
        {"curl", "-s", "--get", "http://" + server + "/api/v1/query", "--data-urlencode", "query=" + expression});
    const nlohmann::json json = result.Json();
    return json.is_object() && json.contains("data") ? json["data"]["result"] : nlohmann::json::array();
  };
  nlohmann::json rates;
  EXPECT_TRUE(WaitFor(60, [&] {
    rates = query("sink_rate_ratio{epsilon=\"0.3\",position=\"1\"}");
    return rates.size() == 2;
  })) << rates.dump();
  for (const nlohmann::json& rate : rates) {
    const double value = std::stod(rate["value"][1].get<std::string>());
    EXPECT_GE(value, 0.0);
    EXPECT_LE(value, 1.0);
  }
  for (const char* expression :
       {"sink_jobs{state=\"RUNNING\"} == 2", "sink_workers{state=\"connected\"} == 2", "sink_job_step > 0",
        "sink_train_loss > 0", "sink_validation_loss > 0", "sink_learning_rate > 0", "sink_gradient_norm > 0",
        "sink_tokens_total > 0", "sink_tokens_per_second > 0", "sink_hidden_norm_ratio > 0",
        "sink_dispatch_seconds_count >= 2", "sink_checkpoint_bytes_total > 0", "sink_lease_expirations_total >= 0"})
    EXPECT_TRUE(WaitFor(20, [&] { return !query(expression).empty(); })) << expression;

  // Prometheus asks for OpenMetrics and has read it; who does not gets the older format, of which its linter has no
  // word.
  const std::string metrics = "http://" + cluster.metrics_address() + "/metrics";
  const auto linted = RunCommand({"sh", "-c", "curl -sf " + metrics + " | promtool check metrics 2>&1"});
  EXPECT_EQ(linted.exit_code, 0) << linted.out;
  EXPECT_EQ(linted.out, "");
  const auto open = RunCommand({"curl", "-sf", "-H", "Accept: application/openmetrics-text", metrics});
  EXPECT_NE(open.out.find("# UNIT sink_checkpoint_bytes bytes\n"), std::string::npos);
  EXPECT_TRUE(open.out.ends_with("# EOF\n"));

  // The series of a job that has ended a while ago go; those of the fleet stay.
  ASSERT_EQ(cluster.Sinkctl({"cancel", "live"}).exit_code, 0);
  ASSERT_TRUE(cluster.WaitUntilFinal("live", 60));
  EXPECT_TRUE(WaitFor(20, [&] { return !query("sink_jobs{state=\"CANCELLED\"} == 2").empty(); }));
}

}  // namespace
}  // namespace sink
