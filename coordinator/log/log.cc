#include "coordinator/log/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/log/protobuf_log.h"

namespace sink {
namespace {

constexpr char kTime[] = "%Y-%m-%dT%H:%M:%S.%e%z";

thread_local const LogScope* innermost = nullptr;

std::string ToString(spdlog::string_view_t text) { return std::string(text.data(), text.size()); }

}  // namespace

void AddLogOptions(args::Command program, LogOptions* options, bool with_trace) {
  std::vector<std::string> levels = {"debug", "info", "warning", "error"};
  if (with_trace) levels.insert(levels.begin(), "trace");
  program
      .AddOption("--log-level", options->level,
                 with_trace ? "trace, debug, info, warning or error" : "debug, info, warning or error")
      .ShowDefault()
      .OneOf(levels);
  program.AddOption("--log-format", options->format, "text, or json: an object a line, with the ids of job and lease")
      .ShowDefault()
      .OneOf({"text", "json"});
}

void StartLog(const std::string& logger, const LogOptions& options) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt(logger));
  spdlog::set_level(spdlog::level::from_str(options.level));
  if (options.format == "json") {
    spdlog::set_formatter(std::make_unique<JsonLines>());
  } else {
    spdlog::set_pattern(fmt::format("{} %l %v", kTime));
  }
  SendProtobufLogToOurs();
}

LogScope::LogScope(std::string job_id, std::string lease_id)
    : job_id_(std::move(job_id)), lease_id_(std::move(lease_id)), outer_(innermost) {
  innermost = this;
}

LogScope::~LogScope() { innermost = outer_; }

void JsonLines::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) {
  spdlog::memory_buf_t time;
  spdlog::pattern_formatter(kTime, spdlog::pattern_time_type::local, "").format(message, time);
  nlohmann::ordered_json line = {{"time", std::string(time.data(), time.size())},
                                 {"level", ToString(spdlog::level::to_string_view(message.level))},
                                 {"logger", ToString(message.logger_name)},
                                 {"message", ToString(message.payload)}};
  if (innermost != nullptr) {
    if (!innermost->job_id_.empty()) line["job"] = innermost->job_id_;
    if (!innermost->lease_id_.empty()) line["lease"] = innermost->lease_id_;
  }
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  out.append(text.data(), text.data() + text.size());
}

}  // namespace sink
