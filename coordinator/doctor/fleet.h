// What can be told about a coordinator and its workers from what they answer. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/doctor/finding.h"
#include "sink/v1/client.pb.h"

namespace sink::doctor {

struct Fleet {
  std::string address;  // of the coordinator, as it was asked
  std::string version;  // of the program that asks
  int64_t now_ms = 0;   // by its clock; Unix
  v1::ListSweepsResponse sweeps;
  v1::ListWorkersResponse workers;
  std::vector<v1::WhyJobResponse> waiting;  // of queued jobs, one a sweep at most
};

// The coordinator first, then each worker, then what waits. Nothing that is well goes without a line of its own, so
// that a reader sees what was looked at.
std::vector<Finding> Examine(const Fleet& fleet);

}  // namespace sink::doctor
