#include "model/train/link/event_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "model/train/link/train_error.h"
#include "proto/pipe/metric_name.h"

namespace sink::train {
namespace {

constexpr size_t kMaxValuesPerRecord = 1024;

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno != EINTR) {
      throw InfraError(std::string("cannot send events: ") + std::strerror(errno) +
                       (errno == EPIPE ? " (the worker is gone)" : ""));
    }
  }
}

// Text for people. Of the many values of a measurement, those of the first position tell the story.
struct Printer {
  void operator()(const pipe::Hello& e) const {
    std::fprintf(stderr, "%lld parameters on %s, step %lld of %lld\n", static_cast<long long>(e.parameters),
                 e.device.c_str(), static_cast<long long>(e.start_step), static_cast<long long>(e.max_steps));
  }
  void operator()(const pipe::Progress& e) const {
    std::fprintf(stderr, "step %-8lld %lld tokens, %.0f tokens/s\n", static_cast<long long>(e.step),
                 static_cast<long long>(e.tokens), e.tokens_per_second);
  }
  void operator()(const pipe::Metrics& e) const {
    std::string line;
    for (const auto& [name, value] : e.values) {
      const auto parts = pipe::ParseMetricName(name);
      if (!parts || !parts->layer.empty()) continue;
      if (!parts->position.empty() && parts->position != pipe::kFirstPosition) continue;
      char text[192];
      std::snprintf(text, sizeof text, "  %s %.5g", name.c_str(), value);
      line += text;
    }
    std::fprintf(stderr, "step %-8lld%s\n", static_cast<long long>(e.step), line.c_str());
  }
  void operator()(const pipe::Heatmap&) const {}
  void operator()(const pipe::Checkpoint& e) const { std::fprintf(stderr, "saved %s\n", e.path.c_str()); }
  void operator()(const pipe::Log& e) const { std::fprintf(stderr, "%s: %s\n", e.level.c_str(), e.message.c_str()); }
  void operator()(const pipe::Finished& e) const {
    std::fprintf(stderr, "finished at step %lld\n", static_cast<long long>(e.step));
  }
  void operator()(const pipe::Failed& e) const {
    std::fprintf(stderr, "sink-trainer: %s (%s)\n", e.message.c_str(), std::string(NameOf(e.failure_class)).c_str());
  }
};

}  // namespace

void EventSink::Send(const pipe::Event& event) {
  if (fd_ < 0) return std::visit(Printer{}, event);
  const auto* metrics = std::get_if<pipe::Metrics>(&event);
  if (metrics != nullptr && metrics->values.size() > kMaxValuesPerRecord) {
    const auto middle = metrics->values.begin() + static_cast<std::ptrdiff_t>(metrics->values.size() / 2);
    Send(pipe::Metrics{metrics->step, {metrics->values.begin(), middle}});
    return Send(pipe::Metrics{metrics->step, {middle, metrics->values.end()}});
  }
  std::string line = pipe::Encode(event);
  if (line.size() > pipe::kMaxLineBytes)  // only a heat map of thousands of heads can be
    line = pipe::Encode(pipe::Log{"warning", "a record of " + std::to_string(line.size()) + " bytes was not sent"});
  WriteAll(fd_, line + "\n");
}

int ReportFailure(EventSink& events, const std::exception& error) {
  const Failure failure = Classify(error);
  try {
    events.Send(pipe::Failed{failure.failure_class, failure.message});
  } catch (const InfraError&) {
    EventSink(-1).Send(pipe::Failed{failure.failure_class, failure.message});
  }
  return failure.exit_code;
}

int DescriptorFromEnvironment(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return -1;
  int fd = -1;
  const char* end = text + std::strlen(text);
  const auto [stopped, error] = std::from_chars(text, end, fd);
  if (error != std::errc() || stopped != end || fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    throw UserError(std::string(variable) + "=" + text + " does not name an open descriptor");
  return fd;
}

}  // namespace sink::train
