// What the coordinator costs a fleet: CPU for each granted lease, durable dispatches and points a second, the CPU of
// idle workers, of watchers, of open pages and of a scrape, memory, the time of sinkctl's listings, and whether any of
// it grows with the jobs that have ended. Real programs, real gRPC, simulated workers. With --peer-bin-dir an older
// build is measured beside this one, phase by phase in turns, so that a machine that slows down slows both. One from
// before certificates is measured with --watchers 0: its calls are in plain text; one from before pages with --pages 0.
//
// Usage: fleet_bench --bin-dir DIR [--peer-bin-dir DIR] [--folder DIR] [--workers N] [--queued N] [--finished N]
//                    [--seconds S] [--rounds N] [--watchers N] [--pages N] [--quick] [--storm]
// --folder decides which disk is measured; --quick is a short form of everything; --storm is what comes after a restart
// alone: how long until all workers, each with a handshake of its own, are served again.
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/client/coordinator_client.h"
#include "tests/bench/fleet/fleet.h"
#include "tests/bench/fleet/pages.h"
#include "tests/bench/fleet/program.h"
#include "tests/bench/fleet/stored.h"
#include "tests/bench/fleet/viewer.h"

namespace sink::bench {
namespace {

struct Options {
  std::string bin_dir, peer_bin_dir;
  bool storm = false;
  std::string folder = "/tmp";
  int workers = 1000;
  int queued = 100'000;
  int finished = 1'000'000;
  double seconds = 5;
  double idle = 35;  // longer than a question may wait, so that every worker asks anew
  int rounds = 3;
  int watchers = 128;
  int pages = 200;
};

constexpr int kWindow = 256;       // calls in flight
constexpr int kReaders = 16;       // of a status
constexpr int kPoints = 147;       // of a report
constexpr int kStreamsOfOne = 32;  // that a caller may hold, however few threads the coordinator has
constexpr int kLargestSweep = 10'000;
constexpr char kLive[] = "live";  // the sweep that pages show
constexpr int kLiveJobs = 100;

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Of a hundred values one is larger.
double Percentile99(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() * 99 / 100];
}

double LoadAverage() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

// One build under measurement.
class Side {
 public:
  Side(std::string name, const std::string& bin_dir, const Options& options)
      : name_(std::move(name)), options_(options), coordinator_(bin_dir, options.folder + "/" + name_) {}

  void Wake() {
    if (fleet_ != nullptr) fleet_->Wake();
  }
  void Rest() { fleet_->Rest(); }

  void Start() {
    coordinator_.Start();
    fleet_ = std::make_unique<Fleet>(coordinator_.address(), coordinator_.credentials(), options_.workers);
    fleet_->Register();
  }

  // Every worker comes back at once.
  void Restart() {
    coordinator_.Stop();
    coordinator_.Start();
    const double cpu = Cpu(
        [&] {
          fleet_->Connect(coordinator_.address());
          fleet_->Register(options_.workers);
        },
        &seconds_);
    Note("restart_s", seconds_);
    Note("restart_cpu_s", cpu);
  }

  void Idle() {
    fleet_->Idle(6);  // every question is open, and every worker has been told how long it may rest
    const double cpu = Cpu([&] { fleet_->Idle(options_.idle); }, &seconds_);
    Note("idle_cpu_percent", 100 * cpu / seconds_);
  }

  // From the call that submits a job to its arrival at a worker that waits.
  void SubmitToStart() {
    std::mutex mutex;
    std::vector<double> latencies;
    Clock::time_point submitted;
    std::atomic<int> arrived = 0;
    const int jobs = std::min(20, options_.workers / 2);
    Fleet submitter(coordinator_.address(), coordinator_.credentials(), 0);
    std::thread thread([&] {
      for (int i = 0; i < jobs; ++i) {
        {
          const std::lock_guard lock(mutex);
          submitted = Clock::now();
        }
        submitter.Submit("one-" + std::to_string(i), 1);
        while (arrived <= i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::this_thread::sleep_for(std::chrono::milliseconds(37));
      }
    });
    while (arrived < jobs) {
      fleet_->Idle(0.5, [&] {
        const std::lock_guard lock(mutex);
        latencies.push_back(1e3 * std::chrono::duration<double>(Clock::now() - submitted).count());
        ++arrived;
      });
    }
    thread.join();
    fleet_->Settle();
    fleet_->FinishAll(kWindow);
    Note("submit_to_start_p50_ms", Median(latencies));
  }

  void FillQueue() {
    for (int left = options_.queued, i = 0; left > 0; left -= kLargestSweep, ++i) {
      const int jobs = std::min(left, kLargestSweep);
      const Clock::time_point begin = Clock::now();
      fleet_->Submit("sweep-" + std::to_string(i), jobs);
      Note("submit_10000_s", std::chrono::duration<double>(Clock::now() - begin).count() * kLargestSweep / jobs);
    }
  }

  void Leases(const std::string& suffix) {
    Tally tally;
    const double cpu = Cpu([&] { tally = fleet_->Lease(options_.seconds, kWindow); }, &seconds_);
    if (tally.done == 0) Fail("no job was granted");
    Note("lease_cpu_ms" + suffix, 1e3 * cpu / static_cast<double>(tally.done));
    Note("leases_per_second" + suffix, static_cast<double>(tally.done) / tally.seconds);
    fleet_->FinishAll(kWindow);
  }

  void Dispatches(const std::string& suffix) {
    Tally tally;
    const double cpu = Cpu([&] { tally = fleet_->Cycle(options_.seconds, kWindow); }, &seconds_);
    Note("dispatches_per_second" + suffix, static_cast<double>(tally.done) / tally.seconds);
    Note("dispatch_and_finish_cpu_ms" + suffix, 1e3 * cpu / static_cast<double>(std::max<int64_t>(1, tally.done)));
    fleet_->FinishAll(kWindow);
  }

  void Points(const std::string& suffix) {
    fleet_->Lease(options_.seconds, kWindow);
    const double bytes = coordinator_.database_bytes();
    Tally tally;
    const double cpu = Cpu([&] { tally = fleet_->Report(options_.seconds, kWindow, kPoints); }, &seconds_);
    const auto points = static_cast<double>(tally.done) * kPoints;
    Note("points_per_second" + suffix, points / tally.seconds);
    Note("report_cpu_ms" + suffix, 1e3 * cpu / static_cast<double>(tally.done));
    Note("bytes_per_point" + suffix, (coordinator_.database_bytes() - bytes) / points);
    Note("heartbeat_p99_ms" + suffix,
         1e3 * Percentile99(fleet_->HeartbeatsAmongReports(options_.seconds, kWindow, kPoints).latencies));
    Note("scrape_cpu_ms" + suffix, ScrapeCpu());
    fleet_->FinishAll(kWindow);
  }

  void Status() {
    Tally tally;
    const double cpu = Cpu([&] { tally = fleet_->Status(options_.seconds, kReaders, "sweep-0"); }, &seconds_);
    Note("status_per_second", static_cast<double>(tally.done) / tally.seconds);
    Note("status_cpu_ms", 1e3 * cpu / static_cast<double>(std::max<int64_t>(1, tally.done)));
  }

  // Clients that watch a sweep of 10,000 jobs while jobs of others report. What the reports cost without them is
  // measured first.
  void Watch() {
    fleet_->Lease(options_.seconds, kWindow);
    const double each_second = 100;
    const double alone = Cpu([&] { fleet_->Report(options_.seconds, 16, 3, each_second); }, &seconds_) / seconds_;
    std::vector<std::unique_ptr<CoordinatorClient>> clients;
    std::vector<std::thread> threads;
    std::atomic<int> watching = 0;
    std::atomic<bool> over = false;
    identity::Credential viewer;
    const std::string watched = "sweep-" + std::to_string((options_.queued - 1) / kLargestSweep);
    for (int i = 0; i < options_.watchers; ++i) {
      if (i % kStreamsOfOne == 0)
        viewer = MakeViewer(coordinator_.address(), coordinator_.credentials(), "viewer-" + std::to_string(i));
      clients.push_back(*CoordinatorClient::Create({.address = coordinator_.address(), .credential = viewer}));
      threads.emplace_back([&, client = clients.back().get()] {
        bool whole = false;  // the sweep comes in parts
        v1::WatchSweepRequest request;
        request.set_name(watched);
        request.set_changes_only(true);
        const absl::Status ended = client->WatchSweep(request, [&](const v1::GetSweepResponse& update) {
          if (!update.more() && !std::exchange(whole, true)) ++watching;
          return true;
        });
        if (!over) Fail("WatchSweep: " + std::string(ended.message()));
      });
    }
    while (watching < options_.watchers) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const double watched_cpu = Cpu([&] { fleet_->Report(options_.seconds, 16, 3, each_second); }, &seconds_) / seconds_;
    over = true;
    for (auto& one : clients) one->CancelCalls();
    for (std::thread& thread : threads) thread.join();
    Note("watch_cpu_percent", 100 * (watched_cpu - alone));
    fleet_->FinishAll(kWindow);
  }

  // Pages that show a sweep whose jobs report, each of them once a second. What the reports cost without pages is
  // measured first.
  void SubmitLive() {
    fleet_->Submit(kLive, kLiveJobs);
    fleet_->Lease(options_.seconds, kWindow);
  }
  void LiveReports() {
    const auto report = [&] { fleet_->Report(options_.seconds, 16, 3, kLiveJobs); };
    const double alone = Cpu(report, &seconds_) / seconds_;
    const auto pages = OpenPages();
    const double watched = Cpu(report, &seconds_) / seconds_;
    Note("pages_cpu_percent", 100 * (watched - alone));
  }
  void EndLive() { fleet_->FinishAll(kWindow); }
  // Dispatches without pages and with them, in turns.
  void DispatchesAndPages() {
    Dispatches("@pages0");
    const auto pages = OpenPages();
    Dispatches("@pages");
  }

  void Listings() {
    Note("sinkctl_jobs_s", coordinator_.Sinkctl({"jobs"}));
    Note("sinkctl_status_s", coordinator_.Sinkctl({"status"}));
    Note("sinkctl_status_sweep_s", coordinator_.Sinkctl({"status", "sweep-0"}));
    Note("resident_mib", coordinator_.resident_mib());
  }

  void AddFinished(int jobs) {
    fleet_.reset();
    coordinator_.Stop();
    AddFinishedJobs(coordinator_.database(), jobs);
    Start();
  }

  void Memory(const std::string& suffix) { Note("resident_mib" + suffix, coordinator_.resident_mib()); }

  const std::string& name() const { return name_; }
  const std::map<std::string, std::vector<double>>& figures() const { return figures_; }

 private:
  std::unique_ptr<Pages> OpenPages() const {
    const std::string live = kLive;
    return std::make_unique<Pages>(
        coordinator_.address(), coordinator_.credentials(),
        std::vector<std::string>{"overview", "sweep/" + live, "curves/" + live + "/alpha_mean/1/layer0"},
        options_.pages);
  }
  double Cpu(const std::function<void()>& phase, double* seconds) const {
    const double before = coordinator_.cpu_seconds();
    const Clock::time_point begin = Clock::now();
    phase();
    *seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return coordinator_.cpu_seconds() - before;
  }
  // Milliseconds of one that shows every job: each of the first takes up some jobs more.
  double ScrapeCpu() {
    constexpr int kFirst = 25, kMeasured = 5;
    for (int i = 0; i < kFirst; ++i) coordinator_.Scrape();
    const auto measured = [this] {
      for (int i = 0; i < kMeasured; ++i) coordinator_.Scrape();
    };
    return 1e3 * Cpu(measured, &seconds_) / kMeasured;
  }
  void Note(const std::string& figure, double value) {
    figures_[figure].push_back(value);
    std::fprintf(stderr, "%s: %s %.4g (load %.1f)\n", name_.c_str(), figure.c_str(), value, LoadAverage());
  }

  const std::string name_;
  const Options& options_;
  Coordinator coordinator_;
  std::unique_ptr<Fleet> fleet_;
  double seconds_ = 0;
  std::map<std::string, std::vector<double>> figures_;
};

struct Row {
  const char* figure;
  const char* text;
  const char* wanted;
};
constexpr Row kRows[] = {
    {"lease_cpu_ms", "coordinator CPU for a granted lease, ms", "<= 0.5"},
    {"leases_per_second", "durable leases a second", ""},
    {"dispatches_per_second", "durable dispatches a second, each finished", ">= 2000"},
    {"dispatch_and_finish_cpu_ms", "coordinator CPU of a dispatch and its end, ms", ""},
    {"points_per_second", "durable metric points a second", ">= 250000"},
    {"report_cpu_ms", "coordinator CPU of a report of 147 points, ms", ""},
    {"status_per_second", "statuses of a page of jobs a second", ""},
    {"status_cpu_ms", "coordinator CPU of such a status, ms", ""},
    {"bytes_per_point", "bytes of database a point", "<= 28"},
    {"heartbeat_p99_ms", "heartbeat among as many reports as can be, p99 ms", "< 1000"},
    {"scrape_cpu_ms", "coordinator CPU of a scrape, a running job a worker, ms", "< 100"},
    {"restart_s", "until all workers are connected again, s", "< 5"},
    {"restart_cpu_s", "coordinator CPU of that, s", ""},
    {"idle_cpu_percent", "idle workers, % of a core", "< 5"},
    {"submit_to_start_p50_ms", "from submit to a waiting worker, p50 ms", "< 20"},
    {"submit_10000_s", "submitting 10,000 jobs, s", ""},
    {"watch_cpu_percent", "watchers of 10,000 jobs, % of a core", "< 10"},
    {"pages_cpu_percent", "pages of a live sweep of 100 jobs, % of a core", "< 10"},
    {"sinkctl_jobs_s", "sinkctl jobs, s", "< 0.3"},
    {"sinkctl_status_s", "sinkctl status, s", ""},
    {"sinkctl_status_sweep_s", "sinkctl status of 10,000 jobs, s", ""},
    {"resident_mib", "resident memory, MiB", "< 400"},
};

void PrintTable(const Options& options, const std::vector<std::unique_ptr<Side>>& sides) {
  std::printf("%d workers, %d queued jobs; medians of %d rounds; load %.1f\n", options.workers, options.queued,
              options.rounds, LoadAverage());
  std::printf("%-52s %10s", "", "wanted");
  for (const auto& side : sides) std::printf(" %12s", side->name().c_str());
  if (sides.size() > 1) std::printf(" %12s", "this/peer");
  std::printf("\n");
  const auto print = [&](const std::string& figure, const std::string& text, const char* wanted) {
    if (!sides.front()->figures().contains(figure)) return;
    std::printf("%-52s %10s", text.c_str(), wanted);
    std::vector<double> medians;
    for (const auto& side : sides) {
      const auto found = side->figures().find(figure);
      if (found == side->figures().end()) continue;
      medians.push_back(Median(found->second));
      std::printf(" %12.4g", medians.back());
    }
    if (medians.size() > 1) std::printf(" %12.3f", medians[0] / medians[1]);
    std::printf("\n");
  };
  for (const Row& row : kRows) print(row.figure, row.text, row.wanted);
  std::printf("without a page and with %d, in turns:\n", options.pages);
  for (const Row& row : kRows) print(std::string(row.figure) + "@pages0", row.text, "");
  for (const Row& row : kRows) print(std::string(row.figure) + "@pages", row.text, "");
  std::printf("with %d finished jobs:\n", options.finished);
  for (const Row& row : kRows) print(std::string(row.figure) + "@finished", row.text, "");
}

int Run(const Options& options) {
  const rlimit files = {65536, 65536};
  rlimit now = {};
  getrlimit(RLIMIT_NOFILE, &now);
  const rlimit raised = {now.rlim_max, now.rlim_max};
  if (now.rlim_cur < files.rlim_cur) setrlimit(RLIMIT_NOFILE, &raised);  // a connection each, here and there

  // Where coordinators leave credentials for their user: not with those of whoever measures.
  setenv("XDG_CONFIG_HOME", (options.folder + "/config").c_str(), 1);

  std::vector<std::unique_ptr<Side>> sides;
  sides.push_back(std::make_unique<Side>("this", options.bin_dir, options));
  if (!options.peer_bin_dir.empty()) sides.push_back(std::make_unique<Side>("peer", options.peer_bin_dir, options));
  const auto each = [&](auto phase) {
    for (const auto& side : sides) {
      side->Wake();
      phase(*side);
      side->Rest();
    }
  };
  each([](Side& side) { side.Start(); });
  for (int round = 0; round < options.rounds; ++round) each([](Side& side) { side.Restart(); });
  if (options.storm) {
    PrintTable(options, sides);
    return 0;
  }
  each([](Side& side) { side.Idle(); });
  each([](Side& side) { side.SubmitToStart(); });
  if (options.pages > 0) {
    each([](Side& side) { side.SubmitLive(); });
    for (int round = 0; round < options.rounds; ++round) each([](Side& side) { side.LiveReports(); });
    each([](Side& side) { side.EndLive(); });
  }
  each([](Side& side) { side.FillQueue(); });
  for (int round = 0; round < options.rounds; ++round) {
    each([](Side& side) { side.Leases(""); });
    each([](Side& side) { side.Dispatches(""); });
    if (options.pages > 0) each([](Side& side) { side.DispatchesAndPages(); });
    each([](Side& side) { side.Points(""); });
    each([](Side& side) { side.Status(); });
  }
  each([](Side& side) { side.Listings(); });
  if (options.watchers > 0) each([](Side& side) { side.Watch(); });
  if (options.finished > 0) {
    each([&](Side& side) { side.AddFinished(options.finished); });
    for (int round = 0; round < options.rounds; ++round) {
      each([](Side& side) { side.Leases("@finished"); });
      each([](Side& side) { side.Dispatches("@finished"); });
      each([](Side& side) { side.Points("@finished"); });
    }
    each([](Side& side) { side.Memory("@finished"); });
  }
  PrintTable(options, sides);
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  const auto number = [](const std::string& text) { return std::atoi(text.c_str()); };
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--storm") {
      options.storm = true;
      options.finished = 0;
      continue;
    }
    if (flag == "--quick") {
      options.workers = 50;
      options.queued = 20'000;  // more than a fast machine gives away in its seconds
      options.finished = 5'000;
      options.seconds = 1;
      options.idle = 5;
      options.rounds = 1;
      options.watchers = 4;
      options.pages = 4;
      continue;
    }
    ++i;
    if (flag == "--bin-dir")
      options.bin_dir = value;
    else if (flag == "--peer-bin-dir")
      options.peer_bin_dir = value;
    else if (flag == "--folder")
      options.folder = value;
    else if (flag == "--workers")
      options.workers = number(value);
    else if (flag == "--queued")
      options.queued = number(value);
    else if (flag == "--finished")
      options.finished = number(value);
    else if (flag == "--seconds")
      options.seconds = std::atof(value.c_str());
    else if (flag == "--rounds")
      options.rounds = number(value);
    else if (flag == "--watchers")
      options.watchers = number(value);
    else if (flag == "--pages")
      options.pages = number(value);
    else
      Fail("bad argument " + flag + "; see the head of tests/bench/fleet_bench.cc");
  }
  if (options.bin_dir.empty() || options.workers < 1 || options.queued < 1 || options.rounds < 1) {
    Fail("--bin-dir names the folder of sink-coordinator and sinkctl; there is at least one worker, job and round");
  }
  options.folder += "/sink-fleet-bench-" + std::to_string(getpid());
  const int status = Run(options);
  std::filesystem::remove_all(options.folder);
  return status;
}

}  // namespace
}  // namespace sink::bench

int main(int argc, char** argv) { return sink::bench::Main(argc, argv); }
