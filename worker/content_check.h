// Whether the packed sets of a worker hold the bytes that were packed: their files are compared with their hashes
// (proto/run/set_hashes.h). A thread of its own reads them, behind everything else and at a bounded rate, because a
// set may be terabytes, on a disk that others share, and the questions for work do not wait. Each file is read once
// for an inode, size and times of its own, also over restarts: the hashes that were found are appended to a file in the
// worker's folder. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "coordinator/job/mutex.h"
#include "proto/files/descriptor.h"

namespace sink::worker {

// What changes with a file or folder: inode, size and times of what is there; "-" for nothing. Of the times one is the
// system's own: a copy that takes over the other from its original is another file by it.
std::string StampOf(const std::string& path);

class ContentCheck {
 public:
  static constexpr int64_t kDefaultRate = 200'000'000;

  // `memory`: the file. Where it cannot be read or written the next start reads again. `rate`: so many bytes a second
  // are read at most; 0: none are, and nothing is known to be wrong.
  explicit ContentCheck(std::string memory, int64_t rate = kDefaultRate);
  // Waits for the piece of a file that is being read.
  ~ContentCheck();

  struct State {
    size_t unread = 0;  // files that are read from now on: ask again
    std::string wrong;  // names a file with other bytes, or that cannot be read; "" where none is known
  };
  // Of the set in `folder` as it lies there now, by the entries of all its files. A set without hashes has nothing to
  // read and nothing wrong. What stays wrong is read again every ten minutes of a clock that does not jump.
  State Look(const std::string& folder, absl::Duration now) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether a file of the set is still to be read. Cheap.
  bool Reads(const std::string& folder) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Known {
    std::string stamp;                                      // of the file when it was read
    std::string hash;                                       // "" where that failed
    std::string error;                                      // why
    absl::Duration wrong_since = absl::InfiniteDuration();  // when Look found that first
  };

  void Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  Known Read(const std::string& path) const ABSL_LOCKS_EXCLUDED(mutex_);
  void Remember(const std::string& path, const Known& known) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool PauseFor(size_t bytes) const ABSL_LOCKS_EXCLUDED(mutex_);  // whether it is to stop

  const std::string memory_;
  const int64_t rate_;
  mutable Mutex mutex_;
  mutable CondVar changed_;  // signalled when there is more in unread_, and with stop_
  std::map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);  // by path
  std::set<std::string> unread_ ABSL_GUARDED_BY(mutex_);        // paths; also the one that is being read
  files::Fd append_ ABSL_GUARDED_BY(mutex_);                    // the memory; none after a failure
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // none where nothing is read
};

}  // namespace sink::worker
