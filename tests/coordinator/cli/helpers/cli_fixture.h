// sinkctl as a function against a real coordinator in this process, and a worker whose moves a test makes by hand.
// Owned by one test; one thread, except where a test says otherwise.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "coordinator/cli/cli.h"
#include "coordinator/cli/print/printer.h"
#include "coordinator/client/coordinator_client.h"
#include "coordinator/server.h"
#include "proto/pipe/events.h"
#include "tests/coordinator/cli/helpers/transcript.h"
#include "tests/testing/temp_dir.h"

namespace sink::cli {

struct Result {
  int code = 0;
  std::string out;
  std::string err;
  Json json() const { return Json::parse(out, nullptr, /*allow_exceptions=*/false); }
};

// Where sinkctl believes to run.
struct Place {
  std::map<std::string, std::string> environment;
  std::string input;                   // on standard input
  std::function<void()> before_input;  // runs when the command first reads it
  bool terminal = false;
  WindowSize window;
  Interrupt* interrupt = nullptr;
  Transcript* transcript = nullptr;  // where another thread can see what is printed
  std::function<std::unique_ptr<FullScreen>()> full_screen = [] { return nullptr; };
  std::chrono::milliseconds clock_ahead{0};  // of the coordinator's
};

// Runs sinkctl; needs no coordinator by itself.
Result RunSinkctl(const std::vector<std::string>& args, const Place& place = {});

class CliTest : public ::testing::Test {
 protected:
  void SetUp() override;

  // Runs sinkctl against this test's coordinator.
  Result Sinkctl(const std::vector<std::string>& args, Place place = {});

  // Writes a sweep `name` of a tiny model with those learning rates, and returns the file's path.
  std::string WriteSweep(const std::string& name, const std::vector<std::string>& learning_rates);
  // The id of the job of `sweep` at that position.
  std::string JobId(const std::string& sweep, int index);

  // A worker with two devices asks for work, and starts what it gets. Without `sets` it does not say which it has.
  void StartWorker();
  void StopWorker();  // it says so
  std::vector<v1::Grant> TakeJobs(const v1::DataSets* sets = nullptr);
  std::vector<v1::Grant> TakeJobs(v1::LeaseRequest has);  // of which only what the worker has is set
  // Sends the next events of the job.
  void Report(const v1::Grant& grant, const std::vector<pipe::Event>& events);
  void Finish(const v1::Grant& grant, v1::JobState outcome, const std::string& message = "");
  // Waits until the job is asked to stop. False after a minute.
  bool WaitForCancel(const std::string& job_id);
  // Uploads files, and the manifest that lists them, as a checkpoint of the job.
  void SaveCheckpoint(const v1::Grant& grant, int64_t step, std::map<std::string, std::string> files);

  testing::TempDir folder_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<CoordinatorClient> worker_;
  int64_t event_time_ms_ = 1'700'000'000'000;  // of what Report sends

 private:
  std::map<std::string, uint64_t> sequence_;  // job -> number of its last event
  uint64_t poll_ = 0;
};

}  // namespace sink::cli
