// See trainer_link.h.
#include "worker/trainer_link.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "worker/timing.h"

namespace sink::worker {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr int kReadsPerPump = 16;         // so that one busy stream does not starve the others
constexpr size_t kReportedBadLines = 20;  // the rest are only counted

}  // namespace

TrainerLink::TrainerLink(int events_fd, int stdout_fd, int stderr_fd, Handlers handlers)
    : handlers_(std::move(handlers)),
      streams_{{events_fd}, {stdout_fd}, {stderr_fd}},
      event_lines_(pipe::kMaxLineBytes),
      last_event_at_(BootTime()) {}

bool TrainerLink::any_open() const {
  return std::any_of(std::begin(streams_), std::end(streams_), [](const Stream& stream) { return stream.open; });
}

void TrainerLink::Pump(absl::Duration timeout, absl::Duration now) {
  pollfd polled[kStreams];
  for (int i = 0; i < kStreams; ++i) polled[i] = {streams_[i].open ? streams_[i].fd : -1, POLLIN, 0};
  if (poll(polled, kStreams, static_cast<int>(absl::ToInt64Milliseconds(timeout))) <= 0) return;
  for (int i = 0; i < kStreams; ++i) {
    const auto index = static_cast<StreamIndex>(i);
    if (polled[i].revents != 0) streams_[i].open = ReadSome(index, now);
  }
}

bool TrainerLink::ReadSome(StreamIndex index, absl::Duration now) {
  char buffer[kReadBytes];
  for (int reads = 0; reads < kReadsPerPump; ++reads) {
    const ssize_t n = read(streams_[index].fd, buffer, sizeof buffer);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    HandleBytes(index, {buffer, static_cast<size_t>(n)}, now);
  }
  return true;
}

void TrainerLink::HandleBytes(StreamIndex index, std::string_view bytes, absl::Duration now) {
  switch (index) {
    case kEvents:
      event_lines_.Add(bytes, [&](std::string_view line, bool overlong) { HandleEventLine(line, overlong, now); });
      break;
    case kStdout:
      stdout_.Add(bytes, now, [&](std::string_view line) { handlers_.on_log("stdout", line); });
      break;
    case kStderr:
      stderr_.Add(bytes, now, [&](std::string_view line) { handlers_.on_log("stderr", line); });
      break;
    case kStreams:
      break;
  }
}

void TrainerLink::HandleEventLine(std::string_view line, bool overlong, absl::Duration now) {
  pipe::ParseResult result;
  if (overlong) {
    result.error = absl::StrCat("longer than ", pipe::kMaxLineBytes, " bytes");
  } else {
    result = pipe::Parse(line);
  }
  if (result.event) {
    last_event_at_ = now;
    handlers_.on_event(line, *result.event);
  } else if (++bad_lines_ <= kReportedBadLines) {
    handlers_.on_log("error", absl::StrCat("the trainer wrote a line that is no event: ", result.error));
  }
}

void TrainerLink::Finish(absl::Duration now) {
  event_lines_.Finish([&](std::string_view line, bool overlong) { HandleEventLine(line, overlong, now); });
  stdout_.Finish(now, [&](std::string_view line) { handlers_.on_log("stdout", line); });
  stderr_.Finish(now, [&](std::string_view line) { handlers_.on_log("stderr", line); });
  if (bad_lines_ > kReportedBadLines) {
    handlers_.on_log("error", absl::StrCat("the trainer wrote ", bad_lines_, " lines that are no events"));
  }
}

}  // namespace sink::worker
