// Workers' questions for work that wait for their answers, as a state machine without threads, locks, clocks or
// callbacks. A question is looked at once it is asked. One that gets nothing waits until a job may be able to start
// (Dispatcher::placement), its time is over, its worker asks again or says that it has other devices free, or its
// caller leaves. What wakes many is a round, which looks at them a few at a time and stops as soon as nothing is left
// to give out; a round that gave nothing is followed by a pause that bounds what waiting workers cost.
//
// A look is a call of Dispatcher::AcquireLeases, from BeginLook to Looked; many may be under way at once. Each step
// takes what has happened and when, and returns what its driver has to do; the same steps have the same effects.
// LeaseDesk drives it with threads, the simulator with fibers. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "coordinator/core/requests.h"

namespace sink {

class QuestionQueue {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Limits {
    int looks = 32;           // at questions of a round at once
    size_t waiting = 50'000;  // further questions are answered after their first look
  };

  // A driver's own questions derive from it: they know whom to answer.
  struct Question {
    LeaseRequest request;
    std::chrono::milliseconds wait{0};

    Time asked() const { return asked_; }

   private:
    friend class QuestionQueue;
    // In line for a look, being looked at, parked, or over.
    enum class Place { kReady, kLooking, kWaiting, kAnswered };
    Place place_ = Place::kReady;
    bool hurry_ = false;   // to be answered after this look, whatever it gives
    bool member_ = false;  // of the round: a place in a gang waits for its worker
    Time asked_;
    uint64_t number_ = 0;  // in the order of asking
  };
  using QuestionPtr = std::shared_ptr<Question>;

  struct Look {
    QuestionPtr question;
    bool of_round = false;
    // The driver's to fill in.
    uint64_t seen = 0;           // the placement's version before the look
    bool got = false;            // grants, or an error
    bool nothing_ready = false;  // as AcquireLeases says it
  };

  // What a step leaves to its driver.
  struct Effects {
    // The step's own question is answered. Asked: it is refused, for the queue is closed. Looked: with what the look
    // gave. Withdrawn: to nobody.
    bool answer = false;
    bool left = false;      // Withdrawn: no answer has been sent, its worker may have died
    QuestionPtr dismissed;  // another question of the same worker: answered with nothing
    int looks = 0;          // so many may begin
  };

  explicit QuestionQueue(const Limits& limits) : limits_(limits) {}

  Effects Asked(const QuestionPtr& question, Time now);
  // The caller has left: no further look at it. A grant that is being made goes to the worker's next copy of the
  // question.
  Effects Withdrawn(const QuestionPtr& question);
  // The worker now has so many devices free: a question of its that waits with another number is dismissed, so that it
  // can ask anew.
  Effects Heard(const std::string& worker_id, int devices_free);
  // Those whose time is over, each to be answered with nothing. Call it every now and then.
  std::vector<QuestionPtr> Overdue(Time now);
  // All that wait, to be answered with nothing. Those in line and looked at have their answers after their looks;
  // later ones are refused.
  std::vector<QuestionPtr> Closed();

  // The next look; none: wait for a step that says that looks may begin.
  std::optional<Look> BeginLook(Time now);
  Effects Looked(const Look& look, Time now);

  // The placement has this version. True: a round begins, and LookedAhead comes next. Call it again when it is false
  // for a round or a pause, in which version() stays behind.
  bool PlacementChanged(uint64_t version, Time now);
  // What there is to get (Dispatcher::LookAhead), or that nobody can say: then the round begins anew after a pause.
  Effects LookedAhead(absl::StatusOr<WorkAhead> ahead, Time now);

  uint64_t version() const { return version_; }
  bool in_round() const { return stage_ != Stage::kNoRound; }
  Time not_before() const { return not_before_; }  // when the pause is over
  bool closed() const { return closed_; }

 private:
  using Place = Question::Place;
  enum class Stage { kNoRound, kLookingAhead, kLooking };
  static constexpr int kPauseFactor = 10;  // a round that gave nothing is followed by so many times its length
  static constexpr std::chrono::milliseconds kLongestPause{500};

  // One that waits is looked at again, if there may be something for it.
  bool LineUp(const QuestionPtr& question);
  // Nothing is left to give out: those of the round that were not looked at wait on.
  void DropRound();
  // The round is over once nobody of it is in line or looked at any more.
  void FinishRoundIfEmpty(Time now);
  // Takes a question that nobody looks at out of the queue, to be answered; one that is being looked at is answered
  // after its look, and null is returned.
  QuestionPtr Take(const QuestionPtr& question);
  void Forget(const QuestionPtr& question);

  const Limits limits_;
  bool closed_ = false;
  uint64_t numbers_ = 0;           // given to questions so far
  std::deque<QuestionPtr> asked_;  // in line, not looked at before
  std::deque<QuestionPtr> round_;  // in line again; after those
  // How many look at questions of the round at once: one at first, twice as many with each that gets something, so that
  // a single job costs a look or two and many jobs are given out by all.
  int at_once_ = 1;
  int looking_ = 0;  // at questions of the round
  Stage stage_ = Stage::kNoRound;
  bool granted_ = false;         // something, in this round
  Time began_;                   // this round
  Time not_before_;              // the next one begins
  uint64_t version_ = 0;         // of the placement when the newest round began
  uint64_t version_before_ = 0;  // and the round before
  WorkAhead ahead_;              // then; anything, where nobody has asked
  // By worker, in the order of their ids: parked, or of the round.
  absl::btree_map<std::string, QuestionPtr> waiting_;
};

}  // namespace sink
