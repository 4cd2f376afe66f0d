// See out_of_memory.h.
#include "worker/out_of_memory.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proto/files/files.h"

namespace sink::worker {

int64_t OutOfMemoryKills() {
  auto vmstat = files::ReadFile("/proc/vmstat", 1 << 20);
  if (!vmstat.ok()) return 0;
  for (absl::string_view line : absl::StrSplit(*vmstat, '\n')) {
    int64_t count = 0;
    if (absl::ConsumePrefix(&line, "oom_kill ") && absl::SimpleAtoi(line, &count)) return count;
  }
  return 0;
}

}  // namespace sink::worker
