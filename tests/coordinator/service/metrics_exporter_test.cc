// The exporter over the in-memory store, with a clock that the test moves; and its size, over SQLite and HTTP.
#include "coordinator/service/metrics_exporter.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/core/job_manager.h"
#include "coordinator/service/device_series.h"
#include "coordinator/service/scrape_endpoint.h"
#include "coordinator/store/memory_store.h"
#include "coordinator/store/sqlite_store.h"
#include "proto/config/job_config.h"
#include "proto/files/descriptor.h"
#include "proto/pipe/events.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

class MetricsExporterTest : public ::testing::Test {
 protected:
  MetricsExporterTest()
      : exporter_(
            &fail_stop_, [this] { return now_; }, ".") {
    CoreOptions options;
    options.new_lease_id = [] { return std::string(32, 'c'); };
    options.lease_duration_ms = 1'000'000'000;
    jobs_ = *JobManager::Start(&store_, options, &exporter_, now_);
    exporter_.SetQueries(&jobs_->queries());
    EXPECT_TRUE(jobs_->workers()
                    .Register({.worker_id = std::string(32, 'a'),
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
  ~MetricsExporterTest() override { exporter_.SetQueries(nullptr); }

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
    EXPECT_TRUE(jobs_->clients().Submit(submit, now_).ok());
    std::vector<Grant> grants;
    while (static_cast<int>(grants.size()) < count) {
      auto got = jobs_->dispatcher().AcquireLeases(
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

  std::vector<prometheus::ClientMetric> Samples(const std::string& name) const {
    for (const auto& family : exporter_.Collect()) {
      if (family.name == name) return family.metric;
    }
    return {};
  }
  size_t Count(const std::string& name) const { return Samples(name).size(); }
  double Value(const std::string& name) const { return Samples(name).at(0).gauge.value; }
  // Of the sample whose last label is `label`.
  double Counted(const std::string& name, const std::string& label) const {
    for (const auto& sample : Samples(name)) {
      if (sample.label.back().value == label) return sample.counter.value;
    }
    return -1;
  }
  void Report(const Lease& lease, const std::vector<pipe::Event>& records) {
    std::vector<Event> events;
    for (const pipe::Event& record : records) events.push_back({events.size() + 1, pipe::Encode(record), 0});
    EXPECT_TRUE(jobs_->workers().Report(std::string(32, 'a'), lease, events, now_).ok());
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
  ASSERT_TRUE(jobs_->workers().Finish(finish, now_).ok());
  now_.steady_ms += MetricsExporter::kShownAfterEndMs;
  EXPECT_EQ(Count("sink_job_step"), 1u);
  now_.steady_ms += 1;
  EXPECT_EQ(Count("sink_job_step"), 0u);
}

TEST_F(MetricsExporterTest, AJobIsShownInEveryPlaceOfASweep) {
  Run(1);
  const auto places = Samples("sink_job_info");
  ASSERT_EQ(places.size(), 1u);
  std::map<std::string, std::string> labels;
  for (const auto& label : places[0].label) labels[label.name] = label.value;
  EXPECT_EQ(labels.at("sweep"), "s1");
  EXPECT_EQ(labels.at("experiment"), "e");
  EXPECT_EQ(labels.at("setting"), "l");
  now_.steady_ms += 1000;  // not looked up again yet, and not forgotten
  EXPECT_EQ(Count("sink_job_info"), 1u);
}

TEST_F(MetricsExporterTest, TokensThatARestartRepeatsCountOnce) {
  const std::vector<Grant> grants = Run(1);
  Report(grants[0].lease, {pipe::Hello{}, pipe::Progress{.step = 5, .tokens = 500, .tokens_per_second = 10}});
  EXPECT_EQ(Samples("sink_tokens_total").at(0).counter.value, 500);
  Report(grants[0].lease, {pipe::Hello{}, pipe::Progress{}, pipe::Progress{.step = 3, .tokens = 300}});
  EXPECT_EQ(Value("sink_job_step"), 3);
  EXPECT_EQ(Samples("sink_tokens_total").at(0).counter.value, 500);
}

TEST_F(MetricsExporterTest, JobsThatAreQueuedAgainHaveNoRateHoweverManyThereAre) {
  const std::vector<Grant> grants = Run(2 * MetricsExporter::kLookUpsPerScrape);
  for (const Grant& grant : grants)
    Report(grant.lease, {pipe::Hello{}, pipe::Progress{.step = 5, .tokens_per_second = 10}});
  const auto rate = [this] {
    double sum = 0;
    for (const auto& sample : Samples("sink_tokens_per_second")) sum += sample.gauge.value;
    return sum;
  };
  EXPECT_EQ(rate(), 10.0 * static_cast<double>(grants.size()));
  for (const Grant& grant : grants) {
    const FinishRequest back{
        .worker_id = std::string(32, 'a'), .lease = grant.lease, .outcome = JobState::kCancelled, .message = "drain"};
    ASSERT_TRUE(jobs_->workers().Finish(back, now_).ok());
  }
  now_.steady_ms += 1000;
  EXPECT_EQ(rate(), 0);
}

TEST_F(MetricsExporterTest, ANewAttemptShowsTheCheckpointThatItGoesOnFromAtOnce) {
  const std::string worker(32, 'a');
  const Lease lease = Run(1).at(0).lease;
  Report(lease, {pipe::Hello{}, pipe::Progress{.step = 3}, pipe::Progress{.step = 8}});
  for (const int64_t step : {3, 8})
    ASSERT_TRUE(jobs_->workers().CommitCheckpoint(worker, lease, {step, "hash", {}, 3}, now_).ok());
  EXPECT_EQ(Value("sink_job_checkpoint_step"), 8);
  const FinishRequest failed{.worker_id = worker,
                             .lease = lease,
                             .outcome = JobState::kFailed,
                             .failure_class = FailureClass::kUser,
                             .message = "m"};
  ASSERT_TRUE(jobs_->workers().Finish(failed, now_).ok());
  now_.steady_ms += 1000;
  EXPECT_EQ(Value("sink_job_checkpoint_step"), 8);
  ASSERT_TRUE(jobs_->clients().Retry({"", {lease.job_id}}, now_, /*from_step=*/3).ok());
  now_.steady_ms += 1000;
  ASSERT_EQ(jobs_->dispatcher()
                .AcquireLeases(
                    {.worker_id = worker, .session = std::string(32, 'b'), .poll = ++asked_, .devices_free = 1}, now_)
                ->size(),
            1u);
  EXPECT_EQ(Value("sink_job_step"), 3);
  EXPECT_EQ(Value("sink_job_checkpoint_step"), 3);
}

TEST_F(MetricsExporterTest, AttemptsAreCountedOnceByHowTheyEnded) {
  const std::vector<Grant> grants = Run(4);
  const auto finish = [&](const Grant& grant, JobState outcome, FailureClass failure_class) {
    const FinishRequest request{.worker_id = std::string(32, 'a'),
                                .lease = grant.lease,
                                .outcome = outcome,
                                .failure_class = failure_class,
                                .message = "m"};
    EXPECT_TRUE(jobs_->workers().Finish(request, now_).ok());
    EXPECT_TRUE(jobs_->workers().Finish(request, now_).ok());  // a repetition
  };
  finish(grants[0], JobState::kSucceeded, FailureClass::kNone);
  finish(grants[1], JobState::kFailed, FailureClass::kNan);
  finish(grants[2], JobState::kCancelled, FailureClass::kNone);  // nobody asked: given back
  Report(grants[3].lease, {pipe::Hello{}});
  now_.steady_ms += 1'000'000'001;
  ASSERT_TRUE(jobs_->expiry().Tick(now_).ok());  // a late tick extends the leases
  for (int i = 0; i < 3; ++i) {
    now_.steady_ms += 499'999'999;
    ASSERT_TRUE(jobs_->expiry().Tick(now_).ok());
  }
  for (const char* outcome : {"succeeded", "nan", "returned", "lost"})
    EXPECT_EQ(Counted("sink_attempts_ended_total", outcome), 1) << outcome;
  EXPECT_EQ(Counted("sink_attempts_ended_total", "user"), 0);
}

TEST_F(MetricsExporterTest, DevicesAndDiskAreShown) {
  Run(3);
  const auto devices = Samples("sink_devices");
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[0].gauge.value + devices[1].gauge.value, 5000);
  EXPECT_GT(Value("sink_disk_free_bytes"), 0);
  EXPECT_GT(Value("sink_disk_size_bytes"), Value("sink_disk_free_bytes"));
}

Worker WorkerWith(std::string kind, std::vector<GpuUse> gpus = {}) {
  Worker worker{.name = "w", .devices = 2, .device_kind = std::move(kind), .state = WorkerState::kConnected};
  worker.devices_free = 1;
  worker.gpus = std::move(gpus);
  return worker;
}
std::vector<prometheus::ClientMetric> DeviceSamples(const std::vector<Worker>& workers, const std::string& name) {
  Families families;
  AddDevices(workers, &families);
  for (const auto& family : families.Take())
    if (family.name == name) return family.metric;
  return {};
}

TEST(DeviceSeries, AGpuKeepsItsName) {
  const auto samples = DeviceSamples({WorkerWith("NVIDIA H100 80GB HBM3")}, "sink_devices");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].label[0].value, "NVIDIA H100 80GB HBM3");
}

TEST(DeviceSeries, KindsThatNobodyShouldSeeAreOthers) {
  for (const std::string& kind : {std::string(), std::string(65, 'x'), std::string("a\tb"), std::string("\u00e9")})
    EXPECT_EQ(KindLabel(kind), "other") << kind;
  std::vector<Worker> workers;
  for (int i = 0; i < 40; ++i) workers.push_back(WorkerWith("kind " + std::to_string(i)));
  const auto samples = DeviceSamples(workers, "sink_devices");
  EXPECT_EQ(samples.size(), 2 * (kMaxKindsShown + 1));
  double devices = 0;
  for (const auto& sample : samples) devices += sample.gauge.value;
  EXPECT_EQ(devices, 80);
}

TEST(DeviceSeries, GpusTellTheirMemoryAndHowBusyTheyAre) {
  const std::vector<Worker> workers = {WorkerWith("G", {{100, 30, 50}, {100, 0, 0}})};
  const auto memory = DeviceSamples(workers, "sink_gpu_memory_bytes");
  ASSERT_EQ(memory.size(), 4u);
  EXPECT_EQ(memory[0].gauge.value, 30);
  EXPECT_EQ(memory[1].gauge.value, 70);
  EXPECT_EQ(memory[1].label[2].value, "free");
  EXPECT_EQ(memory[2].label[1].value, "1");
  EXPECT_EQ(DeviceSamples(workers, "sink_gpu_busy_ratio").at(0).gauge.value, 0.5);
  const std::vector<Worker> many(20, WorkerWith("G", std::vector<GpuUse>(1000)));
  EXPECT_LE(DeviceSamples(many, "sink_gpu_busy_ratio").size(), kMaxGpusShown);
}

TEST(DeviceSeries, PeaksAreThoseOfTheNamedDevices) {
  EXPECT_EQ(PeakFlops("NVIDIA H100 80GB HBM3"), 989e12);
  EXPECT_EQ(PeakFlops("NVIDIA H100 PCIe"), 756e12);
  EXPECT_EQ(PeakFlops("NVIDIA A100-SXM4-80GB"), 312e12);
  EXPECT_EQ(PeakFlops("NVIDIA A1000"), 0);
  EXPECT_EQ(PeakFlops("cpu"), 0);
}

TEST_F(MetricsExporterTest, GpusOfAHeartbeatAreShown) {
  EXPECT_EQ(Count("sink_gpu_memory_bytes"), 0u);
  HeartbeatRequest heartbeat{.worker_id = std::string(32, 'a'), .session = std::string(32, 'b'), .held = {}};
  heartbeat.gpus = {{.memory_bytes = 80, .memory_used_bytes = 20, .busy_percent = 10}};
  ASSERT_TRUE(jobs_->workers().Heartbeat(heartbeat, now_).ok());
  EXPECT_EQ(Count("sink_gpu_memory_bytes"), 2u);
  Run(1);  // asking for work says nothing of GPUs
  EXPECT_EQ(Count("sink_gpu_busy_ratio"), 1u);
}

// 60M at 540,600 tokens a second: 0.681e9 FLOPs a token, 0.775e9 with all of attention.
TEST_F(MetricsExporterTest, UtilisationIsToldByBothCounts) {
  const std::vector<Grant> grants = Run(1);
  Report(grants[0].lease, {pipe::Hello{}, pipe::Progress{.step = 5, .tokens = 500, .tokens_per_second = 540'600}});
  EXPECT_EQ(Count("sink_model_flops_utilisation_ratio"), 0u) << "a CPU has no peak";
  ASSERT_TRUE(jobs_->workers()
                  .Register({.worker_id = std::string(32, 'a'),
                             .name = "w",
                             .session = std::string(32, 'b'),
                             .devices = 5000,
                             .device_kind = "NVIDIA H100 80GB HBM3",
                             .held = {grants[0].lease}},
                            now_)
                  .ok());
  const auto samples = Samples("sink_model_flops_utilisation_ratio");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].label.back().value, "causal");
  EXPECT_NEAR(samples[0].gauge.value, 540'600 * 0.681e9 / 989e12, 1e-3);
  EXPECT_NEAR(samples[1].gauge.value, 540'600 * 0.775e9 / 989e12, 1e-3);
}

TEST_F(MetricsExporterTest, JobsBeyondTheLimitAreCountedNotShown) {
  // Few jobs with many samples each.
  pipe::Metrics metrics{.step = 1, .values = {}};
  for (int i = 0; i < 500; ++i) metrics.values.emplace_back("sink_rate/0." + std::to_string(i) + "/1", 0.5);
  for (const Grant& grant : Run(60)) Report(grant.lease, {pipe::Hello{}, metrics});
  std::map<std::string, prometheus::MetricFamily> families;
  for (const auto& family : exporter_.Collect()) families[family.name] = family;
  const size_t shown = families.at("sink_job_step").metric.size();
  EXPECT_GE(shown, 30u);
  EXPECT_LT(shown, 60u);
  EXPECT_LT(families.at("sink_rate_ratio").metric.size(), MetricsExporter::kMaxSamples + 500);
  EXPECT_EQ(families.at("sink_jobs_without_series").metric[0].gauge.value, 60.0 - static_cast<double>(shown));
}

TEST_F(MetricsExporterTest, CountersAreShownWithoutAManager) {
  exporter_.LeaseExpired();
  exporter_.SetQueries(nullptr);
  EXPECT_EQ(Count("sink_lease_expirations_total"), 1u);
  EXPECT_EQ(Count("sink_jobs"), 0u);
}

TEST(JobSeries, EveryMetricThatAJobMayMeasureIsShownByLayer) {
  for (const std::string& name : EvalMetrics()) {
    ShownJob shown;
    shown.job.progress.latest = LatestValues::FromMap({{name + "/7", 1}, {name + "/all", 2}, {name, 3}});
    Families families;
    AddDetails(shown, &families);
    const auto list = families.Take();
    ASSERT_EQ(list.size(), 1u) << name;
    const auto& samples = list[0].metric;
    ASSERT_EQ(samples.size(), 2u) << name;  // the name without a layer is no series
    EXPECT_EQ(samples[0].label[1].name, "layer");
    EXPECT_EQ(samples[0].label[1].value, "7");
    EXPECT_EQ(samples[1].label[1].value, "all");
  }
}

TEST(JobSeries, TheOverviewHasTheFirstPositionAndTheDetailsTheRest) {
  ShownJob shown;
  shown.job.progress.latest = LatestValues::FromMap({{"sink_rate/0.3/1", 0.5},
                                                     {"sink_rate/0.3/2", 0.1},
                                                     {"alpha_mean/bias", 0.2},
                                                     {"validation_loss/all", 3},
                                                     {"validation_loss/wiki", 2},
                                                     {"train_loss", 4},
                                                     {"alpha_mean/no good", 1}});
  Families overview, details;
  AddOverview(shown, &overview);
  AddDetails(shown, &details);
  EXPECT_EQ(overview.samples(), 6u + 4u);
  EXPECT_EQ(details.samples(), 2u);
}

TEST(JobSeries, ALongSettingIsCutBetweenCharacters) {
  ShownJob shown;
  shown.job.sweeps = {{.sweep = "s", .experiment = "e", .label = std::string(127, 'x') + "\u00e9"}};
  Families families;
  AddOverview(shown, &families);
  for (const auto& family : families.Take()) {
    if (family.name != "sink_job_info") continue;
    EXPECT_EQ(family.metric[0].label.back().value, std::string(127, 'x'));
  }
}

// With further lines of the request's header, each with its line end.
std::string Get(int port, const std::string& header = "") {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET /metrics HTTP/1.0\r\n" + header + "\r\n";
    EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    char buffer[65536];
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) answer.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return answer;
}

// What a job of the study reports: losses, ten positions of three measures, eleven layers.
pipe::Metrics StudyMetrics() {
  pipe::Metrics metrics{.step = 1, .values = {{"train_loss", 3.123456789}, {"learning_rate", 0.0004}}};
  metrics.values.emplace_back("gradient_norm", 0.987654321);
  metrics.values.emplace_back("validation_loss/all", 3.2345678901);
  for (int position = 1; position <= 10; ++position) {
    for (const char* name : {"sink_rate/0.3/", "alpha_mean/", "alpha_max/"})
      metrics.values.emplace_back(name + std::to_string(position), 1.0 / (position + 2));
  }
  for (int layer = 0; layer < 11; ++layer)
    metrics.values.emplace_back("hidden_norm_ratio/" + std::to_string(layer), layer / 7.0);
  return metrics;
}

TEST(ScrapeEndpoint, AnswersInTheFormatThatTheScraperPrefers) {
  FailStop fail_stop;
  auto exporter = std::make_shared<MetricsExporter>(&fail_stop, SystemNow, "/");
  auto endpoint = *ScrapeEndpoint::Start("127.0.0.1:0", /*token=*/"", exporter);
  const std::string plain = Get(endpoint->port());
  EXPECT_NE(plain.find("200 OK"), std::string::npos);
  EXPECT_NE(plain.find("Content-Type: text/plain; version=0.0.4"), std::string::npos);
  EXPECT_NE(plain.find("# TYPE sink_lease_expirations_total counter\n"), std::string::npos);
  EXPECT_EQ(plain.find("# EOF"), std::string::npos);
  // As Prometheus asks.
  const std::string open = Get(endpoint->port(),
                               "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
                               "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n");
  EXPECT_NE(open.find("Content-Type: application/openmetrics-text; version=1.0.0"), std::string::npos);
  EXPECT_NE(open.find("# TYPE sink_lease_expirations counter\n"), std::string::npos);
  EXPECT_NE(open.find("\nsink_lease_expirations_total 0\n"), std::string::npos);
  EXPECT_TRUE(open.ends_with("\n# EOF\n"));
  const std::string compressed = Get(endpoint->port(), "Accept-Encoding: gzip\r\n");
  EXPECT_NE(compressed.find("Content-Encoding: gzip"), std::string::npos);
  EXPECT_LT(compressed.size(), plain.size() / 2);
}

TEST(ScrapeEndpoint, AsksForItsPassword) {
  FailStop fail_stop;
  auto exporter = std::make_shared<MetricsExporter>(&fail_stop, SystemNow, "/");
  auto endpoint = *ScrapeEndpoint::Start("127.0.0.1:0", "secret", exporter);
  EXPECT_NE(Get(endpoint->port()).find("401"), std::string::npos);
  EXPECT_NE(Get(endpoint->port(), "Authorization: Basic c2luazp3cm9uZw==\r\n").find("401"), std::string::npos);
  EXPECT_NE(Get(endpoint->port(), "Authorization: Basic c2luazpzZWNyZXQ=\r\n").find("200 OK"), std::string::npos);
}

TEST(ScrapeEndpoint, AnswersThoughHundredsOfRequestsNeverEnd) {
  FailStop fail_stop;
  auto exporter = std::make_shared<MetricsExporter>(&fail_stop, SystemNow, "/");
  auto endpoint = *ScrapeEndpoint::Start("127.0.0.1:0", /*token=*/"", exporter);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(endpoint->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::vector<files::Fd> unfinished;
  for (int i = 0; i < 400; ++i) {
    unfinished.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(unfinished.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << i;
    ASSERT_EQ(write(unfinished.back().get(), "GET /m", 6), 6);
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_NE(Get(endpoint->port()).find("200 OK"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10)) << "Prometheus waits no longer";
}

TEST(MetricsExporterCost, AThousandJobsStayUnderTwoMegabytes) {
  testing::TempDir folder;
  FailStop fail_stop;
  auto store = store::SqliteStore::Open(folder.path().string());
  ASSERT_TRUE(store.ok());
  auto exporter = std::make_shared<MetricsExporter>(&fail_stop, SystemNow, folder.path().string());
  CoreOptions options;
  options.new_lease_id = [] { return std::string(32, 'c'); };
  auto jobs = *JobManager::Start(store->get(), options, exporter.get(), SystemNow());
  exporter->SetQueries(&jobs->queries());
  const std::string worker(32, 'a'), session(32, 'b');
  ASSERT_TRUE(
      jobs->workers()
          .Register({.worker_id = worker, .name = "w", .session = session, .devices = 1000, .device_kind = "cpu"},
                    SystemNow())
          .ok());
  SubmitRequest submit{.sweep = "study"};
  for (int i = 0; i < 1000; ++i) {
    char id[33];
    snprintf(id, sizeof id, "%012x%020x", i, 0);
    submit.jobs.push_back({.id = id,
                           .config_json = "{}",
                           .max_steps = 10,
                           .experiment = "learning_rate",
                           .label = "train.learning_rate=" + std::to_string(i),
                           .index = i});
  }
  ASSERT_TRUE(jobs->clients().Submit(submit, SystemNow()).ok());
  const pipe::Metrics metrics = StudyMetrics();
  for (int leased = 0; leased < 1000;) {
    const auto grants = jobs->dispatcher().AcquireLeases(
        {.worker_id = worker, .session = session, .poll = static_cast<uint64_t>(leased + 1), .devices_free = 1000},
        SystemNow());
    ASSERT_TRUE(grants.ok() && !grants->empty()) << grants.status();
    for (const Grant& grant : *grants) {
      const std::vector<Event> events = {{1, pipe::Encode(pipe::Hello{}), 0}, {2, pipe::Encode(metrics), 0}};
      ASSERT_TRUE(jobs->workers().Report(worker, grant.lease, events, SystemNow()).ok());
    }
    leased += static_cast<int>(grants->size());
  }

  auto endpoint = *ScrapeEndpoint::Start("127.0.0.1:0", /*token=*/"", exporter);
  std::string answer;
  size_t infos = 0;
  for (int i = 0; i < 30 && infos < 1000; ++i) {  // each takes up some jobs more
    answer = Get(endpoint->port());
    infos = 0;
    for (size_t at = 0; (at = answer.find("\nsink_job_info{", at)) != std::string::npos; ++at) ++infos;
  }
  EXPECT_EQ(infos, 1000u);
  EXPECT_NE(answer.find("sink_jobs_without_series 0\n"), std::string::npos);
  EXPECT_LT(answer.size(), 2'000'000u);
  endpoint.reset();
  exporter->SetQueries(nullptr);
}

}  // namespace
}  // namespace sink
