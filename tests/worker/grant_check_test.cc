// What a coordinator says is taken only where it can be meant.
#include "worker/grant_check.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace sink::worker {
namespace {

v1::Grant Good() {
  v1::Grant grant;
  grant.mutable_lease()->set_job_id(std::string(32, 'a'));
  grant.mutable_lease()->set_lease_id(std::string(32, 'b'));
  grant.mutable_lease()->set_attempt(1);
  grant.mutable_lease()->set_fence(1);
  grant.set_devices(2);
  grant.set_config_json(R"({"train": {"max_steps": 9, "note": "[[["}})");
  grant.mutable_gang()->set_first_rank(2);
  grant.mutable_gang()->set_world_size(4);
  grant.mutable_resume_from()->set_step(3);
  return grant;
}

TEST(CheckGrant, TakesWhatACoordinatorGives) { EXPECT_TRUE(CheckGrant(Good()).ok()) << CheckGrant(Good()); }

TEST(CheckGrant, RefusesWhatCannotBeMeant) {
  const std::vector<std::function<void(v1::Grant&)>> faults = {
      [](v1::Grant& grant) { grant.mutable_lease()->set_job_id("../../etc"); },
      [](v1::Grant& grant) { grant.mutable_lease()->set_job_id(""); },
      [](v1::Grant& grant) { grant.mutable_lease()->set_lease_id("a/b"); },
      [](v1::Grant& grant) { grant.mutable_lease()->set_attempt(-1); },
      [](v1::Grant& grant) { grant.mutable_lease()->set_fence(0); },
      [](v1::Grant& grant) { grant.set_devices(0); },
      [](v1::Grant& grant) { grant.set_devices(std::numeric_limits<int>::max()); },
      [](v1::Grant& grant) { grant.mutable_gang()->set_first_rank(-1); },
      [](v1::Grant& grant) { grant.mutable_gang()->set_first_rank(3); },
      [](v1::Grant& grant) { grant.set_stall_ms(-1); },
      [](v1::Grant& grant) { grant.set_config_json(std::string(1 << 20, ' ')); },
      [](v1::Grant& grant) { grant.set_config_json(std::string(1000, '[') + std::string(1000, ']')); },
      [](v1::Grant& grant) { grant.mutable_resume_from()->set_step(-1); },
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    v1::Grant grant = Good();
    faults[i](grant);
    EXPECT_TRUE(absl::IsInvalidArgument(CheckGrant(grant))) << i;
  }
}

TEST(SaneTimes, AreTheNearestThatADaemonCanKeep) {
  EXPECT_EQ(SaneHeartbeatInterval(5000), absl::Seconds(5));
  EXPECT_GT(SaneHeartbeatInterval(0), absl::ZeroDuration());
  EXPECT_LE(SaneHeartbeatInterval(std::numeric_limits<int64_t>::max()), absl::Minutes(1));
  EXPECT_GT(SaneLeaseMs(-1), 0);
  EXPECT_EQ(SaneRest(40'000), absl::Seconds(40));
  EXPECT_EQ(SaneRest(-1), absl::ZeroDuration());
  EXPECT_LE(SaneRest(std::numeric_limits<int64_t>::max()), absl::Minutes(1));
}

}  // namespace
}  // namespace sink::worker
