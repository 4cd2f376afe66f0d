// See thread_report.h; proc(5) has the files.
#include "worker/thread_report.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proto/files/files.h"

namespace sink::worker {
namespace {

constexpr size_t kMaxFileBytes = 64 << 10;
constexpr size_t kMostThreads = 64;

std::string Read(const std::string& path) {
  const auto text = files::ReadFile(path, kMaxFileBytes);
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

const char* Meaning(char state) {
  switch (state) {
    case 'R':
      return "runs";
    case 'S':
      return "waits";
    case 'D':
      return "waits for a device, and cannot be interrupted";
    case 'T':
    case 't':
      return "is stopped";
    case 'Z':
    case 'X':
      return "has ended";
    default:
      return "is idle";
  }
}

std::string DescribeThread(const std::string& folder, pid_t thread) {
  const std::string stat = Read(folder + "/stat");
  // The second field is the name in brackets and may itself hold spaces and brackets.
  const size_t name_end = stat.rfind(") ");
  const char state = name_end == std::string::npos || name_end + 2 >= stat.size() ? '?' : stat[name_end + 2];
  const std::string place = Read(folder + "/wchan");
  return absl::StrCat("thread ", thread, " (", Read(folder + "/comm"), ") ", Meaning(state),
                      place.empty() || place == "0" ? "" : absl::StrCat(" in ", place), "\n");
}

}  // namespace

std::string DescribeThreads(pid_t process) {
  const std::string folder = absl::StrCat("/proc/", process, "/task");
  std::vector<pid_t> threads;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    pid_t thread = 0;
    if (absl::SimpleAtoi(it->path().filename().string(), &thread)) threads.push_back(thread);
  }
  std::sort(threads.begin(), threads.end());
  std::string text;
  for (size_t i = 0; i < std::min(threads.size(), kMostThreads); ++i)
    text += DescribeThread(absl::StrCat(folder, "/", threads[i]), threads[i]);
  if (threads.size() > kMostThreads) absl::StrAppend(&text, "and ", threads.size() - kMostThreads, " more\n");
  return text;
}

bool AskForStacks(pid_t process) {
  const std::string status = Read(absl::StrCat("/proc/", process, "/status"));
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    uint64_t caught = 0;  // a bit a signal, from 1
    if (!absl::ConsumePrefix(&line, "SigCgt:")) continue;
    if (!absl::SimpleHexAtoi(absl::StripAsciiWhitespace(line), &caught)) return false;
    return (caught >> (SIGUSR2 - 1) & 1) != 0 && kill(process, SIGUSR2) == 0;
  }
  return false;
}

}  // namespace sink::worker
