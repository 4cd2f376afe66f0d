#include "tests/testing/test_cluster.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

namespace sink::testing {
namespace {

std::string Binary(const std::string& name) {
  const char* folder = getenv("SINK_BIN_DIR");
  return std::string(folder ? folder : "bin") + "/" + name;
}

// Forks and executes; the child dies with the test, whatever way the test ends.
pid_t Spawn(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment, int out,
            int err) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) return pid;
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  execvp(argv[0], argv.data());
  _exit(127);
}

std::string Drain(int fd) {
  std::string text;
  char buffer[65536];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, n);
  close(fd);
  return text;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, const std::string& log) {
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  pid_ = Spawn(arguments, {}, fd, fd);
  close(fd);
}

ChildProcess::~ChildProcess() { Kill9(); }

ChildProcess::ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  Kill9();
  pid_ = std::exchange(other.pid_, -1);
  return *this;
}

bool ChildProcess::Running() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

bool ChildProcess::Signal(int signal) { return Running() && kill(pid_, signal) == 0; }

bool ChildProcess::Kill9() {
  if (!Signal(SIGKILL)) return false;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFSIGNALED(status);
}

int ChildProcess::Wait(double seconds) {
  int status = -1;
  const bool ended = WaitFor(seconds, [&] { return pid_ <= 0 || waitpid(pid_, &status, WNOHANG) == pid_; });
  EXPECT_TRUE(ended) << "process " << pid_ << " did not end within " << seconds << " s";
  if (ended) pid_ = -1;
  return status;
}

nlohmann::json CommandResult::Json() const {
  nlohmann::json value = nlohmann::json::parse(out, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? nlohmann::json() : value;
}

CommandResult RunCommand(const std::vector<std::string>& arguments,
                         const std::map<std::string, std::string>& environment) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return {-1, "", "pipe failed"};
  const pid_t pid = Spawn(arguments, environment, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  CommandResult result;
  std::thread errors([&] { result.err = Drain(err[0]); });
  result.out = Drain(out[0]);
  errors.join();
  int status = 0;
  waitpid(pid, &status, 0);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

bool WaitFor(double seconds, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

TestCluster::TestCluster(Options options) : options_(std::move(options)) {
  setenv("XDG_CONFIG_HOME", path("config").c_str(), 1);  // where the programs leave and find credentials
  for (const char* folder : {"corpus/train", "corpus/valid", "data", "models", "sweeps", "logs"})
    std::filesystem::create_directories(path(folder));
  // Enough structure to learn, little enough to pack at once.
  std::ostringstream documents;
  for (int i = 0; i < 6000; ++i)
    documents << "{\"text\": \"In the beginning line " << i * 7919 % 6000 << " was written, and line "
              << i * 104729 % 997 << " followed it.\"}\n";
  WriteFile(path("corpus/train/tiny.jsonl"), documents.str());
  WriteFile(path("corpus/valid/tiny.jsonl"),
            documents.str().substr(0, 60000).substr(0, documents.str().rfind('\n', 60000) + 1));
  const CommandResult packed =
      RunCommand({Binary("sink-data"), "pack", "--in", path("corpus"), "--out", path("data/tiny"), "--tokenizer",
                  "bytes", "--block", "257", "--chunk-blocks", "64", "--valid-chunk-blocks", "16"});
  EXPECT_EQ(packed.exit_code, 0) << packed.err;
  StartCoordinator();
  for (int i = 0; i < options_.workers; ++i) StartWorker(i);
}

TestCluster::~TestCluster() {
  if (!::testing::Test::HasFailure()) return;
  for (const auto& entry : std::filesystem::directory_iterator(path("logs"))) {
    const std::string text = ReadFile(entry.path().string());
    std::cerr << "--- " << entry.path().filename().string() << "\n"
              << text.substr(text.size() > 4000 ? text.size() - 4000 : 0) << "\n";
  }
}

void TestCluster::StartCoordinator() {
  coordinator_.Kill9();
  std::filesystem::remove(path("coordinator/coordinator.addr"));
  coordinator_ =
      ChildProcess({Binary("sink-coordinator"), "--data", path("coordinator"), "--listen",
                    address_.empty() ? "127.0.0.1:0" : address_, "--metrics-listen", "127.0.0.1:0",
                    "--heartbeat-interval", options_.heartbeat_interval, "--lease-duration", options_.lease_duration},
                   path("logs/coordinator.log"));
  const bool up = WaitFor(20, [&] { return !ReadFile(path("coordinator/coordinator.addr")).empty(); });
  ASSERT_TRUE(up) << ReadFile(path("logs/coordinator.log"));
  address_ = ReadFile(path("coordinator/coordinator.addr"));
  while (!address_.empty() && isspace(address_.back())) address_.pop_back();
}

void TestCluster::StartWorker(int index) {
  const std::string name = "worker-" + std::to_string(index);
  workers_[index] = ChildProcess({Binary("sink-worker"), "--coordinator", address_, "--data", path(name), "--name",
                                  name, "--devices", options_.devices, "--data-root", path("data"), "--models",
                                  path("models"), "--trainer", Binary("sink-trainer"), "--grace", "10s"},
                                 path("logs/" + name + ".log"));
}

std::string TestCluster::metrics_address() const {
  std::string text = ReadFile(path("coordinator/metrics.addr"));
  while (!text.empty() && isspace(text.back())) text.pop_back();
  return text;
}

std::vector<pid_t> TestCluster::Trainers() const {
  std::vector<pid_t> found;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = readdir(proc)) {
    const int pid = atoi(entry->d_name);
    if (pid <= 0) continue;
    const std::string command = ReadFile("/proc/" + std::string(entry->d_name) + "/cmdline");
    if (command.find("sink-trainer") == std::string::npos || command.find("sink-worker") != std::string::npos) continue;
    if (command.find(folder_.path().string()) != std::string::npos) found.push_back(pid);
  }
  closedir(proc);
  return found;
}

std::string TestCluster::WriteSweep(const std::string& name, const std::string& yaml) {
  WriteFile(path("sweeps/" + name), yaml);
  return path("sweeps/" + name);
}

CommandResult TestCluster::Sinkctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), Binary("sinkctl"));
  return RunCommand(arguments, {{"SINK_COORDINATOR", address_}, {"NO_COLOR", "1"}});
}

std::map<std::string, nlohmann::json> TestCluster::Jobs(const std::string& sweep) {
  std::map<std::string, nlohmann::json> jobs;
  const CommandResult status = Sinkctl({"status", sweep, "--json"});
  const nlohmann::json json = status.Json();
  if (!json.contains("jobs")) return jobs;
  for (const nlohmann::json& job : json["jobs"]) jobs[job.value("label", "")] = job;
  return jobs;
}

bool TestCluster::WaitUntilFinal(const std::string& sweep, double seconds) {
  return WaitFor(seconds, [&] {
    const auto jobs = Jobs(sweep);
    if (jobs.empty()) return false;
    for (const auto& [label, job] : jobs) {
      const std::string state = job.value("state", "");
      if (state != "SUCCEEDED" && state != "FAILED" && state != "CANCELLED") return false;
    }
    return true;
  });
}

std::map<std::string, std::map<int64_t, std::string>> TestCluster::Metrics(const std::string& job) {
  std::map<std::string, std::map<int64_t, std::string>> metrics;
  const CommandResult result = Sinkctl({"metrics", job, "--csv"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::istringstream lines(result.out);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "name,step,value,attempt");
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string name, step, value;
    std::getline(fields, name, ',');
    std::getline(fields, step, ',');
    std::getline(fields, value, ',');
    const bool is_new = metrics[name].emplace(std::stoll(step), value).second;
    EXPECT_TRUE(is_new) << "stored twice: " << line;
  }
  return metrics;
}

std::string TinySweep(const std::string& name, int steps, const std::vector<std::string>& learning_rates) {
  std::ostringstream yaml;
  yaml << "schema: sink/v1\n"
       << "name: " << name << "\n"
       << "model: {hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 4,"
       << " vocab_size: 257, max_position_embeddings: 64}\n"
       << "train: {max_steps: " << steps << ", warmup_steps: 10, global_batch_size: 8, micro_batch_size: 4,"
       << " sequence_length: 64, log_every: 1}\n"
       << "data: {set: tiny}\n"
       << "eval: {every: 50, sequences: 8, tokens: 32, validation_sequences: 8}\n"
       << "checkpoint: {every: 25}\n"
       << "experiments:\n"
       << "  - name: learning_rate\n"
       << "    grid: {train.learning_rate: [";
  for (size_t i = 0; i < learning_rates.size(); ++i) yaml << (i ? ", " : "") << learning_rates[i];
  yaml << "]}\n"
       << "retry: {infra: 100}\n"
       << "resources: {devices: 1}\n";
  return yaml.str();
}

}  // namespace sink::testing
