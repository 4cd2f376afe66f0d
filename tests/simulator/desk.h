// The desk of a simulated coordinator, where workers' questions for work wait: the state machine of LeaseDesk, with
// fibers for its threads and events for its clock. A process has one, which ends with it. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/job_manager.h"
#include "coordinator/core/question_queue.h"
#include "tests/simulator/simulated_store.h"

namespace sink::simulator {

class World;

class Desk {
 public:
  using Grants = absl::StatusOr<std::vector<Grant>>;
  struct Question : QuestionQueue::Question {
    // `waited`: how long before the grants, if there are any, were made.
    std::function<void(const Grants&, int64_t waited)> answer;
    bool awaited = true;  // its caller is there
    // For Check: the job that could start on its worker as it is, and since when; empty: none.
    std::string ready_job = {};
    int64_t ready_since = 0;
  };
  using QuestionPtr = std::shared_ptr<Question>;

  // All outlive the desk.
  Desk(World* world, JobManager* manager, SimulatedStore* store);

  // In a fiber, which they do not stop.
  void Ask(const QuestionPtr& question);
  void Withdraw(const QuestionPtr& question);
  void Hear(const std::string& worker_id, int devices_free);
  // After every call: the placement may have changed.
  void Notice();

  // Outside of fibers. No question may wait past its time, nor while a job could start on its worker. `frozen_until`:
  // the process did not run before.
  void Check(int64_t frozen_until);

 private:
  QuestionQueue::Time Time() const;
  // Runs in a fiber, if the process is there then.
  void After(int64_t delay, void (Desk::*what)());
  void Slice();  // now and then
  void Wake();   // what is overdue is answered, and a round begins
  void BeginLooks(int looks);
  void RunLooks();  // as one thread: until nothing is left to look at
  void LookAt(QuestionQueue::Look look);
  void Answer(const QuestionQueue::QuestionPtr& question, const Grants& grants, int64_t waited = 0);
  void AnswerWithNothing(const QuestionQueue::QuestionPtr& question) { Answer(question, std::vector<Grant>()); }
  // Of each open question; empty where there is none, or nobody awaits it.
  absl::StatusOr<std::vector<std::string>> JobsThatCouldStart() const;
  // A job, by the number of its attempt, that a look at this question would give out; empty: none is known.
  absl::StatusOr<std::string> JobFor(store::Snapshot& rows, const std::vector<store::QueueHead>& heads,
                                     const LeaseRequest& request) const;
  // The same where jobs take several workers, by the coordinator's own rules of where they go. Only while every worker
  // is connected: that one falls silent may free what was kept for it, and wakes nobody.
  absl::StatusOr<std::string> GangFor(const LeaseRequest& request) const;

  World* const world_;
  JobManager* const manager_;
  SimulatedStore* const store_;
  QuestionQueue queue_;
  int threads_ = 0;                                             // that look at questions
  bool noticed_ = false;                                        // Wake will come
  std::vector<QuestionPtr> open_;                               // not answered
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for events that come after this object's end
};

}  // namespace sink::simulator
