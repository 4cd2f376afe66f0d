// See service_time.h.
#include "coordinator/service/service_time.h"

#include <time.h>

namespace sink {
namespace {

int64_t Milliseconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

Now SystemNow() { return {.unix_ms = Milliseconds(CLOCK_REALTIME), .steady_ms = Milliseconds(CLOCK_BOOTTIME)}; }

}  // namespace sink
