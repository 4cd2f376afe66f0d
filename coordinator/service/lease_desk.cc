// See lease_desk.h.
#include "coordinator/service/lease_desk.h"

#include <algorithm>
#include <utility>

namespace sink {
namespace {

const LeaseDesk::Grants& Nothing() {
  static const LeaseDesk::Grants& nothing = *new LeaseDesk::Grants(std::vector<Grant>());
  return nothing;
}

}  // namespace

LeaseDesk::LeaseDesk(Dispatcher* dispatcher, NowFn now) : dispatcher_(dispatcher), now_(std::move(now)) {
  threads_.emplace_back([this] { WakeLoop(); });
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { LookLoop(); });
}

LeaseDesk::~LeaseDesk() {
  Close();
  for (std::thread& thread : threads_) thread.join();
}

void LeaseDesk::Ask(const QuestionPtr& question) {
  QuestionPtr older;
  bool refuse = false;
  {
    MutexLock lock(&mutex_);
    refuse = closing_;
    if (!refuse) {
      const auto before = waiting_.find(question->request.worker_id);
      if (before != waiting_.end()) older = Take(before->second);
      question->asked = Clock::now();
      asked_.push_back(question);
      to_look_.Signal();
    }
  }
  if (older != nullptr) older->answer(Nothing(), {});
  if (refuse) question->answer(absl::UnavailableError("the coordinator is shutting down"), {});
}

void LeaseDesk::Withdraw(const QuestionPtr& question) {
  QuestionPtr taken;
  bool open = false;
  {
    MutexLock lock(&mutex_);
    open = question->place != Place::kAnswered;  // else its worker has asked again since
    taken = Take(question);
  }
  if (open) dispatcher_->HasLeft(question->request.worker_id);
  if (taken != nullptr) taken->answer(absl::CancelledError("the worker has left"), {});
}

void LeaseDesk::Hear(const std::string& worker_id, int devices_free) {
  QuestionPtr taken;
  {
    MutexLock lock(&mutex_);
    const auto waits = waiting_.find(worker_id);
    if (waits == waiting_.end() || waits->second->request.devices_free == devices_free) return;
    taken = Take(waits->second);
  }
  if (taken != nullptr) taken->answer(Nothing(), {});
}

void LeaseDesk::Close() {
  std::vector<QuestionPtr> taken;
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    std::vector<QuestionPtr> waiting;
    for (const auto& [id, question] : waiting_) waiting.push_back(question);
    for (const QuestionPtr& question : waiting) {
      if (QuestionPtr one = Take(question)) taken.push_back(std::move(one));
    }
    to_look_.SignalAll();
    round_over_.SignalAll();
  }
  for (const QuestionPtr& question : taken) question->answer(Nothing(), {});
}

LeaseDesk::QuestionPtr LeaseDesk::Take(const QuestionPtr& question) {
  question->hurry = true;
  if (question->place == Place::kLooking || question->place == Place::kAnswered) return nullptr;
  QuestionPtr taken = question;  // the map's own may be what the caller has
  Forget(taken);
  return taken;
}

void LeaseDesk::Forget(const QuestionPtr& question) {
  question->place = Place::kAnswered;
  const auto place = waiting_.find(question->request.worker_id);
  if (place != waiting_.end() && place->second == question) waiting_.erase(place);
}

void LeaseDesk::LookLoop() {
  for (;;) {
    QuestionPtr question;
    bool of_round = false;
    {
      MutexLock lock(&mutex_);
      while (!CanLook() && !closing_) to_look_.Wait(&mutex_);
      if (asked_.empty() && round_.empty()) return;
      of_round = asked_.empty();
      std::deque<QuestionPtr>& line = of_round ? round_ : asked_;
      question = std::move(line.front());
      line.pop_front();
      if (question->place == Place::kAnswered) {
        if (of_round && round_.empty() && looking_ == 0) round_over_.SignalAll();
        continue;
      }
      question->place = Place::kLooking;
      if (of_round) ++looking_;
    }
    Look(question, of_round);
  }
}

void LeaseDesk::Look(const QuestionPtr& question, bool of_round) {
  const uint64_t seen = dispatcher_->placement().version();
  const Clock::time_point begin = Clock::now();  // a lease granted by this look is younger
  bool nothing_ready = false;
  const Grants grants = dispatcher_->AcquireLeases(question->request, now_(), &nothing_ready);
  const bool got = !grants.ok() || !grants->empty();
  bool answer = got;
  QuestionPtr older;
  {
    MutexLock lock(&mutex_);
    if (of_round) --looking_;
    if (of_round && got) {
      granted_ = true;
      at_once_ = std::min(kThreads, 2 * at_once_);
    }
    if (of_round && nothing_ready) EndRound();
    const auto other = waiting_.find(question->request.worker_id);
    const bool has_other = other != waiting_.end() && other->second != question;
    const bool superseded = has_other && other->second->asked > question->asked;
    answer |= question->hurry || closing_ || superseded || Clock::now() >= question->asked + question->wait ||
              (other == waiting_.end() && waiting_.size() >= kMaxWaiting);
    if (answer) {
      Forget(question);
    } else {
      if (has_other) older = Take(other->second);  // asked before this one, and parked while this one was looked at
      question->place = Place::kWaiting;
      waiting_[question->request.worker_id] = question;
      // A round began after this look: it did not see this question.
      if (seen < version_ && !nothing_ready) {
        question->place = Place::kReady;
        round_.push_back(question);
        to_look_.Signal();
      }
    }
    if (round_.empty() && looking_ == 0) round_over_.SignalAll();
    for (int more = at_once_ - looking_; of_round && more > 0 && !round_.empty(); --more) to_look_.Signal();
  }
  if (older != nullptr) older->answer(Nothing(), {});
  if (answer) question->answer(grants, std::chrono::floor<std::chrono::milliseconds>(begin - question->asked));
}

void LeaseDesk::EndRound() {
  std::deque<QuestionPtr> members;
  for (QuestionPtr& question : round_) {
    if (question->place != Place::kReady) continue;
    if (question->member) {
      members.push_back(std::move(question));
    } else {
      question->place = Place::kWaiting;
    }
  }
  round_ = std::move(members);
}

void LeaseDesk::WakeLoop() {
  uint64_t seen = dispatcher_->placement().version();
  Clock::time_point not_before = Clock::now();
  for (;;) {
    const uint64_t version = dispatcher_->placement().WaitPast(seen, kSlice);
    AnswerOverdue();
    {
      MutexLock lock(&mutex_);
      if (closing_) return;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(not_before - Clock::now());
    if (version == seen) continue;
    if (left.count() > 0) {
      std::this_thread::sleep_for(std::min(left, kSlice));
      continue;
    }
    seen = version;
    not_before = Clock::now() + Round(version);
  }
}

std::chrono::milliseconds LeaseDesk::Round(uint64_t version) {
  {
    MutexLock lock(&mutex_);
    version_ = version;
    if (waiting_.empty()) return {};
  }
  const Clock::time_point begin = Clock::now();
  const absl::StatusOr<WorkAhead> ahead = dispatcher_->LookAhead();
  if (!ahead.ok()) return kLongestPause;  // the next question asked says what is wrong
  {
    MutexLock lock(&mutex_);
    at_once_ = 1;
    granted_ = false;
    for (const auto& [worker, question] : waiting_) {
      if (question->place != Place::kWaiting) continue;
      question->member = ahead->members.contains(worker);
      if (!ahead->ready && !question->member) continue;
      question->place = Place::kReady;
      // First those that are sure to get something.
      round_.insert(question->member ? round_.begin() : round_.end(), question);
    }
    if (round_.empty()) return {};
    to_look_.Signal();
    while (!closing_ && (!round_.empty() || looking_ > 0)) round_over_.Wait(&mutex_);
    if (granted_) return {};
  }
  const auto length = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  return std::min<std::chrono::milliseconds>(kLongestPause, kPauseFactor * length);
}

void LeaseDesk::AnswerOverdue() {
  std::vector<QuestionPtr> taken;
  {
    MutexLock lock(&mutex_);
    const Clock::time_point now = Clock::now();
    std::vector<QuestionPtr> overdue;
    for (const auto& [worker, question] : waiting_) {
      if (now >= question->asked + question->wait) overdue.push_back(question);
    }
    for (const QuestionPtr& question : overdue) {
      if (QuestionPtr one = Take(question)) taken.push_back(std::move(one));
    }
  }
  for (const QuestionPtr& question : taken) question->answer(Nothing(), {});
}

}  // namespace sink
