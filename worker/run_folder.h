// The folder of one attempt, DATA/jobs/<job>/<attempt>-<fence>/, with the lease's id behind it where another lies
// there:
//   lease.json     while the coordinator has not been told the end (fsynced: a restarted daemon goes on from it)
//   outcome.json   how the attempt ended, once that is known
//   job.json       what the trainer reads;  checkpoints/ what it writes
//   spool/         events on their way;  upload/ the checkpoint on its way
//   token          of a rank of several, while it runs: by it they know each other
//   rank-<r>/      job.json of another rank than 0 in a job of several, and what that rank writes
// Functions of the file system only. A RunFolder is a path; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sink/v1/worker.pb.h"
#include "worker/outcome.h"

namespace sink::worker {

class RunFolder {
 public:
  // The folder of this lease under `data`; nothing is created.
  RunFolder(const std::string& data, const v1::LeaseRef& lease);
  // The same for an attempt that begins: one that nothing has. A job, an attempt and a fence come again with another
  // coordinator, or with one that began anew, and what lies there then is no checkpoint of this attempt's.
  static RunFolder ForNew(const std::string& data, const v1::LeaseRef& lease);

  const std::string& path() const { return path_; }
  std::string spool() const { return path_ + "/spool"; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string upload() const { return path_ + "/upload"; }
  std::string token() const { return path_ + "/token"; }
  // Names the attempt's processes: the folder's path, which is no other attempt's on this machine, whatever
  // coordinators its daemons have; "/rank-<r>" is behind it for a rank, 0 too.
  const std::string& marker() const { return marker_; }

  // The place of one rank of a job of several processes: rank 0's is this folder, every other one's lies below it. Each
  // has a marker of its own below this one's, so that one rank's processes can be told from another's.
  RunFolder OfRank(int rank) const;

  // Creates the folder with lease.json, durably.
  absl::Status Create(const v1::LeaseRef& lease) const;
  // Creates the folder if needed. `device`: "cpu" or "cuda:0". `model`: the folder to measure, "" where the job
  // measures none.
  absl::Status WriteJob(const v1::Grant& grant, const std::string& data_root, const std::string& model,
                        const std::string& device) const;
  absl::Status SaveOutcome(const Outcome& outcome) const;
  // Nothing while no outcome was saved; a failure that says so where it was and is damaged.
  std::optional<Outcome> LoadOutcome() const;
  // The coordinator knows the end: the folder is only kept for its checkpoints, until retention takes it.
  absl::Status Close() const;
  // Deletes everything.
  void Remove() const;

 private:
  RunFolder(std::string path, std::string marker) : path_(std::move(path)), marker_(std::move(marker)) {}

  std::string path_;
  std::string marker_;
};

// The leases that a former daemon left open under `data`. A damaged lease.json, or one of another folder,
// is renamed to lease.json.damaged, so that the folder counts as closed; one that cannot be read is left alone. The log
// names either.
std::vector<v1::LeaseRef> FindOpenLeases(const std::string& data);

// Every checkpoint folder of the job under `data`, in any attempt.
std::vector<std::string> FindCheckpoints(const std::string& data, const std::string& job_id, int64_t step);

struct RetentionLimits {
  int runs_per_job = 2;
  int64_t total_bytes = int64_t{20} << 30;
};

// Deletes the oldest closed run folders beyond the limits. Open ones count, but are never touched.
void ApplyRetention(const std::string& data, const RetentionLimits& limits);

}  // namespace sink::worker
