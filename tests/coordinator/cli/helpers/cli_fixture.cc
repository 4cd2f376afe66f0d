// See cli_fixture.h.
#include "tests/coordinator/cli/helpers/cli_fixture.h"

#include <chrono>
#include <fstream>
#include <istream>
#include <streambuf>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/files/hash.h"
#include "tests/testing/joined_worker.h"
#include "tests/testing/test_checkpoint.h"

namespace sink::cli {
namespace {

constexpr char kWorkerId[] = "000102030405060708090a0b0c0d0e0f";
constexpr char kSession[] = "f0e0d0c0b0a090807060504030201000";

// Standard input.
class Keyboard : public std::streambuf {
 public:
  explicit Keyboard(const Place& place) : text_(place.input), before_(place.before_input) {}

 private:
  int_type underflow() override {
    if (std::exchange(read_, true)) return traits_type::eof();
    if (before_) before_();
    setg(text_.data(), text_.data(), text_.data() + text_.size());
    return text_.empty() ? traits_type::eof() : traits_type::to_int_type(text_.front());
  }

  std::string text_;
  const std::function<void()> before_;
  bool read_ = false;
};

}  // namespace

Result RunSinkctl(const std::vector<std::string>& args, const Place& place) {
  Transcript own_transcript;
  Transcript& transcript = place.transcript != nullptr ? *place.transcript : own_transcript;
  std::ostream out(&transcript);
  std::ostringstream err;
  Interrupt own;
  Keyboard keyboard(place);
  std::istream in(&keyboard);
  World world = {.in = in,
                 .out = out,
                 .err = err,
                 .out_is_terminal = place.terminal,
                 .err_is_terminal = place.terminal,
                 .window = [&place] { return place.window; },
                 .getenv = [&place](const char* name) -> const char* {
                   const auto found = place.environment.find(name);
                   return found == place.environment.end() ? nullptr : found->second.c_str();
                 },
                 .now_ms =
                     [&place] {
                       return std::chrono::duration_cast<std::chrono::milliseconds>(
                                  std::chrono::system_clock::now().time_since_epoch() + place.clock_ahead)
                           .count();
                     },
                 .interrupt = place.interrupt != nullptr ? *place.interrupt : own,
                 .full_screen = place.full_screen};
  const int code = RunCli(args, world);
  return {code, transcript.text(), err.str()};
}

void CliTest::SetUp() {
  ServerOptions options;
  options.data = folder_ / "coordinator";
  options.listen = "127.0.0.1:0";
  options.metrics_listen = "127.0.0.1:0";
  auto server = Server::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

Result CliTest::Sinkctl(const std::vector<std::string>& args, Place place) {
  place.environment["SINK_COORDINATOR"] = server_->address();
  place.environment["SINK_CREDENTIALS"] = folder_ / "coordinator/tls/admin";
  return RunSinkctl(args, place);
}

std::string CliTest::WriteSweep(const std::string& name, const std::vector<std::string>& learning_rates) {
  std::string list;
  for (const std::string& rate : learning_rates) list += (list.empty() ? "" : ", ") + rate;
  const std::string path = folder_ / (name + ".yaml");
  std::ofstream(path) << "schema: sink/v1\n"
                      << "name: " << name << "\n"
                      << "model: {hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2,\n"
                      << "        num_attention_heads: 4, vocab_size: 257, max_position_embeddings: 64}\n"
                      << "train: {max_steps: 100, warmup_steps: 10, global_batch_size: 8, micro_batch_size: 4,\n"
                      << "        sequence_length: 64}\n"
                      << "eval: {tokens: 32}\n"
                      << "experiments:\n"
                      << "  - name: rates\n"
                      << "    grid: {train.learning_rate: [" << list << "]}\n";
  return path;
}

std::string CliTest::JobId(const std::string& sweep, int index) {
  return Sinkctl({"status", sweep, "--json"}).json()["jobs"][index]["id"].get<std::string>();
}

void CliTest::StartWorker() {
  worker_ = testing::JoinedWorker(server_->address(), folder_ / "coordinator/tls/admin", kWorkerId);
  v1::RegisterRequest request;
  request.set_worker_id(kWorkerId);
  request.set_session(kSession);
  request.set_name("worker-1");
  request.set_devices(2);
  request.set_device_kind("cpu");
  request.set_version("0.1.0");
  const auto response = worker_->Register(request);
  ASSERT_TRUE(response.ok()) << response.status();
}

void CliTest::StopWorker() {
  v1::HeartbeatRequest request;
  request.set_worker_id(kWorkerId);
  request.set_session(kSession);
  request.set_leaving(true);
  const auto response = worker_->Heartbeat(request);
  ASSERT_TRUE(response.ok()) << response.status();
}

std::vector<v1::Grant> CliTest::TakeJobs(const v1::DataSets* sets) {
  v1::LeaseRequest has;
  if (sets != nullptr) *has.mutable_sets() = *sets;
  return TakeJobs(std::move(has));
}

std::vector<v1::Grant> CliTest::TakeJobs(v1::LeaseRequest request) {
  request.set_worker_id(kWorkerId);
  request.set_session(kSession);
  request.set_poll(++poll_);
  request.set_devices_free(2);
  const auto response = worker_->Lease(request);
  EXPECT_TRUE(response.ok()) << response.status();
  if (!response.ok()) return {};
  for (const v1::Grant& grant : response->grants())
    Report(grant, {pipe::Hello{.pid = 7, .device = "cpu", .max_steps = 100, .parameters = 9}});
  return {response->grants().begin(), response->grants().end()};
}

void CliTest::Report(const v1::Grant& grant, const std::vector<pipe::Event>& events) {
  v1::ReportRequest request;
  request.set_worker_id(kWorkerId);
  *request.mutable_lease() = grant.lease();
  for (const pipe::Event& record : events) {
    v1::Event* event = request.add_events();
    event->set_seq(++sequence_[grant.lease().job_id()]);
    event->set_record(pipe::Encode(record));
    event->set_time_ms(event_time_ms_);
  }
  const auto response = worker_->Report(request);
  ASSERT_TRUE(response.ok()) << response.status();
}

void CliTest::Finish(const v1::Grant& grant, v1::JobState outcome, const std::string& message) {
  v1::FinishRequest request;
  request.set_worker_id(kWorkerId);
  *request.mutable_lease() = grant.lease();
  request.set_outcome(outcome);
  if (outcome == v1::FAILED) request.set_failure_class(v1::USER);
  request.set_message(message);
  request.set_last_seq(sequence_[grant.lease().job_id()]);
  const auto response = worker_->Finish(request);
  ASSERT_TRUE(response.ok()) << response.status();
}

bool CliTest::WaitForCancel(const std::string& job_id) {
  const absl::Time end = absl::Now() + absl::Minutes(1);
  while (absl::Now() < end) {
    if (Sinkctl({"job", job_id, "--json"}).json()["job"]["cancel_requested"] == true) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return false;
}

void CliTest::SaveCheckpoint(const v1::Grant& grant, int64_t step, std::map<std::string, std::string> files) {
  const std::string manifest = testing::ManifestOf(step, files);
  files["manifest.json"] = manifest;
  v1::BeginCheckpointRequest begin;
  begin.set_worker_id(kWorkerId);
  *begin.mutable_lease() = grant.lease();
  begin.set_step(step);
  begin.set_manifest_hash(files::Hash(manifest));
  for (const auto& [name, text] : files) {
    v1::CheckpointFile* file = begin.add_files();
    file->set_name(name);
    file->set_size(text.size());
    file->set_xxh3(files::Hash(text));
  }
  ASSERT_TRUE(worker_->BeginCheckpoint(begin).ok());
  for (const auto& [name, text] : files) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    v1::WriteCheckpointRequest first;
    first.set_worker_id(kWorkerId);
    *first.mutable_lease() = grant.lease();
    first.set_step(step);
    first.set_file(name);
    const auto written = worker_->WriteCheckpointFile(first, folder_ / name);
    ASSERT_TRUE(written.ok()) << written.status();
  }
  v1::CommitCheckpointRequest commit;
  commit.set_worker_id(kWorkerId);
  *commit.mutable_lease() = grant.lease();
  commit.set_step(step);
  commit.set_manifest_hash(begin.manifest_hash());
  commit.set_events_seq(sequence_[grant.lease().job_id()]);
  const auto committed = worker_->CommitCheckpoint(commit);
  ASSERT_TRUE(committed.ok()) << committed.status();
}

}  // namespace sink::cli
