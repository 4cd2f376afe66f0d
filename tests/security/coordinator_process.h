// The coordinator's program as a process of its own, for what concerns a whole process: its memory, its limits, the
// files that it makes. Needs SINK_BIN_DIR. Used by one thread.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/testing/temp_dir.h"
#include "tests/testing/test_cluster.h"

namespace sink::testing {

class CoordinatorProcess {
 public:
  // Serves when it returns.
  void Start() {
    const char* const programs = getenv("SINK_BIN_DIR");
    ASSERT_NE(programs, nullptr) << "SINK_BIN_DIR names the folder of sink-coordinator";
    process_ = ChildProcess({std::string(programs) + "/sink-coordinator", "--data", data(), "--listen", "127.0.0.1:0",
                             "--metrics-listen", "127.0.0.1:0"},
                            folder_ / "log");
    ASSERT_TRUE(WaitFor(30, [&] { return !ReadFile(data() + "/coordinator.addr").empty(); }))
        << ReadFile(folder_ / "log");
    address_ = ReadFile(data() + "/coordinator.addr");
    while (!address_.empty() && isspace(address_.back())) address_.pop_back();
  }

  const std::string& address() const { return address_; }
  std::string data() const { return folder_ / "data"; }
  std::string credentials() const { return data() + "/tls/admin"; }
  // Of /proc/PID.
  std::string proc(const std::string& file) const { return "/proc/" + std::to_string(process_.pid()) + "/" + file; }

  // The most memory that it has had so far, and what it has now.
  double PeakMiB() const { return StatusMiB("VmHWM:"); }
  double ResidentMiB() const { return StatusMiB("VmRSS:"); }

 private:
  double StatusMiB(const std::string& field) const {
    std::ifstream status(proc("status"));
    for (std::string word; status >> word;) {
      if (word != field) continue;
      double kib = 0;
      status >> kib;
      return kib / 1024;
    }
    ADD_FAILURE() << "no " << field;
    return 0;
  }

  TempDir folder_;
  ChildProcess process_;
  std::string address_;
};

}  // namespace sink::testing
