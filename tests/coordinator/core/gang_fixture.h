// A JobManager and several workers that offer more than one device. Used by one thread.
#pragma once

#include <string>
#include <vector>

#include "tests/coordinator/core/fixture.h"

namespace sink {

class GangTest : public ManagerTest {
 protected:
  void Join(const std::string& worker, int devices, const std::string& session = "a") {
    RegisterRequest request;
    request.worker_id = request.name = worker;
    request.host = worker + ".local";
    request.session = session;
    request.device_kind = "gpu";
    request.devices = devices;
    ASSERT_TRUE(manager->workers().Register(request, now).ok());
  }
  std::vector<Grant> Ask(const std::string& worker, uint64_t poll, int devices_free) {
    auto grants = manager->dispatcher().AcquireLeases({worker, "a", poll, devices_free, 29500}, now);
    EXPECT_TRUE(grants.ok()) << grants.status();
    return grants.ok() ? *grants : std::vector<Grant>();
  }
  void SubmitGang(int job, int devices, int per_worker) {
    SubmitRequest request = Sweep({job}, "gang" + std::to_string(job));
    request.devices = devices;
    request.per_worker = per_worker;
    ASSERT_TRUE(manager->clients().Submit(request, now).ok());
  }
  HeartbeatResult Beat(const std::string& worker, const std::vector<Lease>& held, int devices_free = 0) {
    HeartbeatRequest request{worker, "a", {}, devices_free};
    for (const Lease& lease : held) request.held.push_back({lease, JobState::kRunning});
    auto result = manager->workers().Heartbeat(request, now);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : HeartbeatResult();
  }
  // Two workers of four devices with ranks 0-3 and 4-7 of job 1.
  void StartGang() {
    Join("u", 4);
    Join("v", 4);
    SubmitGang(1, 8, 4);
    const std::vector<Grant> first = Ask("u", 1, 4), second = Ask("v", 1, 4);
    ASSERT_EQ(first.size(), 1u);
    ASSERT_EQ(second.size(), 1u);
    leader = first[0];
    member = second[0];
    ASSERT_TRUE(manager->workers().Report("u", leader.lease, {Hello(1)}, now).ok());
    Beat("v", {member.lease});
  }

  Grant leader, member;
};

}  // namespace sink
