// Simulated workers over real gRPC: each has a connection, asks for work as sink-worker does, and reports and finishes
// what it is given, without a trainer. All in one thread, so that a thousand of them cost little beside the
// coordinator.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/identity/credential.h"
#include "sink/v1/client.grpc.pb.h"
#include "sink/v1/worker.grpc.pb.h"
#include "tests/bench/fleet/calls.h"

namespace sink::bench {

// What came of a phase.
struct Tally {
  int64_t done = 0;   // grants, reports
  int64_t empty = 0;  // questions without an answer
  double seconds = 0;
  std::vector<double> latencies = {};  // of each that is done, seconds
};

class Fleet {
 public:
  // `credentials`: the folder of one that may do everything; an older build's coordinator has none.
  Fleet(const std::string& address, const std::string& credentials, int workers);

  ~Fleet() { Wake(); }

  // Between phases a thread answers the coordinator's pings, so that the connections stay; Wake before any other call.
  void Rest();
  void Wake();

  // New connections for everybody, as after a restart.
  void Connect(const std::string& address);
  void Register(int window = 64);
  // Every worker without a job asks, `window` at a time, until each has one or the time is over.
  Tally Lease(double seconds, int window);
  // Every job succeeds.
  void FinishAll(int window);
  // Asks, finishes at once, asks again.
  Tally Cycle(double seconds, int window);
  // Workers with a job report `points` metrics of one step each, again and again. `each_second`: no more of them than
  // that; 0: as many as can be.
  Tally Report(double seconds, int window, int points, double each_second = 0);
  // Reports as many as can be while every worker also heartbeats each five seconds, as real ones do: what comes of the
  // heartbeats, each timed from when it was due.
  Tally HeartbeatsAmongReports(double seconds, int window, int points);
  // Waits for work and heartbeats as idle workers do, and calls `arrived` with each grant, until Settle.
  void Idle(
      double seconds, std::function<void()> arrived = [] {});
  // Waits until no question is open any more.
  void Settle();

  // Asks for a page of 200 jobs of the sweep, again and again, as sinkctl status and the Python client do.
  Tally Status(double seconds, int window, const std::string& sweep);

  // Stores a sweep of `jobs` jobs.
  void Submit(const std::string& name, int jobs);
  int busy() const;

 private:
  struct Worker {
    std::string id, session;
    std::shared_ptr<grpc::ChannelCredentials> credentials;
    std::unique_ptr<v1::WorkerService::Stub> stub;
    uint64_t poll = 1;
    uint64_t seq = 0;
    int64_t step = 0;
    std::optional<v1::LeaseRef> lease;
    bool asking = false;
    Clock::time_point asked, ask_at, heartbeat_at, told;
    std::chrono::milliseconds rest{0};  // from heartbeats, while a question waits
  };

  // Every worker gets a certificate.
  void Join(const std::string& address, const std::string& folder, const identity::Credential& credential);
  void Ask(Worker& worker, int wait_ms, std::function<void(Worker&, bool granted)> answered);
  void Heartbeat(
      Worker& worker, std::function<void()> answered = [] {});
  void Finish(Worker& worker, std::function<void(Worker&)> finished);
  void Send(Worker& worker, int points, std::function<void(Worker&)> reported);
  // Report, which calls `first` before each and starts one only where that returns false.
  Tally Report(double seconds, int window, int points, double each_second, const std::function<bool()>& first);
  // Calls `start` while fewer than `window` calls are in flight and it returns true, for `seconds`; then waits for
  // those in flight.
  Tally Drive(double seconds, int window, const std::function<bool()>& start);

  Calls calls_;
  std::atomic<bool> resting_ = false;
  std::thread keeper_;
  std::vector<Worker> workers_;
  std::vector<std::string> metric_names_;
  std::shared_ptr<grpc::ChannelCredentials> admin_;
  std::unique_ptr<v1::ClientService::Stub> client_;
  std::function<void()> arrived_;
  std::minstd_rand random_{7};
  int submissions_ = 0;
};

// 32 hex digits.
std::string HexId(uint64_t high, uint64_t low);

}  // namespace sink::bench
