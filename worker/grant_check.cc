// See grant_check.h.
#include "worker/grant_check.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/base/json_depth.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/job_file.h"
#include "proto/run/manifest.h"

namespace sink::worker {
namespace {

constexpr size_t kMaxIdBytes = 64;
constexpr int kMaxDevices = 4096;
constexpr int kMaxDepth = 64;  // of a configuration
constexpr int64_t kLeastIntervalMs = 10, kMostIntervalMs = 60'000;
constexpr int64_t kLeastLeaseMs = 100, kMostLeaseMs = 24 * 3'600'000;

bool IsPlain(const std::string& id) { return id.size() <= kMaxIdBytes && run::IsCheckpointFileName(id); }

}  // namespace

absl::Status CheckGrant(const v1::Grant& grant) {
  const auto bad = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("the coordinator gave a job that cannot be meant: ", what));
  };
  const v1::LeaseRef& lease = grant.lease();
  if (!IsPlain(lease.job_id()) || !IsPlain(lease.lease_id())) return bad("its id is no plain name");
  if (lease.attempt() < 1 || lease.fence() < 1) return bad("its attempt or fence is not positive");
  if (grant.devices() < 1 || grant.devices() > kMaxDevices) return bad("its number of devices");
  const v1::Gang& gang = grant.gang();
  if (grant.has_gang() && (gang.first_rank() < 0 || gang.world_size() > kMaxDevices ||
                           gang.first_rank() > gang.world_size() - grant.devices())) {
    return bad("its ranks");
  }
  if (grant.stall_ms() < 0) return bad("its time without a step");
  if (grant.config_json().size() > run::kMaxJobFileBytes) return bad("its configuration is too large");
  if (IsDeeperThan(kMaxDepth, grant.config_json())) return bad("its configuration is nested too deeply");
  const v1::Checkpoint& checkpoint = grant.resume_from();
  if (grant.has_resume_from() &&
      (checkpoint.step() < 0 || checkpoint.files_size() > static_cast<int>(run::kMaxManifestFiles) + 1)) {
    return bad("its checkpoint");
  }
  return absl::OkStatus();
}

absl::Duration SaneHeartbeatInterval(int64_t ms) {
  return absl::Milliseconds(std::clamp(ms, kLeastIntervalMs, kMostIntervalMs));
}

absl::Duration SaneRest(int64_t ms) { return absl::Milliseconds(std::clamp(ms, int64_t{0}, kMostIntervalMs)); }

int64_t SaneLeaseMs(int64_t ms) { return std::clamp(ms, kLeastLeaseMs, kMostLeaseMs); }

}  // namespace sink::worker
