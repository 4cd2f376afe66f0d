// Where questions for work wait for their answers: a worker with nothing to do asks once and hears when there is
// something, instead of asking twice a second. A question that gets nothing at once is kept, without a thread, until a
// job may be able to start (Dispatcher::placement), its time is over, its worker asks again or says that it has other
// devices free, or its caller leaves. What wakes many looks at them a few at a time and stops as soon as nothing is
// left to give out; a round that gave little is followed by a pause that bounds what waiting workers cost.
//
// Owned by the server. Any thread; `answer` is called once for each question, on a thread of the desk or of the caller,
// with no lock held.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "coordinator/core/dispatcher.h"
#include "coordinator/job/mutex.h"
#include "coordinator/service/service_time.h"

namespace sink {

class LeaseDesk {
 public:
  using Grants = absl::StatusOr<std::vector<Grant>>;
  using Clock = std::chrono::steady_clock;

  struct Question {
    LeaseRequest request;
    std::chrono::milliseconds wait{0};
    // `waited`: how long before the grants, if there are any, were made.
    std::function<void(const Grants&, std::chrono::milliseconds waited)> answer;

   private:
    friend class LeaseDesk;
    // In line for a look, being looked at, parked, or over.
    enum class Place { kReady, kLooking, kWaiting, kAnswered };
    Place place = Place::kReady;
    bool hurry = false;   // to be answered after this look, whatever it gives
    bool member = false;  // of the round: a place in a gang waits for its worker
    Clock::time_point asked;
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
  using Place = Question::Place;
  using QuestionPtr = std::shared_ptr<Question>;
  static constexpr int kThreads = 32;            // each waits for the disk most of the time
  static constexpr size_t kMaxWaiting = 50'000;  // further questions are answered at once
  static constexpr int kPauseFactor = 10;        // a round that gave nothing is followed by so many times its length
  static constexpr std::chrono::milliseconds kLongestPause{500};
  static constexpr std::chrono::milliseconds kSlice{100};  // between looks at deadlines

  void LookLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  void Look(const QuestionPtr& question, bool of_round) ABSL_LOCKS_EXCLUDED(mutex_);
  void WakeLoop() ABSL_LOCKS_EXCLUDED(mutex_);
  // Looks at those that wait: all of them, or those of ahead.members. Returns how long to leave them alone afterwards.
  std::chrono::milliseconds Round(uint64_t version) ABSL_LOCKS_EXCLUDED(mutex_);
  bool CanLook() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !asked_.empty() || (!round_.empty() && looking_ < at_once_);
  }
  // Nothing is left to give out: those of the round that were not looked at wait on.
  void EndRound() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AnswerOverdue() ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes a question that nobody looks at out of the desk, for the caller to answer; one that is being looked at is
  // answered by who does, and null is returned.
  QuestionPtr Take(const QuestionPtr& question) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(const QuestionPtr& question) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Dispatcher* const dispatcher_;
  const NowFn now_;

  Mutex mutex_;
  CondVar to_look_, round_over_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<QuestionPtr> asked_ ABSL_GUARDED_BY(mutex_);  // in line, not looked at before
  std::deque<QuestionPtr> round_ ABSL_GUARDED_BY(mutex_);  // in line again; after those
  // How many look at questions of the round at once: one at first, twice as many with each that gets something, so that
  // a single job costs a look or two and many jobs are given out by all threads.
  int at_once_ ABSL_GUARDED_BY(mutex_) = 1;
  int looking_ ABSL_GUARDED_BY(mutex_) = 0;       // at questions of the round
  bool granted_ ABSL_GUARDED_BY(mutex_) = false;  // something, in this round
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;  // placement() when the newest round began
  absl::flat_hash_map<std::string, QuestionPtr> waiting_ ABSL_GUARDED_BY(mutex_);  // by worker: parked, or of the round

  std::vector<std::thread> threads_;  // last: start when all else is made
};

}  // namespace sink
