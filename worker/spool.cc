// See spool.h.
#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/timed_wait.h"
#include "proto/base/counted.h"
#include "proto/files/files.h"
#include "proto/pipe/events.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr char kSuffix[] = ".events";
constexpr uint64_t kMaxSeq = std::numeric_limits<int64_t>::max();  // that a coordinator stores
constexpr int64_t kMaxRecordBytes = kSpoolHeaderBytes + pipe::kMaxLineBytes;

int64_t BytesOf(const SpoolRecord& record) { return static_cast<int64_t>(kSpoolHeaderBytes + record.line.size()); }

}  // namespace

std::string SpoolDamage(uint64_t last_seq) {
  return absl::StrCat("the worker's spool was damaged: events after ", last_seq, " are lost");
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::Open(const std::string& folder, const Options& options) {
  if (const auto failed = files::MakeFolders(folder)) return ToStatus(failed);
  std::unique_ptr<Spool> spool(new Spool(folder, options));
  MutexLock lock(&spool->mutex_);
  if (auto status = spool->LoadSegments(); !status.ok()) return status;
  return spool;
}

absl::Status Spool::LoadSegments() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    uint64_t first_seq = 0;
    if (entry.path().extension() != kSuffix || !absl::SimpleAtoi(entry.path().stem().string(), &first_seq)) continue;
    segments_.push_back({first_seq, first_seq - 1, 0, entry.path().string()});
  }
  if (error) return SystemStatus(error.value(), "list", folder_);
  std::sort(segments_.begin(), segments_.end(), [](const auto& a, const auto& b) { return a.first_seq < b.first_seq; });

  // Read every segment up to its first bad record; anything after that is cut off.
  bool intact = true;
  size_t kept = 0;
  for (Segment& segment : segments_) {
    intact = intact && (kept == 0 || segment.first_seq == last_seq_ + 1);
    if (!intact) {
      spdlog::warn("{}: deleted, because events before it are lost", segment.path);
      fs::remove(segment.path, error);
      continue;
    }
    const auto contents = files::ReadFile(segment.path, options_.segment_bytes + 2 * kMaxRecordBytes);
    if (!contents.ok()) return ToStatus(contents.error());
    std::string_view rest = *contents;
    size_t size = 0;
    while (auto record = DecodeSpoolRecord(rest, &size)) {
      if (record->seq != segment.last_seq + 1) break;
      segment.last_seq = record->seq;
      segment.bytes += size;
      rest.remove_prefix(size);
    }
    if (!rest.empty()) {
      intact = false;
      spdlog::warn("{}: cut off after event {}, because the {} bytes behind it are damaged", segment.path,
                   segment.last_seq, rest.size());
      if (truncate(segment.path.c_str(), segment.bytes) != 0) {
        return SystemStatus(errno, "truncate", segment.path);
      }
    }
    last_seq_ = segment.last_seq;
    ++kept;
  }
  segments_.resize(kept);
  // What is no longer here was acknowledged to an earlier daemon.
  if (!segments_.empty()) acknowledged_seq_ = segments_.front().first_seq - 1;
  if (segments_.empty()) return StartSegment(1);
  auto fd = files::Open(segments_.back().path, O_WRONLY | O_APPEND);
  if (!fd.ok()) return ToStatus(fd.error());
  append_fd_ = *std::move(fd);
  return absl::OkStatus();
}

absl::Status Spool::StartSegment(uint64_t first_seq) {
  const std::string path = absl::StrFormat("%s/%020d%s", folder_, first_seq, kSuffix);
  auto fd = files::Open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
  if (!fd.ok()) return ToStatus(fd.error());
  append_fd_ = *std::move(fd);
  torn_ = false;
  segments_.push_back({first_seq, first_seq - 1, 0, path});
  return absl::OkStatus();
}

int64_t Spool::TotalBytes() const {
  int64_t total = 0;
  for (const Segment& segment : segments_) total += segment.bytes;
  return total;
}

void Spool::Hold(std::string_view line, int64_t time_ms) {
  held_.push_back({++last_seq_, time_ms, std::string(line)});
  held_bytes_ += BytesOf(held_.back());
  on_record_.SignalAll();
}

void Spool::HoldGap(int64_t time_ms) {
  if (untold_ == 0) return;
  const std::string message =
      absl::StrCat(untold_, " events were lost here: the worker's event spool or disk was full");
  Hold(pipe::Encode(pipe::Log{"error", message}), time_ms);
  untold_ = 0;
}

void Spool::Flush(int64_t max_bytes) {
  while (!held_.empty()) {
    const int64_t bytes = BytesOf(held_.front()), on_disk = TotalBytes();
    full_ = on_disk + bytes <= max_bytes
                ? Write(held_.front())
                : absl::ResourceExhaustedError(
                      absl::StrCat(folder_, " is full of ", on_disk, " bytes that the coordinator has not taken"));
    if (!full_.ok()) return;
    held_bytes_ -= bytes;
    held_.pop_front();
  }
}

absl::Status Spool::Write(const SpoolRecord& record) {
  if (segments_.back().bytes >= options_.segment_bytes) {
    if (absl::Status status = StartSegment(record.seq); !status.ok()) return status;
  }
  Segment& segment = segments_.back();
  // What a full disk took of a record goes first, so that the next one starts at a clean edge.
  if (torn_ && ftruncate(append_fd_.get(), segment.bytes) != 0) return SystemStatus(errno, "truncate", segment.path);
  torn_ = true;
  if (const auto failed = files::WriteAll(append_fd_, segment.path, EncodeSpoolRecord(record))) return ToStatus(failed);
  torn_ = false;
  segment.bytes += BytesOf(record);
  segment.last_seq = record.seq;
  return absl::OkStatus();
}

uint64_t Spool::Drop() {
  if (++dropped_ == 1) {
    why_dropped_ = std::string(full_.message());
    spdlog::warn("{}: events are lost from here on, because neither disk nor memory has room for them: {}", folder_,
                 why_dropped_);
  }
  ++untold_;
  return 0;
}

uint64_t Spool::Append(std::string_view line, int64_t time_ms) {
  MutexLock lock(&mutex_);
  if (sealed_) return 0;
  Flush(options_.max_bytes);
  // One gap, not one for each small event that would just fit.
  if (untold_ > 0 && (!held_.empty() || TotalBytes() > options_.max_bytes / 2)) return Drop();
  HoldGap(time_ms);
  Hold(line, time_ms);
  Flush(options_.max_bytes);
  if (held_bytes_ <= options_.max_held_bytes) return last_seq_;
  held_bytes_ -= BytesOf(held_.back());
  held_.pop_back();
  --last_seq_;
  return Drop();
}

uint64_t Spool::Seal(int64_t time_ms) {
  MutexLock lock(&mutex_);
  HoldGap(time_ms);
  Flush(options_.max_bytes + options_.max_held_bytes);
  sealed_ = true;
  on_seal_.SignalAll();
  return last_seq_;
}

absl::Status Spool::Sync() {
  std::vector<std::pair<files::Fd, std::string>> unsynced;
  uint64_t written = 0;
  absl::Status unwritten;
  {
    MutexLock lock(&mutex_);
    Flush(options_.max_bytes + options_.max_held_bytes);
    for (const Segment& segment : segments_) {
      if (segment.last_seq <= synced_seq_) continue;
      // Opened here: once all of it is acknowledged, its name is gone.
      auto fd = files::Open(segment.path, O_RDONLY);
      if (!fd.ok()) return ToStatus(fd.error());
      unsynced.emplace_back(*std::move(fd), segment.path);
    }
    written = segments_.back().last_seq;
    if (!held_.empty()) unwritten = full_;
  }
  for (const auto& [fd, path] : unsynced) {
    if (const auto failed = files::Sync(fd, path)) return ToStatus(failed);
  }
  if (const auto failed = files::SyncFolder(folder_)) return ToStatus(failed);
  MutexLock lock(&mutex_);
  synced_seq_ = std::max(synced_seq_, written);  // another one may have been quicker, and have had more to sync
  return unwritten;
}

absl::Status Spool::GoOnAfter(uint64_t seq) {
  {
    MutexLock lock(&mutex_);
    if (seq <= last_seq_) return absl::OkStatus();
    if (seq >= kMaxSeq) return absl::DataLossError(absl::StrCat("event ", seq, " is no number of a spool"));
    if (absl::Status status = StartSegment(seq + 1); !status.ok()) return status;
    last_seq_ = seq;
    on_record_.SignalAll();
    held_.clear();
    held_bytes_ = 0;
  }
  Acknowledge(seq);  // which leaves the new segment alone
  return absl::OkStatus();
}

bool Spool::Seek(const Segment& segment, uint64_t seq) {
  if (cursor_.fd.valid() && cursor_.segment == segment.first_seq && cursor_.seq <= seq) return true;
  cursor_.fd = files::Fd(open(segment.path.c_str(), O_RDONLY | O_CLOEXEC));
  cursor_.segment = cursor_.seq = segment.first_seq;
  cursor_.offset = 0;
  return cursor_.fd.valid();
}

std::vector<SpoolRecord> Spool::Read(uint64_t first, size_t max_records, size_t max_bytes) {
  MutexLock lock(&mutex_);
  std::vector<SpoolRecord> records;
  size_t line_bytes = 0;
  std::string buffer(max_bytes + kMaxRecordBytes, '\0');
  const auto fits = [&](const SpoolRecord& record) {
    return records.size() < max_records && (records.empty() || line_bytes + record.line.size() <= max_bytes);
  };
  for (const Segment& segment : segments_) {
    if (segment.last_seq < first) continue;
    if (segment.first_seq > first || !Seek(segment, first)) return records;
    while (cursor_.seq <= segment.last_seq) {
      const int64_t want = std::min<int64_t>(buffer.size(), segment.bytes - cursor_.offset);
      const ssize_t n = pread(cursor_.fd.get(), buffer.data(), want, cursor_.offset);
      std::string_view rest(buffer.data(), std::max<ssize_t>(n, 0));
      const uint64_t before = cursor_.seq;
      size_t size = 0;
      while (auto record = DecodeSpoolRecord(rest, &size)) {
        if (record->seq >= first) {
          if (!fits(*record)) return records;
          line_bytes += record->line.size();
          records.push_back(*std::move(record));
          first = records.back().seq + 1;
        }
        ++cursor_.seq;
        cursor_.offset += size;
        rest.remove_prefix(size);
      }
      if (cursor_.seq == before) {
        spdlog::warn("{}: the disk no longer gives event {} as it was written", segment.path, before);
        return records;
      }
    }
  }
  for (const SpoolRecord& record : held_) {
    if (record.seq < first) continue;
    if (record.seq > first || !fits(record)) break;
    line_bytes += record.line.size();
    records.push_back(record);
    ++first;
  }
  return records;
}

void Spool::Acknowledge(uint64_t durable_seq) {
  MutexLock lock(&mutex_);
  acknowledged_seq_ = std::max(acknowledged_seq_, durable_seq);
  on_acknowledgement_.SignalAll();
  // The newest segment stays, even if all of it is acknowledged: it remembers the last sequence number.
  while (segments_.size() > 1 && segments_.front().last_seq <= acknowledged_seq_) {
    unlink(segments_.front().path.c_str());
    segments_.pop_front();
  }
}

bool Spool::WaitForRecordAfter(uint64_t seq, absl::Duration timeout) {
  MutexLock lock(&mutex_);
  auto ready = [this, seq]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return last_seq_ > seq || released_; };
  WaitFor(&on_record_, &mutex_, timeout, ready);
  return last_seq_ > seq;
}

bool Spool::WaitUntilSealed(absl::Duration timeout) {
  MutexLock lock(&mutex_);
  return WaitFor(&on_seal_, &mutex_, timeout, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return sealed_; });
}

void Spool::Release() {
  MutexLock lock(&mutex_);
  released_ = true;
  on_record_.SignalAll();
}

bool Spool::WaitForAcknowledged(uint64_t seq, absl::Duration timeout) {
  MutexLock lock(&mutex_);
  auto ready = [this, seq]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return acknowledged_seq_ >= seq; };
  return WaitFor(&on_acknowledgement_, &mutex_, timeout, ready);
}

uint64_t Spool::last_seq() const {
  MutexLock lock(&mutex_);
  return last_seq_;
}

absl::Status Spool::loss() const {
  MutexLock lock(&mutex_);
  if (dropped_ == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(Counted(dropped_, "event"), " lost: ", why_dropped_));
}

uint64_t Spool::acknowledged_seq() const {
  MutexLock lock(&mutex_);
  return acknowledged_seq_;
}

uint64_t Spool::first_kept_seq() const {
  MutexLock lock(&mutex_);
  return segments_.front().first_seq;
}

}  // namespace sink::worker
