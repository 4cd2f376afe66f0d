// See at_hand.h.
#include "coordinator/cli/study/at_hand.h"

#include <algorithm>

#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"

namespace sink::cli {

AtHand CountAtHand(const v1::ListWorkersResponse& response, int devices, int per_worker) {
  const int group = std::max(1, per_worker > 0 ? per_worker : devices);
  AtHand found;
  int groups = 0;
  for (const v1::Worker& worker : response.workers()) {
    if (!IsConnected(ToJson(worker)) || !worker.hold().empty()) continue;
    ++found.workers;
    found.devices += worker.devices();
    groups += worker.devices() / group;
  }
  found.jobs = groups * group / std::max(1, devices);
  return found;
}

Json ToJson(const AtHand& at_hand) {
  return {{"workers", at_hand.workers}, {"devices", at_hand.devices}, {"jobs", at_hand.jobs}};
}

std::string AtHandText(const AtHand& at_hand) {
  if (at_hand.workers == 0) return "no worker is at hand that is given jobs";
  return Counted(at_hand.workers, "worker") + " with " + Counted(at_hand.devices, "device") +
         (at_hand.workers == 1 ? " is at hand: " : " are at hand: ") +
         (at_hand.jobs == 0 ? "none has room for one of these jobs" : Counted(at_hand.jobs, "job") + " at once");
}

}  // namespace sink::cli
