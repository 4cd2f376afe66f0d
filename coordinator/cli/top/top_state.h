// What sinkctl top shows: what the coordinator said last, and what the person at the keyboard has chosen; and what the
// keys do to it. Plain values and pure functions, which need neither a coordinator nor a terminal. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/cli/print/printer.h"
#include "coordinator/cli/top/curve.h"
#include "coordinator/cli/top/keys.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

struct JobCurves {
  Curve loss;         // train_loss
  Curve alpha;        // alpha_mean at position 1
  bool read = false;  // what came before the first look
};

struct TopState {
  // Said by the coordinator.
  std::string coordinator;                                                     // its address
  int64_t now_ms = 0;                                                          // of that
  Json sweeps = Json::array(), workers = Json::array(), jobs = Json::array();  // as in documents.h
  std::vector<std::string> warnings;
  std::map<std::string, JobCurves> curves;  // by job id
  std::string trouble;                      // why the last question had no answer; the rest is older then

  // Chosen.
  std::string sweep;    // only its jobs; empty: of all
  std::string filter;   // jobs that have this text somewhere
  bool typing = false;  // it
  size_t order = 0;     // in TopOrders(); 0: what runs first
  bool reverse = false;
  std::string selected;  // a job's id
  bool help = false;
  std::string log_of;  // the job whose log is shown in place of all; empty: none
  std::vector<v1::LogLine> log;
  size_t log_back = 0;  // lines of it below the window
};

// Columns by which jobs can be ordered; the first stands for what runs first.
const std::vector<std::string>& TopOrders();

// The jobs that are shown, in that order.
std::vector<const Json*> ShownJobs(const TopState& state);

// What is to be done about a key that the state alone cannot do.
enum class Wish { kNothing, kAskAgain, kQuit };

// `page`: lines that PageUp and PageDown go over.
Wish Press(const Key& key, size_t page, TopState* state);

}  // namespace sink::cli
