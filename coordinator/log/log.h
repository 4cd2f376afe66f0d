// How the daemons write their log: a line on standard error for every event, as text or as a JSON object.
//
//   2026-01-31T16:05:09.123+00:00 info job 3f2a...: checkpoint of step 100 committed
//   {"time":"2026-01-31T16:05:09.123+00:00","level":"info","logger":"worker","message":"job 3f2a...: checkpoint of step
//   100 committed","job":"3f2a...","lease":"91c0..."}                                                     (in one line)
//
// Fields that do not apply are absent. StartLog is called once, before any other thread logs; the rest from any thread.
#pragma once

#include <spdlog/formatter.h>

#include <memory>
#include <string>

#include "proto/args/command_line.h"

namespace sink {

struct LogOptions {
  std::string level = "info";
  std::string format = "text";
};

// --log-level and --log-format. `with_trace`: the level below debug can be asked for as well.
void AddLogOptions(args::Command program, LogOptions* options, bool with_trace = false);

// From now on spdlog writes as the options say, under the logger's name, also what libprotobuf says.
void StartLog(const std::string& logger, const LogOptions& options);

// While it lives, what its thread logs is about that job, as leased: the fields "job" and "lease". Scopes may be
// nested; the innermost counts.
class LogScope {
 public:
  LogScope(std::string job_id, std::string lease_id);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

 private:
  friend class JsonLines;

  const std::string job_id_, lease_id_;
  const LogScope* const outer_;
};

// A message as a line of JSON, in UTF-8: malformed bytes become U+FFFD.
class JsonLines final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override;
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonLines>(); }
};

}  // namespace sink
