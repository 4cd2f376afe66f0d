// See lease_term.h.
#include "worker/protocol/lease_term.h"

#include <algorithm>

namespace sink::worker {

LeaseTerm TermOf(absl::Duration sent_at, absl::Duration lease_duration) {
  // The trainer is stopped so long before its lease ends, and must be dead so long before.
  const absl::Duration stop_margin = std::min(absl::Seconds(15), lease_duration / 4);
  const absl::Duration kill_margin = std::min(absl::Seconds(5), lease_duration / 12);
  return {sent_at + lease_duration - stop_margin, stop_margin - kill_margin};
}

}  // namespace sink::worker
