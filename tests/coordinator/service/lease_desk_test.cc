// Questions for work that wait for their answers, over a real port.
#include "coordinator/service/lease_desk.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <thread>

#include "coordinator/core/job_manager.h"
#include "coordinator/store/memory_store.h"
#include "tests/coordinator/service/service_fixture.h"

namespace sink {
namespace {

using testing::kSession;
using Answer = absl::StatusOr<v1::LeaseResponse>;

constexpr int kLong = 30'000;

class LeaseDeskTest : public testing::ServiceTest {
 protected:
  static std::string WorkerId(int n) {
    const std::string digits = std::to_string(n);
    return std::string(32 - digits.size(), 'a') + digits;
  }
  void Join(int n, int devices = 1) {
    v1::RegisterRequest request;
    request.set_worker_id(WorkerId(n));
    request.set_session(kSession);
    request.set_name("node-" + std::to_string(n));
    request.set_devices(devices);
    request.set_device_kind("cpu");
    ASSERT_TRUE(Worker(WorkerId(n)).Register(request).ok());
  }
  // The worker's question, in a thread of its own. Without `sets` it does not say which it has.
  std::future<Answer> Ask(int n, int wait_ms, uint64_t poll = 1, int devices_free = 1,
                          const v1::DataSets* sets = nullptr) {
    v1::LeaseRequest request;
    request.set_worker_id(WorkerId(n));
    request.set_session(kSession);
    request.set_poll(poll);
    request.set_devices_free(devices_free);
    request.set_wait_ms(wait_ms);
    if (sets != nullptr) *request.mutable_sets() = *sets;
    return std::async(std::launch::async, [&worker = Worker(WorkerId(n)), request] { return worker.Lease(request); });
  }
  void Beat(int n, int devices_free) {
    v1::HeartbeatRequest request;
    request.set_worker_id(WorkerId(n));
    request.set_session(kSession);
    request.set_devices_free(devices_free);
    ASSERT_TRUE(Worker(WorkerId(n)).Heartbeat(request).ok());
  }
  static bool Within(std::future<Answer>& answer, int ms) {
    return answer.wait_for(std::chrono::milliseconds(ms)) == std::future_status::ready;
  }
  static int Threads() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
      int threads = 0;
      if (word == "Threads:" && status >> threads) return threads;
    }
    return 0;
  }
};

TEST_F(LeaseDeskTest, AQuestionWaitsUntilAJobIsSubmitted) {
  Join(1);
  auto answer = Ask(1, kLong);
  EXPECT_FALSE(Within(answer, 300));
  Submit("study", "1e-3");
  ASSERT_TRUE(Within(answer, 5'000));
  const Answer response = answer.get();
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->grants_size(), 1);
  EXPECT_GE(response->waited_ms(), 250);
}

TEST_F(LeaseDeskTest, WithoutWorkItIsAnsweredWhenItsTimeIsOver) {
  Join(1);
  auto at_once = Ask(1, 0);
  ASSERT_TRUE(Within(at_once, 5'000));
  auto later = Ask(1, 400, 2);
  EXPECT_FALSE(Within(later, 200));
  ASSERT_TRUE(Within(later, 5'000));
  const Answer response = later.get();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->grants_size(), 0);
}

TEST_F(LeaseDeskTest, OneJobGoesToOneOfTheManyThatWaitAndTheRestGoOnWaiting) {
  constexpr int kWorkers = 20;
  std::vector<std::future<Answer>> answers;
  for (int n = 0; n < kWorkers; ++n) {
    Join(n);
    answers.push_back(Ask(n, kLong));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto answered = [&] {
    return std::count_if(answers.begin(), answers.end(), [](auto& answer) { return Within(answer, 0); });
  };
  EXPECT_EQ(answered(), 0);
  Submit("study", "1e-3");
  for (int i = 0; i < 500 && answered() < 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(answered(), 1);
  Submit("more", "1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3, 7e-3", 2);
  for (int i = 0; i < 500 && answered() < 7; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  server_->Shutdown();
  int grants = 0;
  for (auto& answer : answers) {
    const Answer response = answer.get();
    grants += response.ok() ? response->grants_size() : 0;
  }
  EXPECT_EQ(grants, 7) << "1e-3 is a job of both sweeps";
}

TEST_F(LeaseDeskTest, WaitingHoldsNoThread) {
  Join(1);
  std::vector<std::future<Answer>> answers;
  for (int n = 0; n < 50; ++n) {
    Join(n);
    answers.push_back(Ask(n, kLong));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  // Of this process, which is the coordinator and has two for each that asks: the question's and its connection's.
  const int threads = Threads();
  for (int n = 50; n < 90; ++n) {
    Join(n);
    answers.push_back(Ask(n, kLong));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(Threads(), threads + 2 * 40 + 10);
  server_->Shutdown();
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
}

TEST_F(LeaseDeskTest, ANewerQuestionOfTheWorkerTakesThePlaceOfOneThatWaits) {
  Join(1);
  auto older = Ask(1, kLong, 1);
  EXPECT_FALSE(Within(older, 200));
  auto newer = Ask(1, kLong, 2);
  ASSERT_TRUE(Within(older, 5'000));
  EXPECT_EQ(older.get()->grants_size(), 0);
  EXPECT_FALSE(Within(newer, 200));
  Submit("study", "1e-3");
  ASSERT_TRUE(Within(newer, 5'000));
  EXPECT_EQ(newer.get()->grants_size(), 1);
}

TEST_F(LeaseDeskTest, AHeartbeatWithOtherFreeDevicesEndsTheWait) {
  Join(1, 4);
  auto answer = Ask(1, kLong, 1, 2);
  EXPECT_FALSE(Within(answer, 200));
  Beat(1, 2);
  EXPECT_FALSE(Within(answer, 200));
  Beat(1, 0);  // as a worker says that is about to end
  ASSERT_TRUE(Within(answer, 5'000));
  EXPECT_EQ(answer.get()->grants_size(), 0);
}

TEST_F(LeaseDeskTest, AWorkerThatLeavesAsksNoMoreAndIsListedAsStopped) {
  Join(1);
  auto answer = Ask(1, kLong);
  EXPECT_FALSE(Within(answer, 200));
  v1::HeartbeatRequest goodbye;
  goodbye.set_worker_id(WorkerId(1));
  goodbye.set_session(kSession);
  goodbye.set_devices_free(1);  // whatever it says of them
  goodbye.set_leaving(true);
  ASSERT_TRUE(Worker(WorkerId(1)).Heartbeat(goodbye).ok());
  ASSERT_TRUE(Within(answer, 5'000));
  EXPECT_EQ(answer.get()->grants_size(), 0);
  const auto workers = client_->ListWorkers({});
  ASSERT_TRUE(workers.ok() && workers->workers_size() == 1);
  EXPECT_EQ(workers->workers(0).state(), "stopped");
  EXPECT_EQ(workers->workers(0).devices_free(), 0);
}

TEST_F(LeaseDeskTest, AWorkerThatWaitsGetsItsPlaceInAGang) {
  Join(1, 2);
  Join(2, 2);
  auto first = Ask(1, kLong, 1, 2), second = Ask(2, kLong, 1, 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  ASSERT_TRUE(client_
                  ->SubmitSweep(testing::Submission("schema: sink/v1\nname: pair\ndata: {set: tiny}\nexperiments:\n  - "
                                                    "name: one\n    grid: {train.learning_rate: [1e-3]}\nresources: "
                                                    "{devices: 4, per_worker: 2}\n"))
                  .ok());
  ASSERT_TRUE(Within(first, 5'000));
  ASSERT_TRUE(Within(second, 5'000));
  const Answer one = first.get(), two = second.get();
  ASSERT_TRUE(one.ok() && two.ok());
  ASSERT_EQ(one->grants_size() + two->grants_size(), 2);
  EXPECT_EQ(one->grants(0).gang().first_rank() + two->grants(0).gang().first_rank(), 2);
}

TEST_F(LeaseDeskTest, AJobWaitsForAQuestionThatTellsOfItsSet) {
  Join(1);
  Join(2);
  const v1::DataSets none;
  v1::DataSets tiny;
  tiny.add_sets()->set_name("tiny");
  auto first = Ask(1, kLong, 1, 1, &none), other = Ask(2, kLong, 1, 1, &none);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  Submit("study", "1e-3");
  EXPECT_FALSE(Within(first, 300));
  EXPECT_FALSE(Within(other, 0));
  auto again = Ask(1, kLong, 2, 1, &tiny);
  ASSERT_TRUE(Within(again, 5'000));
  EXPECT_EQ(again.get()->grants_size(), 1);
  ASSERT_TRUE(Within(first, 5'000));
  EXPECT_EQ(first.get()->grants_size(), 0);
  EXPECT_FALSE(Within(other, 0));
  other = Ask(2, 0, 2, 1, &none);  // which ends the one that waits
  EXPECT_EQ(other.get()->grants_size(), 0);
}

TEST_F(LeaseDeskTest, AGrantWhoseAskerHasLeftGoesToTheSameQuestionAgain) {
  Join(1);
  const auto left = NewWorker(WorkerId(1));
  v1::LeaseRequest request;
  request.set_worker_id(WorkerId(1));
  request.set_session(kSession);
  request.set_poll(1);
  request.set_devices_free(1);
  request.set_wait_ms(kLong);
  auto answer = std::async(std::launch::async, [&] { return left->Lease(request); });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  left->CancelCalls();
  EXPECT_EQ(answer.get().status().code(), absl::StatusCode::kCancelled);
  Submit("study", "1e-3");
  auto again = Ask(1, kLong, 1);
  ASSERT_TRUE(Within(again, 5'000));
  EXPECT_EQ(again.get()->grants_size(), 1);
}

TEST_F(LeaseDeskTest, TheQuestionOfARevokedWorkerGetsNothing) {
  Join(1);
  auto answer = Ask(1, kLong);
  EXPECT_FALSE(Within(answer, 200));
  v1::RevokeRequest revoke;
  revoke.set_principal("worker/" + WorkerId(1));
  ASSERT_TRUE(client_->Revoke(revoke).ok());
  const std::vector<std::string> ids = Submit("study", "1e-3");
  ASSERT_TRUE(Within(answer, 5'000));
  EXPECT_EQ(answer.get().status().code(), absl::StatusCode::kNotFound);
  v1::GetJobRequest get;
  get.set_id(ids.at(0));
  EXPECT_EQ(client_->GetJob(get)->job().state(), v1::QUEUED);
}

TEST_F(LeaseDeskTest, AnUnknownWorkerIsRefusedAtOnce) {
  auto answer = Ask(1, kLong);
  ASSERT_TRUE(Within(answer, 5'000));
  EXPECT_EQ(answer.get().status().code(), absl::StatusCode::kNotFound);
}

// With the worker "w" of one device.
absl::StatusOr<std::unique_ptr<JobManager>> StartWithAWorker(store::MemoryStore* store) {
  auto jobs = JobManager::Start(store, {.new_lease_id = [] { return "lease"; }}, nullptr, SystemNow());
  if (!jobs.ok()) return jobs;
  RegisterRequest worker;
  worker.worker_id = worker.name = "w";
  worker.session = kSession;
  worker.devices = 1;
  if (const auto kept = (*jobs)->workers().Register(worker, SystemNow()); !kept.ok()) return kept.status();
  return jobs;
}

// Two questions of one worker are looked at, and the first is parked while the second still is: it is the first whose
// asker has given up.
TEST(LeaseDesk, OfTwoQuestionsThatAreLookedAtTheNewerOneStays) {
  store::MemoryStore store;
  auto jobs = StartWithAWorker(&store);
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  std::promise<void> first_may, second_may;
  std::atomic<int> looks = 0;
  std::atomic<bool> answered[2] = {false, false};
  LeaseDesk desk(&(*jobs)->dispatcher(), [&] {
    if (const int look = ++looks; look <= 2) (look == 1 ? first_may : second_may).get_future().wait();
    return SystemNow();
  });
  const auto ask = [&](int n) {
    auto question = std::make_shared<LeaseDesk::Question>();
    question->request = {.worker_id = "w", .session = kSession, .poll = static_cast<uint64_t>(n), .devices_free = 1};
    question->wait = std::chrono::milliseconds(kLong);
    question->answer = [&answered, n](const LeaseDesk::Grants&, std::chrono::milliseconds) { answered[n - 1] = true; };
    desk.Ask(question);
    while (looks < n) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  ask(1);
  ask(2);
  first_may.set_value();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it is parked now
  EXPECT_FALSE(answered[0]);
  second_may.set_value();
  for (int i = 0; i < 500 && !answered[0]; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(answered[0]);
  EXPECT_FALSE(answered[1]);
  desk.Close();
  EXPECT_TRUE(answered[1]);
}

// While the coordinator's disk is full: whatever changes meanwhile, a question that waits is looked at no more often.
TEST(LeaseDesk, WithoutRoomAQuestionWaitsUnlookedAtUntilThereIsRoom) {
  store::MemoryStore store;
  auto jobs = StartWithAWorker(&store);
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  (*jobs)->dispatcher().SetRoom(false);
  std::atomic<int> looks = 0;
  std::promise<size_t> grants;
  LeaseDesk desk(&(*jobs)->dispatcher(), [&] {
    ++looks;
    return SystemNow();
  });
  auto question = std::make_shared<LeaseDesk::Question>();
  question->request = {.worker_id = "w", .session = kSession, .poll = 1, .devices_free = 1};
  question->wait = std::chrono::milliseconds(kLong);
  question->answer = [&](const LeaseDesk::Grants& answer, std::chrono::milliseconds) {
    grants.set_value(answer.ok() ? answer->size() : 0);
  };
  desk.Ask(question);
  for (int i = 0; i < 500 && looks == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // it is parked now
  std::future<size_t> answered = grants.get_future();
  for (int n = 0; n < 5; ++n) {
    SubmitRequest sweep;
    sweep.sweep = "s" + std::to_string(n);
    sweep.jobs.push_back({.id = std::string(31, 'a') + std::to_string(n), .config_json = "{}"});
    ASSERT_TRUE((*jobs)->clients().Submit(sweep, SystemNow()).ok());
    EXPECT_EQ(answered.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  }
  EXPECT_EQ(looks, 1);
  (*jobs)->dispatcher().SetRoom(true);
  ASSERT_EQ(answered.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(answered.get(), 1u);
}

}  // namespace
}  // namespace sink
