// The store's promises in numbers: durable state changes per second with 64 callers at 1,000 and at 100,000 stored jobs
// (interleaved, so that a machine that drifts does not favour one), and a status listing of 100,000 jobs.
//
// Usage: store_bench [--json] [--rounds N] [--seconds S] [--folder DIR]. DIR decides which disk is measured.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/job/status_macros.h"
#include "coordinator/store/sqlite_store.h"

namespace sink {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kCallers = 64;

double Seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "store_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

std::string Id(int n) {
  char id[33];
  std::snprintf(id, sizeof(id), "%08x%024d", n, 0);
  return id;
}

// A store with `jobs` jobs of one sweep, with the size of config and metrics that real ones have.
std::unique_ptr<store::SqliteStore> Fill(const std::string& folder, int jobs) {
  auto store = store::SqliteStore::Open(folder);
  Must(store.status());
  const std::string config(1500, 'x');
  std::map<std::string, double> latest = {{"train_loss", 3.123456789}, {"learning_rate", 4e-4}, {"gradient_norm", 0.5}};
  for (int k = 1; k <= 10; ++k) latest["sink_rate/0.3/" + std::to_string(k)] = 0.01234567 * k;
  Must((*store)->Write([&](store::Transaction& rows) -> absl::Status {
    Sweep sweep;
    sweep.name = "bench";
    SINK_RETURN_IF_ERROR(rows.PutSweep(sweep));
    std::vector<std::pair<std::string, Membership>> members;
    for (int n = 0; n < jobs; ++n) {
      Job job;
      job.id = Id(n);
      job.home_sweep = "bench";
      job.progress = {500, 20'000, 1'000'000, 8000.5, LatestValues::FromMap(latest)};
      SINK_RETURN_IF_ERROR(rows.InsertJob(job, config));
      members.emplace_back(job.id, Membership{"bench", "learning_rate", "train.learning_rate=0.001 replica=1", n});
    }
    return rows.SetMemberships("bench", members);
  }));
  return std::move(*store);
}

// Each caller moves its own jobs through a life, one durable change a call: QUEUED, LEASED, RUNNING, back to QUEUED by
// way of FINALIZING. Jobs are spread over the whole table. Returns changes per second.
double Measure(store::JobStore& store, int jobs, double seconds) {
  static std::atomic<uint64_t> fence{1};
  std::atomic<int64_t> changes{0};
  std::vector<std::thread> callers;
  const Clock::time_point begin = Clock::now();
  for (int c = 0; c < kCallers; ++c) {
    callers.emplace_back([&, c] {
      for (int turn = 0; Seconds(begin) < seconds; ++turn) {
        const std::string id = Id(turn * 7919 % (jobs / kCallers) * kCallers + c);
        for (JobState state : {JobState::kLeased, JobState::kRunning, JobState::kFinalizing, JobState::kQueued}) {
          Must(store.Write([&](store::Transaction& rows) -> absl::Status {
            SINK_ASSIGN_OR_RETURN(Job job, rows.GetJob(id));
            job.state = job.phase = state;
            job.holder.fence = state == JobState::kQueued ? 0 : state == JobState::kLeased ? fence++ : job.holder.fence;
            return rows.UpdateJob(job);
          }));
          ++changes;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  return static_cast<double>(changes) / Seconds(begin);
}

double ListingMilliseconds(store::JobStore& store, const std::string& sweep, int jobs) {
  const Clock::time_point begin = Clock::now();
  Must(store.Read([&](store::Snapshot& rows) -> absl::Status {
    store::JobQuery query;
    query.sweep = sweep;
    int found = 0;
    SINK_RETURN_IF_ERROR(rows.VisitJobs(query, [&](const Job& job) { found += job.state == JobState::kQueued; }));
    return found == jobs ? absl::OkStatus() : absl::InternalError("jobs are missing");
  }));
  return 1e3 * Seconds(begin);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Main(int argc, char** argv) {
  bool json = false;
  int rounds = 5;
  double seconds = 1.5;
  std::string folder = std::filesystem::temp_directory_path() / "sink-store-bench";
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (flag == "--json") {
      json = true;
    } else if (flag == "--rounds" && value != nullptr && std::atoi(value) > 0) {
      rounds = std::atoi(argv[++i]);
    } else if (flag == "--seconds" && value != nullptr && std::atof(value) > 0) {
      seconds = std::atof(argv[++i]);
    } else if (flag == "--folder" && value != nullptr) {
      folder = argv[++i];
    } else {
      std::fprintf(stderr, "store_bench: bad argument %s; usage: [--json] [--rounds N] [--seconds S] [--folder DIR]\n",
                   argv[i]);
      return 2;
    }
  }
  folder += "-" + std::to_string(getpid());
  constexpr int kSmall = 1'000, kLarge = 100'000;
  auto small = Fill(folder + "/small", kSmall), large = Fill(folder + "/large", kLarge);
  std::vector<double> small_rates, large_rates, listings, sweep_listings;
  for (int round = 0; round < rounds; ++round) {
    small_rates.push_back(Measure(*small, kSmall, seconds));
    large_rates.push_back(Measure(*large, kLarge, seconds));
    listings.push_back(ListingMilliseconds(*large, "", kLarge));
    sweep_listings.push_back(ListingMilliseconds(*large, "bench", kLarge));
  }
  small.reset();
  large.reset();
  std::filesystem::remove_all(folder);
  const double small_rate = Median(small_rates), large_rate = Median(large_rates);
  std::printf(json ? "{\"changes_per_second_1000\": %.0f, \"changes_per_second_100000\": %.0f, \"ratio\": %.3f, "
                     "\"list_100000_ms\": %.1f, \"sweep_status_100000_ms\": %.1f}\n"
                   : "durable changes/s, 64 callers: %.0f at 1,000 jobs, %.0f at 100,000 (ratio %.3f; wanted >= 0.8)\n"
                     "listing 100,000 jobs: %.1f ms; as a sweep with labels: %.1f ms (wanted < 100)\n",
              small_rate, large_rate, large_rate / small_rate, Median(listings), Median(sweep_listings));
  return 0;
}

}  // namespace
}  // namespace sink

int main(int argc, char** argv) { return sink::Main(argc, argv); }
