// Reads every page of a database in the background, after an end that was not clean, as a power cut or a disk's fault
// may have damaged one that nobody reads for months. Owned by SqliteStore; made and destroyed by one thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

class PageCheck {
 public:
  // Notes beside the database at `path` that a check is owed. The note goes when a check has found nothing: one that a
  // stop interrupts, or that has found damage, is made again by the next start.
  static void Owe(const std::string& path);
  static bool IsOwed(const std::string& path);

  // Begins. `db`: a connection of its own to `path`. `damaged` is called at most once, by the check's thread, with
  // DATA_LOSS.
  PageCheck(const std::string& path, std::unique_ptr<Database> db, std::function<void(const absl::Status&)> damaged);
  ~PageCheck();  // interrupts

 private:
  void Run();

  const std::string path_;
  const std::unique_ptr<Database> db_;
  const std::function<void(const absl::Status&)> damaged_;
  std::atomic<bool> done_ = false;
  std::thread thread_;  // last: starts when all else is made
};

}  // namespace sink::store
