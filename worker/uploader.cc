// See uploader.h.
#include "worker/uploader.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/log/log.h"
#include "proto/files/files.h"
#include "worker/checkpoint_links.h"
#include "worker/protocol/upload_plan.h"
#include "worker/timing.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);

// Beside a linked checkpoint: the sequence number of its event.
std::string SeqPath(const std::string& item) { return item + ".seq"; }

void Discard(const std::string& item) {
  std::error_code ignored;
  fs::remove(SeqPath(item), ignored);
  fs::remove_all(item, ignored);
}

}  // namespace

Uploader::Uploader(LeasedCalls* calls, Spool* spool, std::string folder, int64_t keep_period, absl::Duration grace)
    : calls_(calls), spool_(spool), folder_(std::move(folder)), keep_period_(keep_period), grace_(grace) {
  TakeUpLeftover();
  thread_ = std::thread([this] { Run(); });
}

Uploader::~Uploader() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
  }
  thread_.join();
}

void Uploader::TakeUpLeftover() {
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    uint64_t seq = 0;
    const std::string path = it->path().string();
    const auto text = files::ReadFile(SeqPath(path), 64);
    auto manifest = run::ReadManifest(path);
    if (!text.ok() || !manifest.ok() || !absl::SimpleAtoi(*text, &seq)) continue;
    absl::MutexLock lock(&mutex_);
    waiting_.push_back(Item{path, *std::move(manifest), seq});
  }
  absl::MutexLock lock(&mutex_);
  std::sort(waiting_.begin(), waiting_.end(),
            [](const Item& a, const Item& b) { return a.manifest.step < b.manifest.step; });
  PassOver();
}

absl::Status Uploader::Offer(const std::string& path, int64_t step, const std::string& manifest_hash, uint64_t seq) {
  auto manifest = run::ReadManifest(path);
  if (!manifest.ok()) return ToStatus(manifest.error());
  if (manifest->hash != manifest_hash || manifest->step != step) {
    return absl::DataLossError(absl::StrCat(path, " is another checkpoint than its event says"));
  }
  const std::string item = ItemPath(step);
  if (IsOnItsWay(item, manifest_hash)) return absl::OkStatus();
  if (const auto failed = files::MakeFolders(folder_)) return ToStatus(failed);
  if (auto status = LinkCheckpoint(path, item, *manifest); !status.ok()) return status;
  if (const auto failed = files::ReplaceFile(SeqPath(item), absl::StrCat(seq))) return ToStatus(failed);
  absl::MutexLock lock(&mutex_);
  waiting_.push_back(Item{item, *std::move(manifest), seq});
  PassOver();
  return absl::OkStatus();
}

bool Uploader::IsOnItsWay(const std::string& path, const std::string& manifest_hash) {
  absl::MutexLock lock(&mutex_);
  const auto is_it = [&](const Item& item) { return item.path == path && item.manifest.hash == manifest_hash; };
  return (busy_ && is_it(*busy_)) || std::any_of(waiting_.begin(), waiting_.end(), is_it);
}

void Uploader::PassOver() {
  for (size_t i = waiting_.size(); i-- > 0;) {
    const bool newest = i + 1 == waiting_.size();
    const bool again = !newest && waiting_[i].path == waiting_[i + 1].path;  // the same folder, offered anew
    if (newest || (IsKept(waiting_[i]) && !again)) continue;
    if (!again) Discard(waiting_[i].path);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

std::optional<Uploader::Item> Uploader::NextItem() {
  absl::MutexLock lock(&mutex_);
  busy_.reset();
  auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !waiting_.empty() || closing_; };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&ready), kPoll) || waiting_.empty()) return std::nullopt;
  busy_ = std::move(waiting_.front());
  waiting_.pop_front();
  return busy_;
}

void Uploader::Run() {
  const LogScope scope(calls_->lease().job_id(), calls_->lease().lease_id());
  const absl::Notification& abandoned = calls_->control().abandoned();
  while (!abandoned.HasBeenNotified()) {
    const std::optional<Item> item = NextItem();
    if (!item) {
      absl::MutexLock lock(&mutex_);
      if (closing_ && waiting_.empty()) return;
      continue;
    }
    const absl::Status status = Upload(*item);
    if (abandoned.HasBeenNotified()) return;  // what is not committed stays for the daemon's next start
    if (status.ok()) {
      spdlog::info("job {}: the coordinator has the checkpoint of step {}", calls_->lease().job_id(),
                   item->manifest.step);
    } else {
      spdlog::warn("job {}: the checkpoint of step {} could not be delivered: {}", calls_->lease().job_id(),
                   item->manifest.step, std::string(status.message()));
    }
    Discard(item->path);
    absl::MutexLock lock(&mutex_);
    last_result_ = status;
    busy_.reset();  // with its result: who asks between here and the next look must not take it for given up
  }
}

bool Uploader::IsPassedOver() {
  absl::MutexLock lock(&mutex_);
  return !waiting_.empty();
}

absl::Status Uploader::Upload(const Item& item) {
  const absl::Notification& abandoned = calls_->control().abandoned();
  while (!spool_->WaitForAcknowledged(item.seq, kPoll)) {
    if (abandoned.HasBeenNotified() || calls_->events_given_up()) return absl::CancelledError("given up");
  }
  // Bytes that have gone bad here would be refused there, every time.
  if (const auto failed = run::VerifyCheckpoint(item.path, item.manifest)) return ToStatus(failed);
  int tries = 0;  // the first is always made: checkpoints that come fast must not starve each other
  return calls_->Retry(abandoned, [&] {
    if (calls_->events_given_up()) return absl::DataLossError("the coordinator lacks the events before it for good");
    if (tries++ > 0 && !IsKept(item) && IsPassedOver())
      return absl::InvalidArgumentError("passed over for a newer one");
    const absl::Status answer = UploadOnce(item);
    if (!absl::IsResourceExhausted(answer)) {
      no_room_since_.reset();
      return answer;
    }
    if (!HasWaitedForRoom()) return answer;
    return absl::InvalidArgumentError(absl::StrCat("given up, as the job was cancelled: ", answer.message()));
  });
}

bool Uploader::HasWaitedForRoom() {
  if (calls_->control().reason() != StopReason::kCancel) return false;
  const absl::Duration now = BootTime();
  if (!no_room_since_) no_room_since_ = now;
  return now - *no_room_since_ >= grace_;
}

absl::Status Uploader::UploadOnce(const Item& item) {
  auto begin = calls_->Fill<v1::BeginCheckpointRequest>();
  begin.set_step(item.manifest.step);
  begin.set_manifest_hash(item.manifest.hash);
  std::vector<uint64_t> sizes;
  for (const run::ManifestFile& file : item.manifest.files) {
    sizes.push_back(file.size);
    v1::CheckpointFile* entry = begin.add_files();
    entry->set_name(file.name);
    entry->set_size(file.size);
    entry->set_xxh3(file.xxh3);
  }
  auto commit = calls_->Fill<v1::CommitCheckpointRequest>();
  commit.set_step(item.manifest.step);
  commit.set_manifest_hash(item.manifest.hash);
  commit.set_events_seq(item.seq);

  UploadPlan plan(std::move(sizes));
  for (UploadPlan::Step step = plan.next(); step.kind != UploadPlan::Step::Kind::kDone; step = plan.next()) {
    absl::Status answer;
    if (step.kind == UploadPlan::Step::Kind::kBegin) {
      auto begun = calls_->link().BeginCheckpoint(begin);
      if (begun.ok()) {
        plan.Begun({begun->committed().begin(), begun->committed().end()});
        continue;
      }
      answer = begun.status();
    } else if (step.kind == UploadPlan::Step::Kind::kWrite) {
      const std::string& name = item.manifest.files[step.file].name;
      answer = calls_->link().WriteCheckpoint({calls_->worker_id(), calls_->lease(), item.manifest.step, name,
                                               absl::StrCat(item.path, "/", name), step.offset});
    } else {
      answer = calls_->link().CommitCheckpoint(commit);
    }
    if (absl::Status failed = plan.Answered(answer); !failed.ok()) return failed;
  }
  return absl::OkStatus();
}

absl::Status Uploader::WaitUntilCommitted() {
  absl::MutexLock lock(&mutex_);
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return waiting_.empty() && !busy_; };
  while (!mutex_.AwaitWithTimeout(absl::Condition(&idle), kPoll)) {
    if (calls_->control().abandoned().HasBeenNotified()) return absl::CancelledError("given up");
  }
  return last_result_;
}

}  // namespace sink::worker
