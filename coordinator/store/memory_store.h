// The in-memory twin of SqliteStore, for tests of everything above the store: the same contract
// (tests/coordinator/store runs one suite over both), "durable" for as long as the object lives. Lists scan all rows.
// Any thread may call it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "coordinator/job/mutex.h"
#include "coordinator/store/job_store.h"

namespace sink::store {

class MemoryStore final : public JobStore {
 public:
  absl::Status Write(const std::function<absl::Status(Transaction&)>& body) override;
  absl::Status Read(const std::function<absl::Status(Snapshot&)>& body) override;

  struct JobRow {
    Job job;  // without memberships
    std::string config_json;
    int64_t seq = 0;  // submission order
  };
  struct Member {
    std::string job_id;
    Membership membership;
  };
  // One ordered map a table, by primary key.
  struct Tables {
    std::map<std::string, JobRow> jobs;
    std::map<int64_t, std::string> job_order;                                   // seq -> id
    std::map<std::string, Sweep> sweeps;                                        // without counts
    std::map<std::pair<std::string, int>, Member> members;                      // sweep, position
    std::map<std::tuple<std::string, int64_t, std::string>, RungResult> rungs;  // sweep, step, job
    std::map<std::string, std::string> studies;                                 // by sweep
    std::map<std::string, bool> saved;                                          // by sweep; only while true
    std::map<std::pair<std::string, int>, GangMember> gang;                     // job, first rank
    std::map<std::pair<std::string, int>, Attempt> attempts;
    std::map<std::pair<std::string, int64_t>, Checkpoint> checkpoints;             // job, step
    std::map<std::tuple<std::string, std::string, int64_t>, MetricPoint> metrics;  // job, name, step
    std::map<std::tuple<std::string, std::string, int64_t>, Heatmap> heatmaps;     // job, name, step
    std::map<std::pair<std::string, int64_t>, LogLine> logs;                       // job, cursor
    std::map<std::string, Worker> workers;
    std::map<std::string, bool> retired;           // workers, by id; there only while true
    std::map<std::string, uint64_t> deleted_jobs;  // id -> last fence
    std::map<std::string, RequestRecord> requests;
    std::map<int64_t, std::string> request_order;
    std::map<std::string, uint64_t> meta;
    int64_t next_id = 0;  // of rows of every kind but log lines
  };

 private:
  Mutex mutex_;
  Tables tables_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink::store
