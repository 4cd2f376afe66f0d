// See protobuf_log.h.
#include "coordinator/log/protobuf_log.h"

#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>

#include <string>
#include <utility>

namespace sink {
namespace {

constexpr std::chrono::minutes kPause{1};

void Log(google::protobuf::LogLevel level, const char*, int, const std::string& message) {
  if (level == google::protobuf::LOGLEVEL_FATAL) {
    spdlog::critical("protobuf: {}", message);
    spdlog::default_logger()->flush();
    return;
  }
  static auto* const limit = new OneAMinute();
  const std::optional<uint64_t> left_out = limit->Take(std::chrono::steady_clock::now());
  if (!left_out) return;
  if (*left_out == 0) {
    spdlog::warn("protobuf: {}", message);
  } else {
    spdlog::warn("protobuf: {} ({} more messages of protobuf since the last that is logged)", message, *left_out);
  }
}

}  // namespace

std::optional<uint64_t> OneAMinute::Take(Time now) {
  std::lock_guard lock(mutex_);
  if (last_ && now - *last_ < kPause) {
    ++left_out_;
    return std::nullopt;
  }
  last_ = now;
  return std::exchange(left_out_, 0);
}

void SendProtobufLogToOurs() { google::protobuf::SetLogHandler(&Log); }

}  // namespace sink
