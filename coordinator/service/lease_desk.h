// Where questions for work wait for their answers: a worker with nothing to do asks once and hears when there is
// something, instead of asking twice a second. What is decided is decided by core/question_queue.h; here are its
// threads, its clock and the calls that it asks for. A question that waits holds no thread.
//
// Owned by the server. Any thread; `answer` is called once for each question, on a thread of the desk or of the caller,
// with no lock held.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "coordinator/core/dispatcher.h"
#include "coordinator/core/question_queue.h"
#include "coordinator/job/mutex.h"
#include "coordinator/service/service_time.h"

namespace sink {

class LeaseDesk {
 public:
  using Grants = absl::StatusOr<std::vector<Grant>>;

  struct Question : QuestionQueue::Question {
    // `waited`: how long before the grants, if there are any, were made.
    std::function<void(const Grants&, std::chrono::milliseconds waited)> answer;
  };

  // `dispatcher` outlives the desk.
  LeaseDesk(Dispatcher* dispatcher, NowFn now);
  ~LeaseDesk();  // closes, and waits for its threads

  void Ask(const std::shared_ptr<Question>& question) ABSL_LOCKS_EXCLUDED(mutex_);
  // The caller has left: no further look at it. A grant that is being made goes to the worker's next copy of the
  // question.
  void Withdraw(const std::shared_ptr<Question>& question) ABSL_LOCKS_EXCLUDED(mutex_);
  // The worker now has so many devices free: a question of its that waits with another number is answered, so that it
  // can ask anew.
  void Hear(const std::string& worker_id, int devices_free) ABSL_LOCKS_EXCLUDED(mutex_);
  // Answers what waits; later questions are UNAVAILABLE.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kThreads = 32;                      // each waits for the disk most of the time
  static constexpr std::chrono::milliseconds kSlice{100};  // between looks at deadlines

  void LookLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  void Look(QuestionQueue::Look look) ABSL_LOCKS_EXCLUDED(mutex_);
  void WakeLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  // Until all that it woke have been looked at.
  void Round() ABSL_LOCKS_EXCLUDED(mutex_);
  void AnswerOverdue() ABSL_LOCKS_EXCLUDED(mutex_);
  void BeginLooks(int looks) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Dispatcher* const dispatcher_;
  const NowFn now_;

  Mutex mutex_;
  CondVar to_look_, round_over_;
  QuestionQueue queue_ ABSL_GUARDED_BY(mutex_){{.looks = kThreads}};

  std::vector<std::thread> threads_;  // last: start when all else is made
};

}  // namespace sink
