// See wal_check.h.
#include "coordinator/store/wal_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/descriptor.h"
#include "proto/files/shell_word.h"

namespace sink::store {
namespace {

constexpr size_t kHeaderBytes = 32, kFrameHeaderBytes = 24;
constexpr size_t kSaltAt = 8, kSumAt = 16;  // in a frame's header, behind its page and how large a commit made the file
constexpr uint64_t kLeastBlock = 512;       // of a disk
constexpr uint32_t kMagic = 0x377f0682;     // sums of little-endian words; plus one: of big-endian ones
constexpr uint32_t kFormat = 3007000;
constexpr uint32_t kLeastPage = 512, kMostPage = 65536;
constexpr int kMostLooks = 5;

uint32_t Big32(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])); };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

uint64_t Big64(std::string_view bytes, size_t at) { return uint64_t{Big32(bytes, at)} << 32 | Big32(bytes, at + 4); }

// SQLite's sum of the log up to some place.
struct LogSum {
  uint32_t a = 0, b = 0;

  bool operator==(const LogSum&) const = default;
  static LogSum At(std::string_view bytes, size_t at) { return {Big32(bytes, at), Big32(bytes, at + 4)}; }
  // `bytes`: a multiple of eight.
  void Add(std::string_view bytes, bool big_endian) {
    const auto word = [&](size_t at) {
      const uint32_t value = Big32(bytes, at);
      return big_endian ? value : __builtin_bswap32(value);
    };
    for (size_t at = 0; at < bytes.size(); at += 8) {
      a += word(at) + b;
      b += word(at + 4) + a;
    }
  }
};

struct LogHeader {
  bool valid = false;
  bool big_endian = false;
  uint32_t page_size = 0;
  uint64_t salt = 0;
  LogSum sum;
};

bool IsPageSize(uint32_t size) { return size >= kLeastPage && size <= kMostPage && (size & (size - 1)) == 0; }

LogHeader ParseHeader(std::string_view bytes) {
  LogHeader header;
  const uint32_t magic = Big32(bytes, 0);
  header.big_endian = magic == kMagic + 1;
  header.page_size = Big32(bytes, 8);
  header.salt = Big64(bytes, 16);
  header.sum.Add(bytes.substr(0, 24), header.big_endian);
  header.valid = (magic & ~1u) == kMagic && Big32(bytes, 4) == kFormat && IsPageSize(header.page_size) &&
                 header.sum == LogSum::At(bytes, 24);
  return header;
}

// SQLite takes a log with a bad header for an empty one. The header is synced before a frame is written, so whatever
// lies behind it was once under a good one; a file system may leave zeros where a new file was cut short.
absl::StatusOr<bool> AnythingBehindHeader(uint64_t size, ReadLog read) {
  if (size < kHeaderBytes + kFrameHeaderBytes + kLeastPage) return false;
  std::string bytes;
  for (uint64_t at = kHeaderBytes; at < size; at += bytes.size()) {
    const absl::Status status = read(at, std::min<uint64_t>(kMostPage, size - at), &bytes);
    if (absl::IsDataLoss(status)) return true;
    SINK_RETURN_IF_ERROR(status);
    if (std::any_of(bytes.begin(), bytes.end(), [](char c) { return c != 0; })) return true;
  }
  return false;
}

// Takes the frames in their order. A frame is summed on from the sum that the frame before says it has, so that one is
// known as another's successor whatever is wrong with those before.
class FrameWalk {
 public:
  explicit FrameWalk(const LogHeader& header) : big_endian_(header.big_endian), salt_(header.salt), said_(header.sum) {}

  // `place`: its offset in the file.
  void Add(uint64_t place, std::string_view frame) {
    ++number_;
    LogSum sum = said_;
    sum.Add(frame.substr(0, 8), big_endian_);
    sum.Add(frame.substr(kFrameHeaderBytes), big_endian_);
    said_ = LogSum::At(frame, kSumAt);
    const bool follows = sum == said_;
    const bool has_salt = Big64(frame, kSaltAt) == salt_;
    const bool commits = Big32(frame, 4) != 0 && (follows || !BeginsBlock(place + kSaltAt));
    // The sum leaves out the salt: one that follows a frame of this log is of this log. What was there before does not,
    // but where it goes on from a sum of its own.
    ours_ = has_salt || (ours_ && follows && said_is_ours_);
    said_is_ours_ = follows || !BeginsBlock(place + kSumAt);
    if (first_bad_ == 0 && !(has_salt && follows && Big32(frame, 0) != 0)) first_bad_ = number_;
    if (first_bad_ == 0) {
      if (commits) committed_ = number_;
      return;
    }
    if (ours_ && ((after_commit_ && follows) || (commits && ++commits_behind_ == 2))) damaged_ = true;
    after_commit_ = ours_ && commits;
  }

  // Where the disk cannot read.
  void AddUnreadable() {
    ++number_;
    if (first_bad_ == 0) first_bad_ = number_;
    damaged_ = true;
  }

  void End(LogState* state) const {
    state->damaged = damaged_;
    state->committed = committed_;
    if (damaged_) state->bad = first_bad_;
  }

 private:
  static bool BeginsBlock(uint64_t place) { return place % kLeastBlock == 0; }

  const bool big_endian_;
  const uint64_t salt_;
  LogSum said_;  // by the frame before
  uint64_t number_ = 0;
  uint64_t committed_ = 0, first_bad_ = 0;
  bool ours_ = true;           // the frame before
  bool said_is_ours_ = true;   // where the frame before is
  bool after_commit_ = false;  // the frame before is one of ours, not before the first bad one, and commits
  int commits_behind_ = 0;     // ours, from the first bad one on
  bool damaged_ = false;
};

class File {
 public:
  // One that is not there is empty.
  static absl::StatusOr<File> Open(const std::string& path) {
    auto opened = files::Open(path, O_RDONLY | O_NONBLOCK);  // a pipe in its place, which Size refuses
    if (opened.ok()) return File(path, *std::move(opened));
    if (opened.error().code() == ENOENT) return File(path, files::Fd());
    return ToStatus(opened.error());
  }

  absl::StatusOr<uint64_t> Size() const {
    if (!fd_.valid()) return 0;
    return ToStatusOr(files::SizeOf(fd_, path_));
  }

  // DATA_LOSS: the disk cannot read them; UNAVAILABLE: the file is shorter by now.
  absl::Status Read(uint64_t offset, size_t size, std::string* bytes) const {
    const files::FileError error = files::ReadAt(fd_, path_, offset, size, bytes);
    if (error && error.code() == EIO) return absl::DataLossError(error.message());
    if (error) return ToStatus(error);
    if (bytes->size() == size) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(path_, " became shorter while it was read"));
  }

 private:
  File(std::string path, files::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  files::Fd fd_;
};

absl::StatusOr<LogState> LookAt(const File& log) {
  SINK_ASSIGN_OR_RETURN(const uint64_t size, log.Size());
  return WalkLog(size, [&log](uint64_t offset, size_t n, std::string* bytes) { return log.Read(offset, n, bytes); });
}

// The layout of a log whose header may be what is damaged: the database's own page size, and the salt of its first
// frame. False where that cannot be said.
absl::StatusOr<bool> FindLayout(const File& log, uint64_t size, const File& database, LogHeader* header) {
  std::string bytes;
  if (size < kHeaderBytes + kFrameHeaderBytes) return false;
  SINK_RETURN_IF_ERROR(log.Read(0, kHeaderBytes + kFrameHeaderBytes, &bytes));
  *header = ParseHeader(bytes.substr(0, kHeaderBytes));
  if (header->valid) return true;
  header->salt = Big64(bytes, kHeaderBytes + kSaltAt);
  SINK_ASSIGN_OR_RETURN(const uint64_t database_size, database.Size());
  if (database_size < kLeastPage) return false;
  SINK_RETURN_IF_ERROR(database.Read(0, kLeastPage, &bytes));
  const uint32_t page_size = Big32(bytes, 16) >> 16;
  header->page_size = page_size == 1 ? kMostPage : page_size;
  return IsPageSize(header->page_size);
}

// Of who may call and of what was done, whose databases restore leaves as they are.
bool IsBeside(const std::string& database) {
  const std::filesystem::path path(database);
  return path.parent_path().filename() == "tls" && path.filename() != "sink.db";
}

// The coordinator's.
std::string DataFolderOf(const std::string& database) {
  const std::filesystem::path folder = std::filesystem::path(database).parent_path();
  return IsBeside(database) ? folder.parent_path().string() : folder.string();
}

absl::Status DamagedLog(const std::string& database, const LogState& state) {
  const std::string what = state.bad == 0 ? "its header" : absl::StrCat("frame ", state.bad, " of ", state.frames);
  return absl::DataLossError(absl::StrCat(
      "the log ", database, "-wal is damaged: ", what, " is not what was written, and SQLite would drop what was ",
      "acknowledged behind it without a word; nothing was changed. With the service stopped, ", HowToPutBack(database),
      ", or go on with what stands before the damage, and keep the files beside: ", SalvageCommand(database)));
}

// SQLite would take the log of a database that is not there for nobody's, and empty it.
absl::Status CheckDatabaseIsThere(const std::string& database, const LogState& log) {
  struct stat there {};
  if (log.committed == 0 || (stat(database.c_str(), &there) == 0 && there.st_size > 0)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the database ", database,
                   " is missing or empty, and its log beside it has changes that were acknowledged; nothing was ",
                   "changed: put the file back, or ", HowToPutBack(database)));
}

}  // namespace

absl::StatusOr<LogState> WalkLog(uint64_t size, ReadLog read) {
  LogState state;
  if (size < kHeaderBytes) return state;
  std::string bytes;
  absl::Status status = read(0, kHeaderBytes, &bytes);
  state.damaged = absl::IsDataLoss(status);
  if (state.damaged) return state;
  SINK_RETURN_IF_ERROR(status);
  const LogHeader header = ParseHeader(bytes);
  state.salt = header.salt;
  if (!header.valid) {
    SINK_ASSIGN_OR_RETURN(state.damaged, AnythingBehindHeader(size, read));
    return state;
  }
  const uint64_t frame_bytes = kFrameHeaderBytes + header.page_size;
  state.frames = (size - kHeaderBytes) / frame_bytes;
  FrameWalk walk(header);
  for (uint64_t n = 0; n < state.frames; ++n) {
    const uint64_t place = kHeaderBytes + n * frame_bytes;
    status = read(place, frame_bytes, &bytes);
    if (absl::IsDataLoss(status)) {
      walk.AddUnreadable();
      break;
    }
    SINK_RETURN_IF_ERROR(status);
    walk.Add(place, bytes);
  }
  walk.End(&state);
  return state;
}

// A log that somebody writes to meanwhile may look damaged, or become shorter. Damage is there to stay, at its place.
absl::StatusOr<LogState> LookAtLog(const std::string& database) {
  SINK_ASSIGN_OR_RETURN(const File log, File::Open(database + "-wal"));
  std::optional<LogState> before;
  for (int look = 1; look <= kMostLooks; ++look) {
    const absl::StatusOr<LogState> state = LookAt(log);
    if (absl::IsUnavailable(state.status())) continue;
    if (!state.ok()) return state;
    if (!state->damaged) {
      SINK_RETURN_IF_ERROR(CheckDatabaseIsThere(database, *state));
      return state;
    }
    if (before && before->salt == state->salt && before->bad == state->bad) return DamagedLog(database, *state);
    before = *state;
  }
  return absl::UnavailableError(absl::StrCat(database, "-wal changes faster than it can be looked at: try again"));
}

absl::Status CheckLog(const std::string& database) { return LookAtLog(database).status(); }

absl::Status EmptyLog(const std::string& database) {
  const std::string path = database + "-wal";
  auto log = files::Open(path, O_WRONLY | O_NONBLOCK);
  if (!log.ok() && log.error().code() == ENOENT) return absl::OkStatus();
  if (!log.ok()) return ToStatus(log.error());
  if (ftruncate(log->get(), 0) != 0) return SystemStatus(errno, "empty", path);
  return ToStatus(files::Sync(*log, path));
}

absl::StatusOr<bool> IsOfOneCommit(const std::string& database, uint32_t page) {
  SINK_ASSIGN_OR_RETURN(const File log, File::Open(database + "-wal"));
  SINK_ASSIGN_OR_RETURN(const File file, File::Open(database));
  SINK_ASSIGN_OR_RETURN(const uint64_t size, log.Size());
  std::string bytes, frame, there;
  if (size < kHeaderBytes) return false;
  SINK_RETURN_IF_ERROR(log.Read(0, kHeaderBytes, &bytes));
  const LogHeader header = ParseHeader(bytes);
  if (!header.valid) return false;  // nothing is known of what it had
  const auto page_is = [&](uint64_t number, std::string_view expected) -> absl::StatusOr<bool> {
    const absl::Status status = file.Read((number - 1) * header.page_size, header.page_size, &there);
    if (absl::IsUnavailable(status)) return false;
    SINK_RETURN_IF_ERROR(status);
    return there == expected;
  };
  const uint64_t frame_bytes = kFrameHeaderBytes + header.page_size;
  struct LastFrame {
    uint64_t number = 0;
    bool good = false;
  };
  absl::flat_hash_map<uint32_t, LastFrame> newest;  // by page, up to here
  LogSum said = header.sum;
  bool found = false;
  for (uint64_t n = 1; kHeaderBytes + n * frame_bytes <= size; ++n) {
    const absl::Status read = log.Read(kHeaderBytes + (n - 1) * frame_bytes, frame_bytes, &frame);
    if (!read.ok() && !absl::IsDataLoss(read)) return read;
    if (!read.ok()) frame.assign(frame_bytes, '\0');
    LogSum sum = said;
    sum.Add(std::string_view(frame).substr(0, 8), header.big_endian);
    sum.Add(std::string_view(frame).substr(kFrameHeaderBytes), header.big_endian);
    said = LogSum::At(frame, kSumAt);
    // What was there before this log has its own salt, and so has a frame whose salt is what is damaged.
    if (Big64(frame, kSaltAt) != header.salt) continue;
    const bool good = read.ok() && sum == said;
    const uint32_t number = Big32(frame, 0);
    newest[number] = {.number = n, .good = good};
    if (good && number == page && !found) {
      SINK_ASSIGN_OR_RETURN(found, page_is(number, std::string_view(frame).substr(kFrameHeaderBytes)));
    }
    if (found && good && Big32(frame, 4) != 0) break;  // this is the commit
  }
  if (!found) return false;
  for (const auto& [number, last] : newest) {
    if (number == 0) continue;
    SINK_RETURN_IF_ERROR(log.Read(kHeaderBytes + (last.number - 1) * frame_bytes, frame_bytes, &frame));
    SINK_ASSIGN_OR_RETURN(const bool same, page_is(number, std::string_view(frame).substr(kFrameHeaderBytes)));
    // Of one that is damaged nothing is known but what the page is not: a checkpoint copies damage as well.
    if (same != last.good) return false;
  }
  return true;
}

absl::StatusOr<bool> HasPagesFromBehind(const std::string& database) {
  SINK_ASSIGN_OR_RETURN(const File log, File::Open(database + "-wal"));
  SINK_ASSIGN_OR_RETURN(const File file, File::Open(database));
  SINK_ASSIGN_OR_RETURN(const uint64_t size, log.Size());
  SINK_ASSIGN_OR_RETURN(const uint64_t file_size, file.Size());
  SINK_ASSIGN_OR_RETURN(const LogState state, LookAt(log));
  LogHeader header;
  SINK_ASSIGN_OR_RETURN(const bool found, FindLayout(log, size, file, &header));
  if (!found) return false;
  const uint64_t frame_bytes = kFrameHeaderBytes + header.page_size;
  absl::flat_hash_map<uint32_t, bool> equal;  // the pages of the frames so far, and whether one has what the file has
  std::string frame, page;
  for (uint64_t n = 1; kHeaderBytes + n * frame_bytes <= size; ++n) {
    const absl::Status read = log.Read(kHeaderBytes + (n - 1) * frame_bytes, frame_bytes, &frame);
    if (absl::IsDataLoss(read)) continue;
    SINK_RETURN_IF_ERROR(read);
    const uint64_t number = Big32(frame, 0);
    if (Big64(frame, kSaltAt) != header.salt || number == 0 || number * header.page_size > file_size) continue;
    SINK_RETURN_IF_ERROR(file.Read((number - 1) * header.page_size, header.page_size, &page));
    const bool is_equal = frame.compare(kFrameHeaderBytes, header.page_size, page) == 0;
    const auto [before, is_first] = equal.try_emplace(static_cast<uint32_t>(number), is_equal);
    // The first one may be what the file had all along: a page that was written again as it was.
    if (is_equal && !is_first && !before->second && n > state.committed) return true;
    before->second |= is_equal;
  }
  return false;
}

std::string SalvageCommand(const std::string& database) {
  return absl::StrCat("sink-backup salvage --data ", files::ShellWord(DataFolderOf(database)));
}

std::string HowToPutBack(const std::string& database) {
  if (!IsBeside(database)) {
    return absl::StrCat("put a backup in its place (sink-backup restore --from BACKUP --data ",
                        files::ShellWord(DataFolderOf(database)), " --replace)");
  }
  const std::string name = std::filesystem::path(database).filename().string();
  return absl::StrCat("put a backup's in its place (BACKUP/tls/", name, ", and remove ", name, "-wal and ", name,
                      "-commits here)");
}

}  // namespace sink::store
