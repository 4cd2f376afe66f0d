// See content_check.h.
#include "worker/content_check.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "coordinator/job/timed_wait.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"

namespace sink::worker {
namespace {

constexpr size_t kMaxMemoryBytes = 1 << 30;
constexpr size_t kSpareLines = 1000;
constexpr int kStampFields = 4;
constexpr absl::Duration kTryAgain = absl::Minutes(10);

// "HASH INODE SIZE TIME CHANGED PATH": the stamp is the four in the middle.
std::string LineOf(const std::string& path, const std::string& stamp, const std::string& hash) {
  return absl::StrCat(hash, " ", stamp, " ", path, "\n");
}

}  // namespace

std::string StampOf(const std::string& path) {
  struct stat there;
  if (stat(path.c_str(), &there) != 0) return "-";
  return absl::StrCat(there.st_ino, " ", there.st_size, " ", there.st_mtim.tv_sec, ".", there.st_mtim.tv_nsec, " ",
                      there.st_ctim.tv_sec, ".", there.st_ctim.tv_nsec);
}

ContentCheck::ContentCheck(std::string memory, int64_t rate) : memory_(std::move(memory)), rate_(rate) {
  if (rate_ == 0) return;
  {
    MutexLock lock(&mutex_);
    Load();
  }
  thread_ = std::thread([this] { Run(); });
}

ContentCheck::~ContentCheck() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

ContentCheck::State ContentCheck::Look(const std::string& folder, absl::Duration now) {
  if (rate_ == 0) return {};
  const auto hashes = run::ReadSetHashes(folder);
  if (!hashes.ok()) return {.wrong = hashes.error().message()};
  State state;
  for (const auto& [name, hash] : *hashes) {
    const std::string path = absl::StrCat(folder, "/", name);
    const std::string stamp = StampOf(path);
    MutexLock lock(&mutex_);
    const auto known = known_.find(path);
    if (known == known_.end() || known->second.stamp != stamp) {
      unread_.insert(path);
      changed_.SignalAll();
      ++state.unread;
    } else if (known->second.hash != hash) {
      known->second.wrong_since = std::min(known->second.wrong_since, now);
      if (now - known->second.wrong_since >= kTryAgain) {  // it may have been the reading
        unread_.insert(path);
        changed_.SignalAll();
      }
      if (state.wrong.empty())
        state.wrong = known->second.hash.empty() ? known->second.error : run::OtherContent(path).message();
    }
  }
  return state;
}

bool ContentCheck::Reads(const std::string& folder) const {
  const std::string prefix = absl::StrCat(folder, "/");
  MutexLock lock(&mutex_);
  const auto path = unread_.lower_bound(prefix);
  return path != unread_.end() && path->starts_with(prefix);
}

void ContentCheck::Load() {
  const auto text = files::ReadFile(memory_, kMaxMemoryBytes);
  if (!text.ok() && text.error().code() != ENOENT) spdlog::warn("data sets are read again: {}", text.error().message());
  size_t lines = 0;
  for (const absl::string_view line : absl::StrSplit(text.ok() ? *text : "", '\n', absl::SkipEmpty())) {
    ++lines;
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(' ', kStampFields + 1));
    if (fields.size() != kStampFields + 2 || fields[0].size() != files::kHashDigits)
      continue;  // half of one, of a full disk say
    known_[std::string(fields.back())] = {.stamp = absl::StrJoin(fields.begin() + 1, fields.end() - 1, " "),
                                          .hash = std::string(fields[0])};
  }
  if (lines > 2 * known_.size() + kSpareLines) {
    std::erase_if(known_, [](const auto& file) { return file.second.stamp != StampOf(file.first); });
    std::string kept;
    for (const auto& [path, known] : known_) kept += LineOf(path, known.stamp, known.hash);
    if (const auto failed = files::ReplaceFile(memory_, kept, 0600)) spdlog::warn("{}", failed.message());
  }
  // A pipe in its place would wait for somebody who reads it, and the worker with it.
  auto append = files::Open(memory_, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0600);
  if (append.ok()) {
    append_ = *std::move(append);
  } else {
    spdlog::warn("which data sets were read is not remembered: {}", append.error().message());
  }
}

void ContentCheck::Run() {
  // Of this thread alone. Trainers go first, to the cores and, where the disk's scheduler knows of it, to the disk.
  setpriority(PRIO_PROCESS, 0, 19);
  syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
  while (true) {
    std::string path;
    {
      MutexLock lock(&mutex_);
      while (!stop_ && unread_.empty()) changed_.Wait(&mutex_);
      if (stop_) return;
      path = *unread_.begin();
    }
    Known read = Read(path);
    MutexLock lock(&mutex_);
    if (stop_) return;
    unread_.erase(path);
    if (!read.hash.empty() && !read.stamp.empty()) Remember(path, read);
    known_[path] = std::move(read);
  }
}

ContentCheck::Known ContentCheck::Read(const std::string& path) const {
  Known read = {.stamp = StampOf(path)};  // before its bytes: of one that changes meanwhile it is not the last
  uint64_t paced = 0;                     // bytes after which it has paused
  const auto digest =
      files::HashFileInPieces(path, [&](uint64_t done) { return !PauseFor(done - std::exchange(paced, done)); });
  if (!digest.ok()) {
    read.error = digest.error().message();
    return read;
  }
  if (StampOf(path) != read.stamp) read.stamp.clear();  // it has changed meanwhile
  read.hash = digest->xxh3;
  return read;
}

void ContentCheck::Remember(const std::string& path, const Known& known) {
  if (!append_.valid()) return;
  if (const auto failed = files::WriteAll(append_, memory_, LineOf(path, known.stamp, known.hash))) {
    spdlog::warn("which data sets were read is not remembered any more: {}", failed.message());
    append_.Close();
  }
}

bool ContentCheck::PauseFor(size_t bytes) const {
  MutexLock lock(&mutex_);
  const double seconds = static_cast<double>(bytes) / static_cast<double>(rate_);
  return WaitFor(&changed_, &mutex_, absl::Seconds(seconds),
                 [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_; });
}

}  // namespace sink::worker
