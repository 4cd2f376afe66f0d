// See oracle.h.
#include "tests/simulator/oracle.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace sink::simulator {
namespace {

std::string Name(const Lease& lease) {
  return absl::StrCat("attempt ", lease.attempt, " of job ", lease.job_id.substr(0, 8), " (fence ", lease.fence >> 32,
                      ":", lease.fence & 0xffffffff, ")");
}

constexpr int kPage = 1 << 20;

}  // namespace

double LossOf(const std::string& job_id, int64_t step) {
  return std::stoi(job_id.substr(0, 8)) + 1.0 / static_cast<double>(step);
}

std::string LineOf(uint64_t fence, int64_t step) { return absl::StrCat("fence ", fence, " step ", step); }

std::string HashOf(const std::string& job_id, uint64_t fence, int64_t step) {
  return absl::StrCat(job_id.substr(0, 8), "-", fence, "-", step);
}

void Oracle::Started(uint64_t epoch) {
  if (epoch <= epoch_) Fail(absl::StrCat("epoch ", epoch, " began after epoch ", epoch_));
  epoch_ = epoch;
}

void Oracle::Submitted(const std::vector<std::string>& jobs) { promised_.jobs.insert(jobs.begin(), jobs.end()); }

uint64_t Oracle::NewestFence(const std::string& job) const {
  const auto found = promised_.fences.find(job);
  return found == promised_.fences.end() ? 0 : found->second;
}

void Oracle::Granted(const Grant& grant, const Fences& known) {
  const auto [place, added] = granted_.emplace(grant.lease.fence, grant.lease);
  if (!(place->second == grant.lease)) Fail(absl::StrCat("one fence for two leases: ", Name(grant.lease)));
  if (!added) return;
  // Those of a gang's other workers come later; each job's leader has the lowest of its attempt.
  if (grant.first_rank > 0) return;
  const auto before = known.find(grant.lease.job_id);
  if (before != known.end() && grant.lease.fence <= before->second) {
    Fail(absl::StrCat("a fence that is not new: ", Name(grant.lease)));
  }
  for (Fences* fences : {&newest_fences_, &promised_.fences}) {
    uint64_t& newest = (*fences)[grant.lease.job_id];
    newest = std::max(newest, grant.lease.fence);
  }
  const int64_t resumed = grant.resume_from ? grant.resume_from->step : 0;
  const int64_t promised = NewestCheckpoint(grant.lease.job_id).step;
  if (resumed < promised) {
    Fail(absl::StrCat(Name(grant.lease), " begins at step ", resumed, ", and the checkpoint of step ", promised,
                      " was committed"));
  }
  if (grant.resume_from &&
      grant.resume_from->manifest_hash != HashOf(grant.lease.job_id, grant.resume_from->fence, resumed)) {
    Fail(absl::StrCat(Name(grant.lease), " resumes from another attempt's bytes: ", grant.resume_from->manifest_hash));
  }
}

void Oracle::Accepted(const char* call, const Lease& lease, uint64_t newest) {
  if (lease.fence < newest) Fail(absl::StrCat("a stale ", call, " was accepted: ", Name(lease)));
}

void Oracle::Finished(const Lease& lease, JobState outcome, uint64_t newest) {
  const auto [known, added] = promised_.ends.emplace(lease.fence, outcome);
  if (added) Accepted("end", lease, newest);
  if (!added && known->second != outcome) Fail(absl::StrCat("two ends of ", Name(lease)));
}

void Oracle::Committed(const Lease& lease, int64_t step, bool intact) {
  // A repetition may come after the damage.
  if (damaged_.count({lease.job_id, lease.fence, step}) > 0) return;
  if (!intact) Fail(absl::StrCat("the checkpoint of step ", step, " was acknowledged with wrong bytes: ", Name(lease)));
  promised_.checkpoints[lease.job_id][step] = lease.fence;
}

Oracle::Kept Oracle::NewestCheckpoint(const std::string& job) const {
  const auto found = promised_.checkpoints.find(job);
  if (found == promised_.checkpoints.end() || found->second.empty()) return {};
  const auto& [step, fence] = *found->second.rbegin();
  return {fence, step};
}

void Oracle::Damaged(const std::string& job, const Kept& checkpoint) {
  damaged_.insert({job, checkpoint.fence, checkpoint.step});
  promised_.checkpoints[job].erase(checkpoint.step);
}

void Oracle::Resumed(const Lease& lease, const Checkpoint* from, bool intact, int64_t promised) {
  const int64_t step = from == nullptr ? 0 : from->step;
  if (step < promised) {
    Fail(absl::StrCat(Name(lease), " goes on from step ", step, ", and the checkpoint of step ", promised,
                      " was committed"));
  }
  if (from == nullptr) return;
  if (!intact) Fail(absl::StrCat(Name(lease), " goes on from bytes of step ", step, " that are wrong"));
  if (from->fence >= lease.fence) Fail(absl::StrCat(Name(lease), " goes on from a later attempt's checkpoint"));
  if (from->manifest_hash != HashOf(lease.job_id, from->fence, step)) {
    Fail(absl::StrCat(Name(lease), " goes on from another attempt's bytes: ", from->manifest_hash));
  }
}

void Oracle::TrainerBegan(const Lease& lease) {
  std::vector<Trainer>& alive = trainers_[lease.job_id];
  for (const Trainer& other : alive) {
    if (other.lease.fence < lease.fence && other.confirmed && !other.excused) {
      Fail(absl::StrCat(Name(lease), " trains while ", Name(other.lease), " does"));
    }
  }
  alive.push_back({lease});
}

void Oracle::Confirmed(uint64_t fence) {
  for (auto& [job, alive] : trainers_) {
    for (Trainer& trainer : alive) trainer.confirmed |= trainer.lease.fence == fence;
  }
}

void Oracle::Excuse(uint64_t fence) {
  for (auto& [job, alive] : trainers_) {
    for (Trainer& trainer : alive) trainer.excused |= trainer.lease.fence == fence;
  }
}

void Oracle::TrainerEnded(const Lease& lease) {
  std::erase_if(trainers_[lease.job_id], [&](const Trainer& trainer) { return trainer.lease == lease; });
}

void Oracle::Restored() {
  promised_ = saved_;
  for (auto& [job, alive] : trainers_) {
    for (Trainer& trainer : alive) trainer.excused = true;
  }
}

void Oracle::CheckEnd(JobManager* manager, const CheckpointFiles& files, int64_t steps) {
  for (const std::string& job : promised_.jobs) CheckJob(manager, files, job, steps);
}

void Oracle::CheckJob(JobManager* manager, const CheckpointFiles& files, const std::string& job, int64_t steps) {
  const auto details = manager->queries().GetJob(job);
  if (!details.ok()) return Fail(absl::StrCat("a job that was submitted is gone: ", details.status().message()));
  const Job& row = details->job;
  const bool legal = row.state == JobState::kSucceeded ||
                     (row.state == JobState::kCancelled && cancel_asked_.count(job) > 0) ||
                     (row.state == JobState::kFailed && absl::StartsWith(row.message, "gave up after"));
  if (!legal) {
    return Fail(
        absl::StrCat("job ", job.substr(0, 8), " is ", std::string(NameOf(row.state)), " at the end: ", row.message));
  }
  CheckLogs(manager, *details);
  CheckPoints(manager, *details, steps);
  CheckCheckpoints(manager, files, job);
}

void Oracle::CheckPoints(JobManager* manager, const JobDetails& details, int64_t steps) {
  const std::string& job = details.job.id;
  std::set<int64_t> seen;
  const auto points = manager->queries().ReadMetrics(job, {.limit = kPage});
  for (const MetricPoint& point : points.value()) {
    if (!seen.insert(point.step).second) Fail(absl::StrCat("step ", point.step, " is there twice"));
    if (point.value != LossOf(job, point.step)) Fail(absl::StrCat("step ", point.step, " has another value"));
  }
  for (const auto& [fence, lease] : granted_) {
    if (lease.job_id != job) continue;
    const std::vector<Spooling>& events = spooled_[fence];
    for (uint64_t seq = 1; seq <= promised_.events[fence]; ++seq) {
      const int64_t step = events.at(seq - 1).point_of;
      if (step > 0 && seen.count(step) == 0) Fail(absl::StrCat("lost: the point of step ", step, ", acknowledged"));
    }
  }
  if (details.job.state == JobState::kSucceeded && static_cast<int64_t>(seen.size()) != steps) {
    Fail(absl::StrCat("job ", job.substr(0, 8), " succeeded with ", seen.size(), " of ", steps, " steps"));
  }
}

void Oracle::CheckCheckpoints(JobManager* manager, const CheckpointFiles& files, const std::string& job) {
  const auto checkpoints = manager->queries().ListCheckpoints(job);
  const int64_t newest = checkpoints->empty() ? 0 : checkpoints->front().step;
  const int64_t promised = NewestCheckpoint(job).step;
  if (newest < promised) Fail(absl::StrCat("the checkpoint of step ", promised, " is gone"));
  for (const Checkpoint& row : *checkpoints) {
    const CheckpointFiles::Key key{job, row.fence, row.step};
    if (damaged_.count(key) == 0 && !files.IsIntact(key)) {
      Fail(absl::StrCat("the files of the checkpoint of step ", row.step, " are gone"));
    }
  }
}

void Oracle::CheckLogs(JobManager* manager, const JobDetails& details) {
  std::map<int, uint64_t> fences;  // by attempt
  for (const Attempt& attempt : details.attempts) {
    fences[attempt.attempt] = attempt.fence;
    const auto end = promised_.ends.find(attempt.fence);
    if (end == promised_.ends.end()) continue;
    const bool succeeded = end->second == JobState::kSucceeded;
    if (succeeded != (attempt.state == AttemptState::kSucceeded)) {
      Fail(absl::StrCat("attempt ", attempt.attempt, " ended otherwise than its worker was told"));
    }
  }
  std::map<uint64_t, std::map<int64_t, int>> lines;  // how often, by fence and step
  const auto page = manager->queries().ReadLogs(details.job.id, 0, 0, kPage);
  for (const LogLine& line : page->lines) {
    const std::vector<std::string> words = absl::StrSplit(line.text, ' ');
    uint64_t fence = 0;
    int64_t step = 0;
    if (words.size() != 4 || words[0] != "fence" || !absl::SimpleAtoi(words[1], &fence) ||
        !absl::SimpleAtoi(words[3], &step)) {
      continue;
    }
    if (fences[line.attempt] != fence) {
      Fail(absl::StrCat("attempt ", line.attempt, " has a line of another attempt: ", line.text));
    }
    if (++lines[fence][step] > 1) Fail(absl::StrCat("stored twice: ", line.text));
  }
  // Also of an attempt that the coordinator does not know any more.
  for (const auto& [fence, lease] : granted_) {
    if (lease.job_id != details.job.id) continue;
    const std::vector<Spooling>& events = spooled_[fence];
    for (uint64_t seq = 1; seq <= promised_.events[fence]; ++seq) {
      const int64_t step = events.at(seq - 1).line_of;
      if (step > 0 && lines[fence][step] != 1) Fail(absl::StrCat("lost: ", LineOf(fence, step), ", acknowledged"));
    }
  }
}

}  // namespace sink::simulator
