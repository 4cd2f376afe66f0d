// A disk in memory for SQLite: what was written and not synced may be gone, or half there, after a power cut. The
// process has one, which is SQLite's default while it lives. One thread.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulator/timeline.h"

namespace sink::simulator {

class LossyDisk {
 public:
  LossyDisk();
  ~LossyDisk();
  LossyDisk(const LossyDisk&) = delete;
  LossyDisk& operator=(const LossyDisk&) = delete;

  // An empty disk, or one with these files, all synced; nothing that was open can be used before Reconnect.
  using Image = std::map<std::string, std::string>;  // contents by name
  void Format(const Image& image);
  Image Contents() const;

  // The power goes before the n-th next write or sync: that one and all later ones fail.
  void CutPowerIn(int64_t operations) { operations_left_ = operations; }
  bool power_is_cut() const { return operations_left_ == 0; }
  // The n-th next operation that the fault can hit fails, and those after it, `failures` in all; others go on. A full
  // disk takes no write; a broken one neither writes, truncates nor syncs.
  enum class Fault { kFull, kBroken };
  void FailIn(int64_t n, int64_t failures, Fault fault);
  void Heal() { failures_left_ = 0; }
  bool has_failed() const { return has_failed_; }  // since FailIn
  // What a process finds that starts next; nothing that was open can be used before Reconnect. After a kill (`random`
  // null) that is all that was written; after a power cut, of each write since its file's last sync all, a part or
  // nothing.
  void Restart(Random* random);
  // What is open goes on with the files as they are now, whose shared memory is lost: to SQLite as if other processes
  // had written them and the last had died. Connections must be idle, and have empty page caches. False where they may
  // not go on: a file is gone, or a log is empty, for which a connection that has made one already draws no new salt.
  bool Reconnect();
  // A sync of a file whose name ends so does nothing.
  void IgnoreSyncsOf(const std::string& ending) { ignored_syncs_ = ending; }

  struct File;
  struct Handle;

 private:
  friend struct DiskMethods;
  struct Change {
    int64_t offset = 0;
    std::string before, after;
    int64_t size_before = 0;  // of the file
    bool truncation = false;
  };
  struct SharedMemory {
    std::vector<std::unique_ptr<char[]>> regions;
    int region_bytes = 0;
    int readers[8] = {};
    const void* writer[8] = {};
  };

  // Whether a write or sync can be made: counts it.
  bool Use();
  // SQLITE_OK, or what FailIn has it say; `broken` is the operation's own code.
  int Fail(bool write, int broken);

  std::map<std::string, std::shared_ptr<File>> files_;
  std::vector<Handle*> open_;
  uint64_t generation_ = 1;       // of handles that can be used
  int64_t operations_left_ = -1;  // until the power goes; -1: it stays
  Fault fault_ = Fault::kFull;
  int64_t until_failure_ = 0;  // operations
  int64_t failures_left_ = 0;
  bool has_failed_ = false;
  std::string ignored_syncs_;
  sqlite3_vfs vfs_ = {};
};

struct LossyDisk::File {
  std::string bytes;
  std::vector<Change> unsynced;
  SharedMemory memory;
  int shared = 0;  // locks
  const void* exclusive = nullptr;
};

}  // namespace sink::simulator
