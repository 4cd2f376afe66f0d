// See lease_desk.h.
#include "coordinator/service/lease_desk.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace sink {
namespace {

void Answer(const QuestionQueue::QuestionPtr& question, const LeaseDesk::Grants& grants,
            std::chrono::milliseconds waited = {}) {
  static_cast<const LeaseDesk::Question&>(*question).answer(grants, waited);
}

void AnswerWithNothing(const QuestionQueue::QuestionPtr& question) {
  static const LeaseDesk::Grants& nothing = *new LeaseDesk::Grants(std::vector<Grant>());
  Answer(question, nothing);
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

void LeaseDesk::Ask(const std::shared_ptr<Question>& question) {
  QuestionQueue::Effects effects;
  {
    MutexLock lock(&mutex_);
    effects = queue_.Asked(question, Clock::now());
    BeginLooks(effects.looks);
  }
  if (effects.dismissed != nullptr) AnswerWithNothing(effects.dismissed);
  if (effects.answer) Answer(question, absl::UnavailableError("the coordinator is shutting down"));
}

void LeaseDesk::Withdraw(const std::shared_ptr<Question>& question) {
  QuestionQueue::Effects effects;
  {
    MutexLock lock(&mutex_);
    effects = queue_.Withdrawn(question);
  }
  if (effects.left) dispatcher_->HasLeft(question->request.worker_id);
  if (effects.answer) Answer(question, absl::CancelledError("the worker has left"));
}

void LeaseDesk::Hear(const std::string& worker_id, int devices_free) {
  QuestionQueue::Effects effects;
  {
    MutexLock lock(&mutex_);
    effects = queue_.Heard(worker_id, devices_free);
  }
  if (effects.dismissed != nullptr) AnswerWithNothing(effects.dismissed);
}

void LeaseDesk::Close() {
  std::vector<QuestionQueue::QuestionPtr> dismissed;
  {
    MutexLock lock(&mutex_);
    dismissed = queue_.Closed();
    to_look_.SignalAll();
    round_over_.SignalAll();
  }
  for (const QuestionQueue::QuestionPtr& question : dismissed) AnswerWithNothing(question);
}

void LeaseDesk::BeginLooks(int looks) {
  for (; looks > 0; --looks) to_look_.Signal();
}

void LeaseDesk::LookLoop() {
  for (;;) {
    std::optional<QuestionQueue::Look> look;
    {
      MutexLock lock(&mutex_);
      while (!(look = queue_.BeginLook(Clock::now()))) {
        if (!queue_.in_round()) round_over_.SignalAll();  // what was left of it had been answered meanwhile
        if (queue_.closed()) return;
        to_look_.Wait(&mutex_);
      }
    }
    Look(*std::move(look));
  }
}

void LeaseDesk::Look(QuestionQueue::Look look) {
  look.seen = dispatcher_->placement().version();
  const Clock::time_point begin = Clock::now();  // a lease granted by this look is younger
  const Grants grants = dispatcher_->AcquireLeases(look.question->request, now_(), &look.nothing_ready);
  look.got = !grants.ok() || !grants->empty();
  QuestionQueue::Effects effects;
  {
    MutexLock lock(&mutex_);
    effects = queue_.Looked(look, Clock::now());
    if (!queue_.in_round()) round_over_.SignalAll();
    BeginLooks(effects.looks);
  }
  if (effects.dismissed != nullptr) AnswerWithNothing(effects.dismissed);
  if (!effects.answer) return;
  Answer(look.question, grants, std::chrono::floor<std::chrono::milliseconds>(begin - look.question->asked()));
}

void LeaseDesk::WakeLoop() {
  uint64_t seen = 0;
  for (;;) {
    const uint64_t version = dispatcher_->placement().WaitPast(seen, kSlice);
    AnswerOverdue();
    const Clock::time_point now = Clock::now();
    Clock::duration pause{};
    bool round = false;
    {
      MutexLock lock(&mutex_);
      if (queue_.closed()) return;
      round = queue_.PlacementChanged(version, now);
      seen = queue_.version();
      pause = queue_.not_before() - now;
    }
    if (round) {
      Round();
    } else if (version != seen) {
      std::this_thread::sleep_for(std::min<Clock::duration>(pause, kSlice));
    }
  }
}

void LeaseDesk::Round() {
  absl::StatusOr<WorkAhead> ahead = dispatcher_->LookAhead();
  MutexLock lock(&mutex_);
  BeginLooks(queue_.LookedAhead(std::move(ahead), Clock::now()).looks);
  while (queue_.in_round() && !queue_.closed()) round_over_.Wait(&mutex_);
}

void LeaseDesk::AnswerOverdue() {
  std::vector<QuestionQueue::QuestionPtr> overdue;
  {
    MutexLock lock(&mutex_);
    overdue = queue_.Overdue(Clock::now());
  }
  for (const QuestionQueue::QuestionPtr& question : overdue) AnswerWithNothing(question);
}

}  // namespace sink
