// See question_queue.h.
#include "coordinator/core/question_queue.h"

#include <algorithm>
#include <utility>

namespace sink {

QuestionQueue::Effects QuestionQueue::Asked(const QuestionPtr& question, Time now) {
  Effects effects;
  if (closed_) {
    question->place_ = Question::Place::kAnswered;
    effects.answer = true;
    return effects;
  }
  const auto before = waiting_.find(question->request.worker_id);
  if (before != waiting_.end()) effects.dismissed = Take(before->second);
  question->asked_ = now;
  question->number_ = ++numbers_;
  asked_.push_back(question);
  effects.looks = 1;
  return effects;
}

QuestionQueue::Effects QuestionQueue::Withdrawn(const QuestionPtr& question) {
  Effects effects;
  effects.left = question->place_ != Place::kAnswered;  // else its worker has asked again since
  effects.answer = Take(question) != nullptr;
  return effects;
}

QuestionQueue::Effects QuestionQueue::Heard(const std::string& worker_id, int devices_free) {
  Effects effects;
  const auto waits = waiting_.find(worker_id);
  if (waits != waiting_.end() && waits->second->request.devices_free != devices_free) {
    effects.dismissed = Take(waits->second);
  }
  return effects;
}

std::vector<QuestionQueue::QuestionPtr> QuestionQueue::Overdue(Time now) {
  std::vector<QuestionPtr> overdue, dismissed;
  for (const auto& [worker, question] : waiting_) {
    if (now >= question->asked_ + question->wait) overdue.push_back(question);
  }
  for (const QuestionPtr& question : overdue) {
    if (QuestionPtr taken = Take(question)) dismissed.push_back(std::move(taken));
  }
  return dismissed;
}

std::vector<QuestionQueue::QuestionPtr> QuestionQueue::Closed() {
  closed_ = true;
  std::vector<QuestionPtr> waiting, dismissed;
  for (const auto& [worker, question] : waiting_) waiting.push_back(question);
  for (const QuestionPtr& question : waiting) {
    if (QuestionPtr taken = Take(question)) dismissed.push_back(std::move(taken));
  }
  return dismissed;
}

std::optional<QuestionQueue::Look> QuestionQueue::BeginLook(Time now) {
  while (!asked_.empty() || (!round_.empty() && looking_ < at_once_)) {
    Look look;
    look.of_round = asked_.empty();
    std::deque<QuestionPtr>& line = look.of_round ? round_ : asked_;
    look.question = std::move(line.front());
    line.pop_front();
    if (look.question->place_ == Place::kAnswered) {
      FinishRoundIfEmpty(now);
      continue;
    }
    look.question->place_ = Place::kLooking;
    if (look.of_round) ++looking_;
    return look;
  }
  return std::nullopt;
}

QuestionQueue::Effects QuestionQueue::Looked(const Look& look, Time now) {
  Effects effects;
  const QuestionPtr& question = look.question;
  const bool outdated = look.seen < version_;  // a round began after this look: what it did not find may be there now
  if (look.of_round) --looking_;
  if (look.of_round && look.got) {
    granted_ = true;
    at_once_ = std::min(limits_.looks, 2 * at_once_);
  }
  if (look.of_round && look.nothing_ready && !outdated) DropRound();
  const auto other = waiting_.find(question->request.worker_id);
  const bool has_other = other != waiting_.end() && other->second != question;
  const bool superseded = has_other && other->second->number_ > question->number_;
  effects.answer = look.got || question->hurry_ || closed_ || superseded || now >= question->asked_ + question->wait ||
                   (other == waiting_.end() && waiting_.size() >= limits_.waiting);
  bool again = false;
  if (effects.answer) {
    Forget(question);
  } else {
    if (has_other) effects.dismissed = Take(other->second);  // asked before, and parked while this one was looked at
    question->place_ = Place::kWaiting;
    waiting_[question->request.worker_id] = question;
    // The round did not see this question, unless it has yet to line up those that wait.
    again = outdated && stage_ != Stage::kLookingAhead && LineUp(question);
  }
  FinishRoundIfEmpty(now);
  if (look.of_round || again) {
    effects.looks = std::clamp(at_once_ - looking_, 0, static_cast<int>(round_.size()));
  }
  return effects;
}

bool QuestionQueue::PlacementChanged(uint64_t version, Time now) {
  if (version == version_ || stage_ != Stage::kNoRound || now < not_before_) return false;
  version_before_ = std::exchange(version_, version);
  ahead_ = {.ready = true, .members = {}};
  if (waiting_.empty()) return false;
  stage_ = Stage::kLookingAhead;
  began_ = now;
  return true;
}

QuestionQueue::Effects QuestionQueue::LookedAhead(absl::StatusOr<WorkAhead> ahead, Time now) {
  Effects effects;
  if (!ahead.ok()) {  // the next question asked says what is wrong
    stage_ = Stage::kNoRound;
    version_ = version_before_;
    not_before_ = now + kLongestPause;
    return effects;
  }
  ahead_ = *std::move(ahead);
  at_once_ = 1;
  granted_ = false;
  for (const auto& [worker, question] : waiting_) {
    if (question->place_ == Place::kWaiting) LineUp(question);
  }
  stage_ = round_.empty() ? Stage::kNoRound : Stage::kLooking;
  effects.looks = round_.empty() ? 0 : 1;
  return effects;
}

bool QuestionQueue::LineUp(const QuestionPtr& question) {
  question->member_ = ahead_.members.contains(question->request.worker_id);
  if (!ahead_.ready && !question->member_) return false;
  question->place_ = Place::kReady;
  // First those that are sure to get something.
  round_.insert(question->member_ ? round_.begin() : round_.end(), question);
  return true;
}

void QuestionQueue::DropRound() {
  std::deque<QuestionPtr> members;
  for (QuestionPtr& question : round_) {
    if (question->place_ != Place::kReady) continue;
    if (question->member_) {
      members.push_back(std::move(question));
    } else {
      question->place_ = Place::kWaiting;
    }
  }
  round_ = std::move(members);
}

void QuestionQueue::FinishRoundIfEmpty(Time now) {
  if (stage_ != Stage::kLooking || !round_.empty() || looking_ > 0) return;
  stage_ = Stage::kNoRound;
  const auto length = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
  if (!granted_) not_before_ = now + std::min<std::chrono::milliseconds>(kLongestPause, kPauseFactor * length);
}

QuestionQueue::QuestionPtr QuestionQueue::Take(const QuestionPtr& question) {
  question->hurry_ = true;
  if (question->place_ == Place::kLooking || question->place_ == Place::kAnswered) return nullptr;
  QuestionPtr taken = question;  // the map's own may be what the caller has
  Forget(taken);
  return taken;
}

void QuestionQueue::Forget(const QuestionPtr& question) {
  question->place_ = Place::kAnswered;
  const auto place = waiting_.find(question->request.worker_id);
  if (place != waiting_.end() && place->second == question) waiting_.erase(place);
}

}  // namespace sink
