// Ends the process when one piece of work of the write thread has used so much processor time that it is not going to
// end: every other write waits behind it, for good, and a supervisor that starts the process again helps. Waiting costs
// no processor time, so that a slow disk, a busy machine or a stopped process never count. Owned by SqliteStore; Watch,
// Begin and End belong to the thread that is watched.
#pragma once

#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "coordinator/job/mutex.h"

namespace sink::store {

class WriteWatch {
 public:
  // `told` (may be null) is called on the watch's own thread, with one sentence, before the process ends with status 1.
  WriteWatch(std::chrono::nanoseconds limit, std::function<void(const std::string&)> told);
  ~WriteWatch();
  WriteWatch(const WriteWatch&) = delete;
  WriteWatch& operator=(const WriteWatch&) = delete;

  // The calling thread is the one that is watched from here on. Once.
  void Watch();
  void Begin();  // a piece of work; the one before has ended
  void End();

 private:
  void Loop() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::chrono::nanoseconds limit_;
  const std::function<void(const std::string&)> told_;
  clockid_t clock_ = 0;               // of the watched thread's processor time; set before the loop starts
  std::atomic<int64_t> until_ns_{0};  // on that clock; 0: nothing is being done

  Mutex mutex_;
  CondVar ending_changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread loop_;
};

}  // namespace sink::store
