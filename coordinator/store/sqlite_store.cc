// The write loop: take what callers have queued, commit it as one group, then answer them all. While one commit waits
// for the disk the next group gathers, so the rate grows with the number of callers.
#include "coordinator/store/sqlite_store.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/begun_salvage.h"
#include "coordinator/store/folder_lock.h"
#include "coordinator/store/lost_commits.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_transaction.h"

namespace sink::store {
namespace {

constexpr size_t kMaxGroup = 512;
// Bodies take about a millisecond each where many wait: with 2 ms only two or three shared a commit, its sync and the
// pages that each commit writes again, and a lease cost half as much again.
constexpr std::chrono::milliseconds kMaxGatherTime(10);

absl::Status AboutDatabase(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("database ", path, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& folder, const Options& options) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat("cannot create ", folder, ": ", error.message()));
  absl::StatusOr<int> lock = LockFolder(folder);
  if (!lock.ok()) return lock.status();

  auto unlock = absl::MakeCleanup([fd = *lock] { close(fd); });
  SINK_RETURN_IF_ERROR(RefuseBegunSalvage(folder));
  const std::string path = absl::StrCat(folder, "/sink.db");
  SINK_ASSIGN_OR_RETURN(const bool log, PrepareDatabase(path));
  absl::StatusOr<std::unique_ptr<Database>> writer = Database::Open(path, Database::Mode::kReadWrite);
  absl::Status status = writer.status();
  // What a crash has left in the log stays behind a new one, so that no later look takes it for a part of that.
  if (status.ok() && log) status = AboutDatabase(path, (*writer)->CheckpointLog());
  if (status.ok()) status = AboutDatabase(path, Migrate(**writer));
  if (status.ok()) status = AboutDatabase(path, (*writer)->CountCommits(path));
  if (status.ok() && options.max_pages > 0) {
    const std::string limit = absl::StrCat("PRAGMA max_page_count = ", options.max_pages);
    status = AboutDatabase(path, (*writer)->Execute(limit.c_str()));
  }
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < options.readers && status.ok(); ++i) {
    absl::StatusOr<std::unique_ptr<Database>> reader = Database::Open(path, Database::Mode::kReadOnly);
    status = reader.status();
    if (status.ok()) readers.push_back(std::make_unique<Reader>(Reader{std::move(*reader), {}}));
  }
  if (!status.ok()) return status;
  std::move(unlock).Cancel();
  return std::unique_ptr<SqliteStore>(new SqliteStore(*lock, path, std::move(*writer), std::move(readers), options));
}

SqliteStore::SqliteStore(int lock_fd, const std::string& path, std::unique_ptr<Database> writer,
                         std::vector<std::unique_ptr<Reader>> readers, const Options& options)
    : lock_fd_(lock_fd),
      place_(path),
      writing_connection_(std::move(writer)),
      writer_(writing_connection_.get()),
      readers_(std::move(readers)),
      watch_(options.write_limit, options.told),
      thread_([this] { WriteLoop(); }) {}

SqliteStore::~SqliteStore() {
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    work_.SignalAll();
  }
  thread_.join();
  close(lock_fd_);
}

absl::Status SqliteStore::Queue(const std::function<absl::Status(Transaction&)>& body, bool large) {
  SINK_RETURN_IF_ERROR(CheckInPlace());
  Waiter waiter;
  waiter.write.body = &body;
  waiter.write.large = large;
  MutexLock lock(&mutex_);
  if (closing_) return absl::UnavailableError("the coordinator is stopping");
  queue_.push_back(&waiter);
  work_.SignalAll();
  while (!waiter.done) waiter.answered.Wait(&mutex_);
  return waiter.write.status;
}

absl::Status SqliteStore::Read(const std::function<absl::Status(Snapshot&)>& body) {
  std::unique_ptr<Reader> reader;
  {
    MutexLock lock(&readers_mutex_);
    while (readers_.empty()) reader_free_.Wait(&readers_mutex_);
    reader = std::move(readers_.back());
    readers_.pop_back();
  }
  Database& db = *reader->db;
  absl::Status status = Query(db, "BEGIN").Run();
  if (status.ok()) {
    SqliteTransaction snapshot(db, reader->names);
    status = body(snapshot);
    const absl::Status end = Query(db, "COMMIT").Run();
    if (status.ok()) status = end;
  }
  MutexLock lock(&readers_mutex_);
  readers_.push_back(std::move(reader));
  reader_free_.SignalAll();
  return status;
}

void SqliteStore::WriteLoop() {
  watch_.Watch();
  while (Waiter* first = FirstWaiter()) CommitGroup(first);
}

SqliteStore::Waiter* SqliteStore::FirstWaiter() {
  MutexLock lock(&mutex_);
  while (queue_.empty() && !closing_) work_.Wait(&mutex_);
  if (queue_.empty()) return nullptr;
  Waiter* const waiter = queue_.front();
  queue_.pop_front();
  return waiter;
}

SqliteStore::Waiter* SqliteStore::NextWaiter() {
  MutexLock lock(&mutex_);
  if (queue_.empty() || queue_.front()->write.large) return nullptr;
  Waiter* const waiter = queue_.front();
  queue_.pop_front();
  return waiter;
}

void SqliteStore::CommitGroup(Waiter* first) {
  const auto gather_until = std::chrono::steady_clock::now() + kMaxGatherTime;
  std::vector<Waiter*> group;
  writer_.Commit([&]() -> PendingWrite* {
    const bool more = group.size() < kMaxGroup && std::chrono::steady_clock::now() < gather_until;
    Waiter* const next = group.empty() ? first : more ? NextWaiter() : nullptr;
    watch_.Begin();  // of the next body, or of the commit
    if (next == nullptr) return nullptr;
    group.push_back(next);
    return &next->write;
  });
  watch_.End();

  MutexLock lock(&mutex_);
  for (Waiter* waiter : group) {
    waiter->done = true;
    waiter->answered.SignalAll();
  }
}

}  // namespace sink::store
