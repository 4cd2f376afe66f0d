// What tests of jobs in both stores share: a store with the sweep "s", and short ways to put jobs into it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/coordinator/store/either_store.h"

namespace sink::store {

class JobRows : public EitherStore {
 protected:
  static std::string Id(int n) {
    std::string digits = std::to_string(n);
    return std::string(8 - digits.size(), '0') + digits + std::string(24, 'a');
  }

  static Job QueuedJob(int n, int devices = 1, int priority = 0, const std::string& sweep = "s") {
    Job job;
    job.id = Id(n);
    job.home_sweep = sweep;
    job.devices = devices;
    job.priority = priority;
    return job;
  }

  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(EitherStore::SetUp());
    Sweep sweep;
    sweep.name = "s";
    sweep.created_ms = 5;
    sweep.max_parallel = 2;
    Must([&](Transaction& rows) { return rows.PutSweep(sweep); });
  }

  void Insert(const Job& job) {
    Must([&](Transaction& rows) { return rows.InsertJob(job, "{\"job\":\"" + job.id + "\"}"); });
  }
  void Update(const Job& job) {
    Must([&](Transaction& rows) { return rows.UpdateJob(job); });
  }
  Job GetJob(int n) {
    return Get<Job>([&](Snapshot& rows) { return rows.GetJob(Id(n)); });
  }
  static Job Lease(Job job, uint64_t fence) {
    job.state = job.phase = JobState::kLeased;
    job.holder = {fence, "lease", "w", "session", 1};
    ++job.attempt;
    return job;
  }
  void Member(const std::vector<std::pair<int, int>>& job_and_index) {
    std::vector<std::pair<std::string, Membership>> members;
    for (auto [job, index] : job_and_index) members.emplace_back(Id(job), Membership{"s", "e", "l", index});
    Must([&](Transaction& rows) { return rows.SetMemberships("s", members); });
  }
  std::vector<std::string> Ids(const JobQuery& query) {
    std::vector<std::string> ids;
    for (const Job& job : Get<std::vector<Job>>([&](Snapshot& rows) { return rows.ListJobs(query); })) {
      ids.push_back(job.id);
    }
    return ids;
  }
};

}  // namespace sink::store
