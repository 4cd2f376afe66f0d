// See fleet.h.
#include "tests/bench/fleet/fleet.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "coordinator/client/coordinator_client.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/tls.h"
#include "tests/bench/fleet/program.h"

namespace sink::bench {
namespace {

constexpr auto kAskEvery = std::chrono::milliseconds(500);  // of a worker whose question is answered at once
constexpr int kHoldMs = 30'000;                             // how long a question may wait for its answer
constexpr auto kHeartbeat = std::chrono::seconds(5);
constexpr int kMostReplicas = 1000;  // of a sweep's points; more jobs are a multiple of it
constexpr int kMetrics = 147;        // of a measured step of a real job
constexpr int kPage = 200;           // jobs of a page of a status

double Since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

Clock::duration Duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  identity::SetServerName(arguments);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

void Must(const grpc::Status& status, const char* what) {
  if (!status.ok()) Fail(std::string(what) + ": " + status.error_message());
}

// A sweep of many jobs that differ in their seed alone.
std::string SweepYaml(const std::string& name, int jobs) {
  std::string yaml = "schema: sink/v1\nname: " + name +
                     "\nmodel: {hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 4, "
                     "vocab_size: 257, max_position_embeddings: 64}\n"
                     "train: {max_steps: 1000000, global_batch_size: 8, micro_batch_size: 4, sequence_length: 64}\n"
                     "data: {set: tiny}\n"
                     "eval: {every: 50, sequences: 8, tokens: 32, validation_sequences: 8}\n"
                     "limits: {max_jobs: 10000}\n"
                     "experiments:\n  - name: seeds\n    grid: {train.weight_decay: [";
  // Weight decays of its own make the jobs of every sweep different from all others.
  const size_t first = 1'000'000 + std::hash<std::string>()(name) % 1'000'000'000;
  const int replicas = std::min(jobs, kMostReplicas);
  for (int i = 0; i < jobs / replicas; ++i) yaml += (i == 0 ? "0." : ", 0.") + std::to_string(first + i);
  return yaml + "]}\nreplicas: " + std::to_string(replicas) + "\nretry: {infra: 100}\nresources: {devices: 1}\n";
}

}  // namespace

std::string HexId(uint64_t high, uint64_t low) {
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text;
}

Fleet::Fleet(const std::string& address, const std::string& folder, int workers) : workers_(workers) {
  // A later fleet of the same workers is a later session of each.
  const auto session = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  for (int i = 0; i < workers; ++i) {
    workers_[i].id = HexId(1, i);
    workers_[i].session = HexId(session, i);
  }
  const auto credential = identity::ReadCredential(folder);
  if (credential.ok()) {
    Join(address, folder, *credential);
  } else if (absl::IsNotFound(credential.status())) {  // an older build, which lets everybody in
    admin_ = grpc::InsecureChannelCredentials();
    for (Worker& worker : workers_) worker.credentials = admin_;
  } else {
    Fail(std::string(credential.status().message()));
  }
  Connect(address);
  for (int i = 0; i < kMetrics; ++i) {
    metric_names_.push_back("alpha_mean/" + std::to_string(i % 10 + 1) + "/layer" + std::to_string(i / 10));
  }
}

void Fleet::Join(const std::string& address, const std::string& folder, const identity::Credential& credential) {
  admin_ = identity::MakeChannelCredentials(credential);
  // The workers come again with the same ids, and so with the same key.
  const auto key = identity::KeepKey(folder + "-fleet");
  if (!key.ok()) Fail(std::string(key.status().message()));
  const auto admin = CoordinatorClient::Create({.address = address, .credential = credential});
  v1::JoinRequest join;
  join.set_request(*identity::MakeRequest(*key));
  for (Worker& worker : workers_) {
    join.set_worker_id(worker.id);
    const auto joined = (*admin)->Join(join);
    if (!joined.ok()) Fail("Join: " + std::string(joined.status().message()));
    worker.credentials = identity::MakeChannelCredentials(
        {.authority = credential.authority, .certificate = joined->certificate(), .key = *key});
  }
}

void Fleet::Connect(const std::string& address) {
  client_ = v1::ClientService::NewStub(MakeChannel(address, admin_));
  for (Worker& worker : workers_) worker.stub = v1::WorkerService::NewStub(MakeChannel(address, worker.credentials));
}

void Fleet::Rest() {
  resting_ = true;
  keeper_ = std::thread([this] {
    while (resting_) calls_.Next(Clock::now() + std::chrono::milliseconds(100));
  });
}

void Fleet::Wake() {
  resting_ = false;
  if (keeper_.joinable()) keeper_.join();
}

Tally Fleet::Drive(double seconds, int window, const std::function<bool()>& start) {
  Tally tally;
  const Clock::time_point begin = Clock::now(), end = begin + Duration(seconds);
  for (bool more = true; more || calls_.in_flight() > 0;) {
    while (more && calls_.in_flight() < window) {
      more = Clock::now() < end && start();
      if (!more && calls_.in_flight() == 0) break;
      if (!more) {
        calls_.Next(end + std::chrono::minutes(5));
        more = Clock::now() < end;
      }
    }
    if (calls_.in_flight() > 0) calls_.Next(end + std::chrono::minutes(5));
  }
  tally.seconds = Since(begin);
  return tally;
}

void Fleet::Ask(Worker& worker, int wait_ms, std::function<void(Worker&, bool granted)> answered) {
  v1::LeaseRequest request;
  request.set_worker_id(worker.id);
  request.set_session(worker.session);
  request.set_poll(worker.poll++);
  request.set_devices_free(1);
  // A coordinator that does not know the field leaves it alone and answers at once.
  if (wait_ms > 0) request.set_wait_ms(wait_ms);
  worker.asking = true;
  worker.asked = Clock::now();
  calls_.Start<v1::WorkerService::Stub, v1::LeaseRequest, v1::LeaseResponse>(
      *worker.stub, &v1::WorkerService::Stub::AsyncLease, request,
      [&worker, answered = std::move(answered)](const grpc::Status& status, v1::LeaseResponse& response) {
        Must(status, "Lease");
        worker.asking = false;
        if (response.grants_size() > 0) {
          worker.lease = response.grants(0).lease();
          worker.seq = 0;
          worker.step = 0;
        }
        answered(worker, response.grants_size() > 0);
      });
}

void Fleet::Finish(Worker& worker, std::function<void(Worker&)> finished) {
  v1::FinishRequest request;
  request.set_worker_id(worker.id);
  *request.mutable_lease() = *worker.lease;
  request.set_outcome(v1::SUCCEEDED);
  request.set_last_seq(worker.seq);
  calls_.Start<v1::WorkerService::Stub, v1::FinishRequest, v1::FinishResponse>(
      *worker.stub, &v1::WorkerService::Stub::AsyncFinish, request,
      [&worker, finished = std::move(finished)](const grpc::Status& status, v1::FinishResponse&) {
        Must(status, "Finish");
        worker.lease.reset();
        finished(worker);
      });
}

void Fleet::Send(Worker& worker, int points, std::function<void(Worker&)> reported) {
  v1::ReportRequest request;
  request.set_worker_id(worker.id);
  *request.mutable_lease() = *worker.lease;
  if (worker.seq == 0) {
    v1::Event* hello = request.add_events();
    hello->set_seq(++worker.seq);
    hello->set_record(R"({"type":"hello","version":1,"pid":7,"device":"cpu","start_step":0,"max_steps":1000000,)"
                      R"("parameters":10})");
  }
  v1::Event* event = request.add_events();
  event->set_seq(++worker.seq);
  std::string record = R"({"type":"metrics","step":)" + std::to_string(++worker.step) + R"(,"values":{)";
  std::uniform_real_distribution<double> value(0, 1);
  for (int i = 0; i < points; ++i) {
    char text[64];
    std::snprintf(text, sizeof(text), "%s\"%s\":%.9g", i == 0 ? "" : ",", metric_names_[i % kMetrics].c_str(),
                  value(random_));
    record += text;
  }
  event->set_record(record + "}}");
  worker.asked = Clock::now();
  calls_.Start<v1::WorkerService::Stub, v1::ReportRequest, v1::ReportResponse>(
      *worker.stub, &v1::WorkerService::Stub::AsyncReport, request,
      [&worker, reported = std::move(reported)](const grpc::Status& status, v1::ReportResponse&) {
        Must(status, "Report");
        reported(worker);
      });
}

void Fleet::Register(int window) {
  size_t next = 0;
  Drive(600, window, [&] {
    if (next == workers_.size()) return false;
    Worker& worker = workers_[next++];
    v1::RegisterRequest request;
    request.set_worker_id(worker.id);
    request.set_name("worker-" + std::to_string(next));
    request.set_session(worker.session);
    request.set_devices(1);
    request.set_device_kind("cpu");
    request.set_version("0.1.0");
    if (worker.lease) *request.add_held() = *worker.lease;
    calls_.Start<v1::WorkerService::Stub, v1::RegisterRequest, v1::RegisterResponse>(
        *worker.stub, &v1::WorkerService::Stub::AsyncRegister, request,
        [](const grpc::Status& status, v1::RegisterResponse&) { Must(status, "Register"); });
    return true;
  });
}

Tally Fleet::Lease(double seconds, int window) {
  Tally result;
  size_t next = 0;
  const Tally driven = Drive(seconds, window, [&] {
    while (next < workers_.size() && workers_[next].lease) ++next;
    if (next == workers_.size()) return false;
    Ask(workers_[next++], 0, [&](Worker& worker, bool granted) {
      ++(granted ? result.done : result.empty);
      if (granted) result.latencies.push_back(Since(worker.asked));
    });
    return true;
  });
  result.seconds = driven.seconds;
  return result;
}

void Fleet::FinishAll(int window) {
  size_t next = 0;
  Drive(600, window, [&] {
    while (next < workers_.size() && !workers_[next].lease) ++next;
    if (next == workers_.size()) return false;
    Finish(workers_[next++], [](Worker&) {});
    return true;
  });
}

Tally Fleet::Cycle(double seconds, int window) {
  Tally result;
  std::vector<Worker*> ready;
  for (Worker& worker : workers_) ready.push_back(&worker);
  std::shuffle(ready.begin(), ready.end(), random_);
  const Tally driven = Drive(seconds, window, [&] {
    if (ready.empty()) return false;
    Worker& worker = *ready.back();
    ready.pop_back();
    if (worker.lease) {
      Finish(worker, [&ready](Worker& done) { ready.push_back(&done); });
    } else {
      Ask(worker, 0, [&](Worker& asked, bool granted) {
        ++(granted ? result.done : result.empty);
        if (granted) result.latencies.push_back(Since(asked.asked));
        ready.insert(granted ? ready.end() : ready.begin(), &asked);
      });
    }
    return true;
  });
  result.seconds = driven.seconds;
  return result;
}

Tally Fleet::Report(double seconds, int window, int points, double each_second) {
  return Report(seconds, window, points, each_second, [] { return false; });
}

Tally Fleet::HeartbeatsAmongReports(double seconds, int window, int points) {
  Tally result;
  const Clock::time_point begin = Clock::now();
  const Clock::duration apart = Clock::duration(kHeartbeat) / workers_.size();
  int64_t started = 0;
  result.seconds = Report(seconds, window, points, 0, [&] {
                     const Clock::time_point due = begin + started * apart;
                     if (Clock::now() < due) return false;
                     Heartbeat(workers_[started++ % workers_.size()], [&result, due] {
                       ++result.done;
                       result.latencies.push_back(Since(due));
                     });
                     return true;
                   }).seconds;
  return result;
}

Tally Fleet::Report(double seconds, int window, int points, double each_second, const std::function<bool()>& first) {
  Tally result;
  std::vector<Worker*> ready;
  for (Worker& worker : workers_)
    if (worker.lease) ready.push_back(&worker);
  if (ready.empty()) Fail("no worker has a job to report of: every job has been given away; queue more of them");
  size_t next = 0;
  std::vector<bool> sending(workers_.size());
  const Clock::time_point begin = Clock::now();
  int64_t started = 0;
  const Tally driven = Drive(seconds, std::min<int>(window, static_cast<int>(ready.size())), [&] {
    if (first()) return true;
    while (each_second > 0 && static_cast<double>(started) > each_second * Since(begin)) {
      if (Since(begin) > seconds) return false;
      calls_.Next(Clock::now() + std::chrono::milliseconds(5));
    }
    Worker* worker = ready[next++ % ready.size()];
    while (sending[worker - workers_.data()]) worker = ready[next++ % ready.size()];  // one report at a time each
    sending[worker - workers_.data()] = true;
    ++started;
    Send(*worker, points, [&](Worker& sent) {
      sending[&sent - workers_.data()] = false;
      ++result.done;
      result.latencies.push_back(Since(sent.asked));
    });
    return true;
  });
  result.seconds = driven.seconds;
  return result;
}

void Fleet::Heartbeat(Worker& worker, std::function<void()> answered) {
  v1::HeartbeatRequest request;
  request.set_worker_id(worker.id);
  request.set_session(worker.session);
  request.set_devices_free(worker.lease ? 0 : 1);
  if (worker.lease) {
    *request.add_held()->mutable_lease() = *worker.lease;
    request.mutable_held(0)->set_phase(v1::LEASED);
  }
  calls_.Start<v1::WorkerService::Stub, v1::HeartbeatRequest, v1::HeartbeatResponse>(
      *worker.stub, &v1::WorkerService::Stub::AsyncHeartbeat, request,
      [&worker, answered = std::move(answered)](const grpc::Status& status, v1::HeartbeatResponse& response) {
        Must(status, "Heartbeat");
        worker.rest = std::chrono::milliseconds(response.rest_ms());
        answered();
      });
}

void Fleet::Idle(double seconds, std::function<void()> arrived) {
  arrived_ = std::move(arrived);
  const Clock::time_point begin = Clock::now(), end = begin + Duration(seconds);
  std::uniform_real_distribution<double> share(0, 1);
  for (Worker& worker : workers_) {
    worker.ask_at = begin + Duration(0.5 * share(random_));
    worker.heartbeat_at = begin + Duration(5 * share(random_));
  }
  const auto answered = [this](Worker& worker, bool granted) {
    if (granted) arrived_();
    // Answered early and with nothing: asks again at the pace of a worker that polls.
    worker.ask_at = std::max(Clock::now(), worker.asked + Clock::duration(kAskEvery));
  };
  while (Clock::now() < end) {
    const Clock::time_point now = Clock::now();
    for (Worker& worker : workers_) {
      if (!worker.asking && !worker.lease && now >= worker.ask_at) Ask(worker, kHoldMs, answered);
      if (now < worker.heartbeat_at) continue;
      worker.heartbeat_at = now + kHeartbeat;
      if (worker.asking && now < std::max(worker.asked, worker.told) + worker.rest) continue;
      worker.told = now;
      Heartbeat(worker);
    }
    const Clock::time_point slice = std::min(end, Clock::now() + std::chrono::milliseconds(5));
    while (calls_.Next(slice)) {
    }
  }
}

void Fleet::Settle() {
  while (calls_.in_flight() > 0) calls_.Next(Clock::now() + std::chrono::minutes(5));
}

Tally Fleet::Status(double seconds, int window, const std::string& sweep) {
  Tally result;
  v1::ListJobsRequest request;
  request.set_sweep(sweep);
  request.set_limit(kPage);
  const Tally driven = Drive(seconds, window, [&] {
    calls_.Start<v1::ClientService::Stub, v1::ListJobsRequest, v1::ListJobsResponse>(
        *client_, &v1::ClientService::Stub::AsyncListJobs, request,
        [&](const grpc::Status& status, v1::ListJobsResponse& response) {
          Must(status, "ListJobs");
          if (response.jobs_size() == 0) Fail("ListJobs: a page without a job");
          ++result.done;
        });
    return true;
  });
  result.seconds = driven.seconds;
  return result;
}

void Fleet::Submit(const std::string& name, int jobs) {
  v1::SubmitSweepRequest request;
  request.set_request_id(HexId(std::random_device{}(), ++submissions_));
  request.set_entry("sweep.yaml");
  v1::SourceFile* file = request.add_files();
  file->set_path("sweep.yaml");
  file->set_text(SweepYaml(name, jobs));
  grpc::ClientContext context;
  v1::SubmitSweepResponse response;
  Must(client_->SubmitSweep(&context, request, &response), "SubmitSweep");
  if (response.added() != jobs)
    Fail("a sweep of " + std::to_string(jobs) + " jobs added " + std::to_string(response.added()));
}

int Fleet::busy() const {
  return static_cast<int>(
      std::count_if(workers_.begin(), workers_.end(), [](const Worker& w) { return w.lease.has_value(); }));
}

}  // namespace sink::bench
