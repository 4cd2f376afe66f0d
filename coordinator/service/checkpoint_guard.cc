// See checkpoint_guard.h.
#include "coordinator/service/checkpoint_guard.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/log/log.h"
#include "coordinator/service/opened_checkpoint.h"

namespace sink {
namespace {

CheckpointKey KeyOf(const Checkpoint& checkpoint) { return {checkpoint.job_id, checkpoint.fence, checkpoint.step}; }

// The checkpoint's row among those of its job.
std::optional<Checkpoint> RowAmong(const std::vector<Checkpoint>& rows, const Checkpoint& checkpoint) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Checkpoint& row) {
    return row.step == checkpoint.step && row.fence == checkpoint.fence &&
           row.manifest_hash == checkpoint.manifest_hash;
  });
  return found == rows.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

CheckpointGuard::~CheckpointGuard() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    ending_changed_.SignalAll();
  }
  if (scrub_.joinable()) scrub_.join();
}

absl::Status CheckpointGuard::Send(const std::vector<Checkpoint>& rows, int64_t step, SentTo whom,
                                   absl::FunctionRef<bool(const v1::CheckpointChunk&)> write) {
  auto row = std::find_if(rows.begin(), rows.end(),
                          [&](const Checkpoint& checkpoint) { return step == 0 || checkpoint.step == step; });
  if (step == 0 && whom == SentTo::kWorker) {
    const auto sound = std::find_if(rows.begin(), rows.end(), [&](const auto& each) { return DamageOf(each).empty(); });
    if (sound != rows.end()) row = sound;
  }
  if (row == rows.end()) {
    return absl::NotFoundError(step == 0 ? "the job has no checkpoint"
                                         : absl::StrCat("the job has no checkpoint of step ", step));
  }
  const absl::Status sent = SendCheckpoint(*row, whom, repository_, write);
  return Judge(*row, sent);
}

absl::Status CheckpointGuard::SendOpened(
    const Checkpoint& row,
    absl::FunctionRef<absl::Status(const std::string& file, uint64_t offset, std::string& data)> send) {
  const absl::Status sent = ReadAsOpened(row, repository_, send);
  return Judge(row, sent);
}

absl::Status CheckpointGuard::Judge(const Checkpoint& row, const absl::Status& read) {
  if (absl::IsDataLoss(read)) return Forget(row, read);
  if (absl::IsUnknown(read)) return Doubt(row, read);
  if (read.ok()) Remember(row, "");
  return read;
}

absl::StatusOr<std::vector<std::pair<Checkpoint, std::string>>> CheckpointGuard::Verify(
    const std::vector<Checkpoint>& rows) {
  std::vector<std::pair<Checkpoint, std::string>> found;
  for (const Checkpoint& row : rows) {
    const absl::Status whole = repository_->Verify(row, [](uint64_t) { return true; });
    if (!whole.ok() && !absl::IsDataLoss(whole) && !absl::IsUnknown(whole)) return whole;
    if (!whole.ok()) {
      if (absl::Status here = repository_->CheckHere(); !here.ok()) return here;
      const auto counts = Counts(row);
      if (!counts.ok()) return counts.status();
      if (!*counts) continue;
    }
    Remember(row, std::string(whole.message()));
    found.emplace_back(row, std::string(whole.message()));
  }
  return found;
}

bool CheckpointGuard::Remember(const Checkpoint& checkpoint, const std::string& damage) {
  const CheckpointKey key = KeyOf(checkpoint);
  bool is_new = false;
  {
    MutexLock lock(&mutex_);
    if (damage.empty()) {
      damaged_.erase(key);
    } else {
      const auto [entry, added] = damaged_.try_emplace(key);
      entry->second.checkpoint = checkpoint;
      entry->second.what = damage;
      is_new = added;
    }
  }
  if (is_new) fail_stop_->Report(calls_->TellDamage(checkpoint, damage, now_()));
  return is_new;
}

std::string CheckpointGuard::DamageOf(const Checkpoint& checkpoint) {
  MutexLock lock(&mutex_);
  const auto found = damaged_.find(KeyOf(checkpoint));
  return found == damaged_.end() ? "" : found->second.what;
}

std::vector<std::pair<Checkpoint, std::string>> CheckpointGuard::Damaged(size_t most) {
  std::vector<std::pair<Checkpoint, std::string>> damaged;
  CheckpointKey last;
  // Mostly once: again only where some of those that were remembered have been dropped.
  while (damaged.size() < most) {
    std::vector<std::pair<Checkpoint, std::string>> remembered = RememberedAfter(last, most - damaged.size());
    if (remembered.empty()) break;
    last = KeyOf(remembered.back().first);
    std::vector<std::string> jobs;
    for (const auto& [checkpoint, damage] : remembered) jobs.push_back(checkpoint.job_id);
    const auto rows = queries_->CheckpointsOf(jobs);
    fail_stop_->Report(rows.status());
    if (!rows.ok()) break;
    for (auto& [checkpoint, damage] : remembered) {
      const auto of_job = rows->find(checkpoint.job_id);
      const auto row = of_job == rows->end() ? std::nullopt : RowAmong(of_job->second, checkpoint);
      if (row)
        damaged.emplace_back(*row, std::move(damage));
      else
        Remember(checkpoint, "");  // newer ones have pushed it out, or it went with its job
    }
  }
  return damaged;
}

std::vector<std::pair<Checkpoint, std::string>> CheckpointGuard::RememberedAfter(const CheckpointKey& key,
                                                                                 size_t most) {
  std::vector<std::pair<Checkpoint, std::string>> remembered;
  MutexLock lock(&mutex_);
  for (auto entry = damaged_.upper_bound(key); entry != damaged_.end() && remembered.size() < most; ++entry)
    remembered.emplace_back(entry->second.checkpoint, entry->second.what);
  return remembered;
}

absl::StatusOr<std::optional<Checkpoint>> CheckpointGuard::RowOf(const Checkpoint& checkpoint) {
  const auto rows = queries_->ListCheckpoints(checkpoint.job_id);
  fail_stop_->Report(rows.status());
  if (!rows.ok()) return rows.status();
  return RowAmong(*rows, checkpoint);
}

absl::StatusOr<bool> CheckpointGuard::Counts(const Checkpoint& checkpoint) {
  const auto row = RowOf(checkpoint);
  if (!row.ok()) return row.status();
  return row->has_value();
}

absl::StatusOr<bool> CheckpointGuard::AnotherIsThere(const Checkpoint& checkpoint) {
  const auto rows = queries_->ListCheckpoints(checkpoint.job_id);
  fail_stop_->Report(rows.status());
  if (!rows.ok()) return rows.status();
  return std::any_of(rows->begin(), rows->end(), [&](const Checkpoint& row) {
    return row.step != checkpoint.step && repository_->Has({row.job_id, row.fence, row.step});
  });
}

absl::Status CheckpointGuard::Forget(const Checkpoint& checkpoint, const absl::Status& damage) {
  const LogScope scope(checkpoint.job_id, "");
  // Its row may be all that is left to find it by once the disk is back.
  if (absl::Status here = repository_->CheckHere(); !here.ok()) return here;
  // Looked at before the rows: files go after their row has gone.
  const CheckpointKey key = KeyOf(checkpoint);
  const bool has_folder = repository_->Has(key);
  const auto row = RowOf(checkpoint);
  if (!row.ok()) return row.status();
  const absl::Status replaced = absl::AbortedError(absl::StrCat(
      "the checkpoint of step ", checkpoint.step, " was replaced by newer ones while it was read; get the newest one"));
  if (!*row) return replaced;
  std::string how(damage.message());
  bool away = false;
  if (!has_folder) {
    const auto another = AnotherIsThere(checkpoint);
    if (!another.ok()) return another.status();
    const bool pinned = (*row)->pinned;
    away = pinned || !*another || !repository_->IsGone(key);
    absl::StrAppend(&how, pinned ? "; its folder is gone, and a person has pinned it: bring it back, or unpin it, and "
                                   "then forget it with sinkctl checkpoint drop"
                          : away ? "; its folder is gone, and the job has no other there: bring it back, or forget it "
                                   "with sinkctl checkpoint drop"
                                 : "; its folder is gone, and another of the job is there");
  }
  const std::string what =
      absl::StrCat("checkpoint of step ", checkpoint.step, " of job ", checkpoint.job_id, ": ", how);
  if (away) {
    if (Remember(checkpoint, how)) spdlog::error("{} {} --step {}", what, checkpoint.job_id, checkpoint.step);
    return absl::DataLossError(what);
  }
  const auto dropped = calls_->DropDamaged(checkpoint, how, now_());
  fail_stop_->Report(dropped.status());
  if (!dropped.ok()) {
    spdlog::error("{}; it could not be dropped: {}", what, dropped.status().ToString());
    return dropped.status();
  }
  RemoveLeftovers(checkpoint.job_id);
  bool is_news = *dropped;
  if (!*dropped) {
    const auto still = Counts(checkpoint);
    if (still.ok() && !*still) return replaced;  // just now
    is_news = Remember(checkpoint, how);
  }
  const std::string told = absl::StrCat(what, *dropped ? "; it was dropped" : "; it stays, as no job goes on from it");
  if (is_news) spdlog::error("{}", told);
  return absl::DataLossError(told);
}

absl::Status CheckpointGuard::Doubt(const Checkpoint& checkpoint, const absl::Status& doubt) {
  const LogScope scope(checkpoint.job_id, "");
  if (absl::Status here = repository_->CheckHere(); !here.ok()) return here;
  const std::string how = absl::StrCat(doubt.message(), "; it stays, as the disk may give them again");
  const std::string what =
      absl::StrCat("checkpoint of step ", checkpoint.step, " of job ", checkpoint.job_id, ": ", how);
  if (Remember(checkpoint, how)) spdlog::error("{}", what);
  return absl::DataLossError(what);
}

bool CheckpointGuard::WasDoubted(const Checkpoint& checkpoint) {
  MutexLock lock(&mutex_);
  const auto found = damaged_.find(KeyOf(checkpoint));
  return found != damaged_.end() && std::exchange(found->second.doubted, true);
}

void CheckpointGuard::RemoveLeftovers(std::string_view job) {
  if (!repository_->CheckHere().ok()) return;  // which DiskWatch tells
  const auto details = queries_->GetJob(job);
  fail_stop_->Report(details.status());
  if (!details.ok()) return;  // the database does not know it: not ours to judge
  ForgetDropped(details->job.id, details->checkpoints);
  // The job may be leased once more meanwhile, but only with a greater fence than it has had.
  uint64_t end = details->job.holder.fence;
  if (end == 0) {
    for (const Attempt& attempt : details->attempts) end = std::max(end, attempt.fence + 1);
  }
  const LogScope scope(details->job.id, "");
  const absl::Status removed = repository_->KeepOnly({details->job.id, end, 0}, details->checkpoints);
  if (!removed.ok()) {
    spdlog::warn("job {}: files of checkpoints that it has no more stay for now: {}", details->job.id,
                 removed.ToString());
  }
}

void CheckpointGuard::ForgetDropped(const std::string& job, const std::vector<Checkpoint>& rows) {
  MutexLock lock(&mutex_);
  auto entry = damaged_.lower_bound({job, 0, 0});
  while (entry != damaged_.end() && entry->first.job_id == job)
    entry = RowAmong(rows, entry->second.checkpoint) ? std::next(entry) : damaged_.erase(entry);
}

void CheckpointGuard::MakeRoom() {
  const int64_t now = now_().steady_ms;
  int64_t last = made_room_ms_.load();
  if (now - last < kMakeRoomEveryMs || !made_room_ms_.compare_exchange_strong(last, now)) return;
  std::set<std::string> jobs = repository_->UploadingJobs();
  if (now - listed_uploads_ms_.load() >= kListUploadsEveryMs) {
    listed_uploads_ms_ = now;
    jobs.merge(repository_->JobsWithUploads());
  }
  for (const std::string& job : jobs) RemoveLeftovers(job);
}

absl::Status CheckpointGuard::RemoveDeleted() {
  if (!repository_->CheckHere().ok()) return absl::OkStatus();  // they stay deleted jobs until then
  const auto deleted = calls_->Deleted();
  if (!deleted.ok()) return deleted.status();
  std::vector<store::DeletedJob> gone;
  for (const store::DeletedJob& job : *deleted) {
    const absl::Status removed = repository_->KeepOnly({job.id, job.last_fence + 1, 0}, {});
    if (removed.ok()) {
      gone.push_back(job);
    } else {
      spdlog::warn("job {}, which was deleted: files of its checkpoints stay for now: {}", job.id, removed.ToString());
    }
  }
  return calls_->FilesAreGone(gone);
}

void CheckpointGuard::StartScrub(std::chrono::nanoseconds interval, uint64_t bytes_per_second) {
  scrub_ = std::thread([this, interval, bytes_per_second] { ScrubLoop(interval, bytes_per_second); });
}

void CheckpointGuard::ScrubLoop(std::chrono::nanoseconds interval, uint64_t bytes_per_second) {
  // Not while everybody comes back after a start.
  if (!Pause(std::min<std::chrono::nanoseconds>(interval, std::chrono::minutes(10)))) return;
  for (;;) {
    const auto next = std::chrono::steady_clock::now() + interval;
    if (!ScrubAll(bytes_per_second) || !Pause(next - std::chrono::steady_clock::now())) return;
  }
}

bool CheckpointGuard::ScrubAll(uint64_t bytes_per_second) {
  fail_stop_->Report(RemoveDeleted());
  const auto jobs = repository_->Jobs();
  if (!jobs.ok()) spdlog::error("checkpoints are not read again: {}", std::string(jobs.status().message()));
  for (const std::string& job : jobs.ok() ? *jobs : std::vector<std::string>()) {
    if (!Pause({})) return false;
    RemoveLeftovers(job);
    Scrub(job, bytes_per_second);
  }
  return true;
}

void CheckpointGuard::Scrub(const std::string& job, uint64_t bytes_per_second) {
  const auto rows = queries_->ListCheckpoints(job);
  if (!rows.ok()) return;  // of a job that the database does not know
  bool another_is_whole = false;
  std::vector<std::pair<Checkpoint, absl::Status>> doubts;
  for (const Checkpoint& row : *rows) {
    const absl::Status whole = repository_->Verify(
        row, [&](uint64_t bytes) { return Pause(std::chrono::nanoseconds(1'000'000'000 * bytes / bytes_per_second)); });
    Judge(row, whole).IgnoreError();
    if (absl::IsCancelled(whole)) return;
    another_is_whole |= whole.ok();
    if (absl::IsUnknown(whole)) doubts.emplace_back(row, whole);
  }
  for (const auto& [row, doubt] : doubts) {
    // A disk that gives the one and, for the second time, not the other has lost the other.
    if (WasDoubted(row) && another_is_whole) Forget(row, absl::DataLossError(doubt.message())).IgnoreError();
  }
}

bool CheckpointGuard::Pause(std::chrono::nanoseconds duration) {
  const auto until = std::chrono::steady_clock::now() + duration;
  MutexLock lock(&mutex_);
  while (!ending_ && std::chrono::steady_clock::now() < until) {
    ending_changed_.WaitUntil(&mutex_, until);
  }
  return !ending_;
}

}  // namespace sink
