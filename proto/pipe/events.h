// The trainer's event records: what sink-trainer says on SINK_EVENTS_FD, one JSON object a line, and the two commands
// it obeys on SINK_COMMANDS_FD. The worker passes these lines on unchanged and the coordinator stores their effect, so
// this file is the only definition of the format. Neutral: standard library types only, linked by both families.
// Functions here are pure and may be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "proto/pipe/failure_class.h"

namespace sink::pipe {

inline constexpr int kVersion = 1;
inline constexpr size_t kMaxLineBytes = 256 * 1024;
inline constexpr int64_t kMaxStep = int64_t{1} << 48;  // of every count of steps

// First record of every attempt.
struct Hello {
  int version = kVersion;
  int64_t pid = 0;
  std::string device;      // "cpu" or "cuda:0"
  int64_t start_step = 0;  // steps already done by the checkpoint it resumes from
  int64_t max_steps = 0;
  int64_t parameters = 0;
};

// Liveness and rate; sent at least every few seconds while training.
struct Progress {
  int64_t step = 0;    // optimizer steps done
  int64_t tokens = 0;  // tokens seen since step 0
  double tokens_per_second = 0;
};

// Values measured at one step, by the names of metric_name.h. NaN and infinities are legal values.
struct Metrics {
  int64_t step = 0;
  std::vector<std::pair<std::string, double>> values;
};

// Mean importance of one key position per layer and head, row-major [layers, heads].
struct Heatmap {
  int64_t step = 0;
  std::string name;  // "alpha/1"
  int layers = 0;
  int heads = 0;
  std::vector<double> values;
};

// A checkpoint folder is complete on disk (renamed into place).
struct Checkpoint {
  int64_t step = 0;
  std::string path;           // absolute, on the trainer's machine
  std::string manifest_hash;  // XXH3-128 of its manifest.json, hex
};

struct Log {
  std::string level;  // "info", "warning", "error"; the worker adds "stdout" and "stderr"
  std::string message;
};

struct Finished {
  int64_t step = 0;
};

// The attempt failed. A class that the reader does not know, of a newer trainer, counts as kInfra. That another rank is
// the cause is known by the message (other_rank.h).
struct Failed {
  FailureClass failure_class = FailureClass::kInfra;
  std::string message;
};

using Event = std::variant<Hello, Progress, Metrics, Heatmap, Checkpoint, Log, Finished, Failed>;

// One line, without the newline. Non-finite numbers are written as the strings "NaN", "Infinity", "-Infinity".
std::string Encode(const Event& event);

struct ParseResult {
  std::optional<Event> event;
  std::string error;  // set when event is not
};

// Never throws. Refuses lines over kMaxLineBytes, unknown types, missing fields and wrong types; ignores unknown
// fields, so that a newer trainer can talk to an older worker.
ParseResult Parse(std::string_view line);

// Commands to the trainer, one word a line.
inline constexpr std::string_view kCheckpointNow = "checkpoint_now";  // save, go on
inline constexpr std::string_view kStop = "stop";                     // save, then exit with kExitStopped

// Exit codes of sink-trainer.
inline constexpr int kExitFinished = 0;
inline constexpr int kExitUser = 64;  // bad configuration or data
inline constexpr int kExitNan = 65;
inline constexpr int kExitOutOfMemory = 66;
inline constexpr int kExitInfra = 67;    // disk full, device lost
inline constexpr int kExitStopped = 68;  // obeyed `stop` or a signal after saving

}  // namespace sink::pipe
