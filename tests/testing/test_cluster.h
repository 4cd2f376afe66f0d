// A whole Sink on one machine for integration and fault tests: the real sink-coordinator, sink-worker, sink-trainer and
// sinkctl of this build, as processes in a temporary folder, on ports the kernel chose. Used by one thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/testing/temp_dir.h"

namespace sink::testing {

// A child process in its own process group; killed and reaped when the object goes.
class ChildProcess {
 public:
  ChildProcess() = default;
  // Output is appended to `log`.
  ChildProcess(const std::vector<std::string>& arguments, const std::string& log);
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  pid_t pid() const { return pid_; }
  bool Running();            // reaps it when it has ended
  bool Signal(int signal);   // false, without effect, when it has ended
  bool Kill9();              // SIGKILL and wait; false when it has ended before
  int Wait(double seconds);  // exit status as waitpid gives it; fails the test when the time is over

 private:
  pid_t pid_ = -1;
};

struct CommandResult {
  int exit_code = 0;
  std::string out, err;
  nlohmann::json Json() const;  // of `out`; null when it is not JSON
};

// Runs a program to its end. Environment entries are added to the test's own.
CommandResult RunCommand(const std::vector<std::string>& arguments,
                         const std::map<std::string, std::string>& environment = {});

std::string ReadFile(const std::string& path);  // empty when absent
void WriteFile(const std::string& path, const std::string& text);
// Polls `condition` every 20 ms; false when `seconds` pass first.
bool WaitFor(double seconds, const std::function<bool()>& condition);

class TestCluster {
 public:
  struct Options {
    int workers = 2;
    std::string devices = "cpu:1";  // of each worker
    std::string heartbeat_interval = "500ms";
    std::string lease_duration = "5s";
  };
  explicit TestCluster(Options options);
  TestCluster() : TestCluster(Options()) {}
  ~TestCluster();  // prints the end of every log when the test has failed

  void StartCoordinator();  // the same port on every start
  void StartWorker(int index);
  ChildProcess& coordinator() { return coordinator_; }
  ChildProcess& worker(int index) { return workers_[index]; }
  // Processes of sink-trainer below this cluster's workers.
  std::vector<pid_t> Trainers() const;

  // Writes `yaml` as sweeps/<name> in the cluster's folder and returns the path.
  std::string WriteSweep(const std::string& name, const std::string& yaml);
  CommandResult Sinkctl(std::vector<std::string> arguments);
  // Jobs of a sweep as `sinkctl status SWEEP --json` shows them, by label.
  std::map<std::string, nlohmann::json> Jobs(const std::string& sweep);
  // True when every job is final within the time.
  bool WaitUntilFinal(const std::string& sweep, double seconds);
  // Every metric point of a job, name -> step -> value as text; timing metrics left out. Fails on a repeated point.
  std::map<std::string, std::map<int64_t, std::string>> Metrics(const std::string& job);

  std::string path(const std::string& name) const { return folder_ / name; }
  std::string address() const { return address_; }
  std::string metrics_address() const;

 private:
  Options options_;
  TempDir folder_;
  std::string address_;
  std::string metrics_port_ = "0";
  ChildProcess coordinator_;
  std::map<int, ChildProcess> workers_;
};

// A tiny byte-level model on a small corpus: some seconds of training for `steps` of about 3 ms.
std::string TinySweep(const std::string& name, int steps, const std::vector<std::string>& learning_rates);

}  // namespace sink::testing
