// See content_check.h.
#include "worker/content_check.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"

namespace sink::worker {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kMaxMemoryBytes = 1 << 30;
constexpr size_t kSpareLines = 1000;

// "HASH INODE SIZE TIME PATH": the stamp is the three in the middle.
std::string LineOf(const std::string& path, const std::string& stamp, const std::string& hash) {
  return absl::StrCat(hash, " ", stamp, " ", path, "\n");
}

}  // namespace

std::string StampOf(const std::string& path) {
  struct stat there;
  if (stat(path.c_str(), &there) != 0) return "-";
  return absl::StrCat(there.st_ino, " ", there.st_size, " ", there.st_mtim.tv_sec, ".", there.st_mtim.tv_nsec);
}

ContentCheck::ContentCheck(std::string memory) : memory_(std::move(memory)) {
  {
    absl::MutexLock lock(&mutex_);
    Load();
  }
  thread_ = std::thread([this] { Run(); });
}

ContentCheck::~ContentCheck() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

ContentCheck::State ContentCheck::Look(const std::string& folder) {
  const auto hashes = run::ReadSetHashes(folder);
  if (!hashes.ok()) return {.wrong = hashes.error().message()};
  State state;
  for (const auto& [name, hash] : *hashes) {
    const std::string path = absl::StrCat(folder, "/", name);
    const std::string stamp = StampOf(path);
    absl::MutexLock lock(&mutex_);
    const auto known = known_.find(path);
    std::string wrong;
    if (known == known_.end() || known->second.stamp != stamp) {
      unread_.insert(path);
      ++state.unread;
    } else if (known->second.hash.empty()) {
      unread_.insert(path);  // it may be readable again
      wrong = known->second.error;
    } else if (known->second.hash != hash) {
      wrong = run::OtherContent(path).message();
    }
    if (state.wrong.empty()) state.wrong = std::move(wrong);
  }
  return state;
}

void ContentCheck::Load() {
  const auto text = files::ReadFile(memory_, kMaxMemoryBytes);
  if (!text.ok() && text.error().code() != ENOENT) spdlog::warn("data sets are read again: {}", text.error().message());
  size_t lines = 0;
  for (const absl::string_view line : absl::StrSplit(text.ok() ? *text : "", '\n', absl::SkipEmpty())) {
    ++lines;
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(' ', 4));
    if (fields.size() != 5 || fields[0].size() != files::kHashDigits) continue;  // half of one, of a full disk say
    known_[std::string(fields[4])] = {.stamp = absl::StrCat(fields[1], " ", fields[2], " ", fields[3]),
                                      .hash = std::string(fields[0])};
  }
  if (lines > 2 * known_.size() + kSpareLines) {
    std::string kept;
    for (const auto& [path, known] : known_) kept += LineOf(path, known.stamp, known.hash);
    if (const auto failed = files::ReplaceFile(memory_, kept, 0600)) spdlog::warn("{}", failed.message());
  }
  auto append = files::Open(memory_, O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (append.ok()) {
    append_ = *std::move(append);
  } else {
    spdlog::warn("which data sets were read is not remembered: {}", append.error().message());
  }
}

void ContentCheck::Run() {
  while (true) {
    std::string path;
    {
      absl::MutexLock lock(&mutex_);
      const auto something = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !unread_.empty(); };
      mutex_.Await(absl::Condition(&something));
      if (stop_) return;
      path = *unread_.begin();
    }
    Known read = Read(path);
    absl::MutexLock lock(&mutex_);
    if (stop_) return;
    unread_.erase(path);
    if (!read.hash.empty()) Remember(path, read);
    known_[path] = std::move(read);
  }
}

ContentCheck::Known ContentCheck::Read(const std::string& path) const {
  Known read = {.stamp = StampOf(path)};  // before its bytes: of one that changes meanwhile it is not the last
  const auto fd = files::Open(path, O_RDONLY | O_NONBLOCK);  // a FIFO must not block
  if (!fd.ok()) {
    read.error = fd.error().message();
    return read;
  }
  files::Hasher hasher;
  std::string piece;
  uint64_t at = 0;
  do {
    if (const auto failed = files::ReadAt(*fd, path, at, kPieceBytes, &piece)) {
      read.error = failed.message();
      return read;
    }
    hasher.Update(piece);
    at += piece.size();
  } while (piece.size() == kPieceBytes && !stopping());
  read.hash = hasher.Digest();
  return read;
}

void ContentCheck::Remember(const std::string& path, const Known& known) {
  if (!append_.valid()) return;
  if (const auto failed = files::WriteAll(append_, memory_, LineOf(path, known.stamp, known.hash))) {
    spdlog::warn("which data sets were read is not remembered any more: {}", failed.message());
    append_.Close();
  }
}

bool ContentCheck::stopping() const {
  absl::MutexLock lock(&mutex_);
  return stop_;
}

}  // namespace sink::worker
