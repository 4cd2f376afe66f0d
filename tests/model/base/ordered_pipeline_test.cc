// The ordered pipeline: order, bound, and what becomes of exceptions in each stage, with threads that a test holds back
// instead of hoping for an interleaving.
#include "model/base/ordered_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

namespace sink {
namespace {

using ::testing::ElementsAre;

// A line that threads cross together: each waits until `count` have come.
class Meeting {
 public:
  explicit Meeting(int count) : missing_(count) {}
  void Come() {
    std::unique_lock lock(mutex_);
    if (--missing_ == 0) all_here_.notify_all();
    all_here_.wait(lock, [this] { return missing_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  int missing_;
};

// A pipeline over the numbers below `count`, which takes them into a list.
class OrderedPipelineTest : public ::testing::Test {
 protected:
  std::optional<int> Next() { return next_ < count_ ? std::optional(next_++) : std::nullopt; }

  void Run(int threads, std::function<void(int thread, int& item)> work) {
    OrderedPipeline<int>({.read = [this] { return Next(); },
                          .work = std::move(work),
                          .take = [this](int& item) { taken_.push_back(item); }})
        .Run(threads);
  }

  // What Run() throws, empty when it does not.
  template <typename Body>
  static std::string ErrorOf(const Body& body) {
    try {
      body();
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "";
  }

  int count_ = 0, next_ = 0;
  std::vector<int> taken_;
};

TEST_F(OrderedPipelineTest, AllThreadsWorkAtOnceAndResultsKeepTheOrder) {
  count_ = 4;
  Meeting workers(4);
  Run(4, [&](int, int& item) {
    workers.Come();  // nobody goes on before all four are at work
    item *= 10;
  });
  EXPECT_THAT(taken_, ElementsAre(0, 10, 20, 30));
}

TEST_F(OrderedPipelineTest, FirstItemMayBeTheLastToBeReady) {
  count_ = 3;
  std::atomic<int> ready = 0;
  Run(3, [&](int, int& item) {
    if (item == 0)
      while (ready < 2) std::this_thread::yield();
    ++ready;
  });
  EXPECT_THAT(taken_, ElementsAre(0, 1, 2));
}

TEST_F(OrderedPipelineTest, EveryItemIsTakenOnceWhateverTheThreads) {
  for (const int threads : {1, 2, 3, 7}) {
    count_ = 500;
    next_ = 0;
    taken_.clear();
    Run(threads, [](int, int&) {});
    std::vector<int> all(500);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(taken_, all) << threads;
  }
}

TEST_F(OrderedPipelineTest, OneThreadIsTheCallersAndNothingToReadIsNoError) {
  Run(3, [](int, int&) { FAIL(); });
  EXPECT_TRUE(taken_.empty());
  count_ = 2;
  std::set<std::thread::id> threads;
  Run(1, [&](int thread, int&) {
    EXPECT_EQ(thread, 0);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_THAT(threads, ElementsAre(std::this_thread::get_id()));
}

TEST_F(OrderedPipelineTest, EachThreadWorksUnderItsOwnNumber) {
  count_ = 300;
  std::vector<std::atomic<int>> busy(3);
  Run(3, [&](int thread, int&) {
    EXPECT_EQ(busy.at(static_cast<size_t>(thread))++, 0) << "a thread's own tools are used by one item at a time";
    std::this_thread::yield();
    --busy[static_cast<size_t>(thread)];
  });
}

TEST_F(OrderedPipelineTest, HoldsNoMoreItemsThanThreads) {
  count_ = 200;
  std::atomic<int> held = 0, most = 0;
  OrderedPipeline<int>({.read =
                            [&] {
                              const std::optional<int> item = Next();
                              if (item) most = std::max<int>(most, ++held);
                              return item;
                            },
                        .work = [](int, int&) { std::this_thread::yield(); },
                        .take = [&](int&) { --held; }})
      .Run(3);
  EXPECT_LE(most, 3);
}

// Every stage, every place, every number of threads: what came before is taken, nothing behind, and nobody hangs.
TEST_F(OrderedPipelineTest, AnExceptionOfAnyStageEndsItAtItsPlace) {
  for (const char* stage : {"read", "work", "take"})
    for (int place = 0; place < 6; ++place)
      for (int threads = 1; threads <= 4; ++threads) {
        int next = 0;
        std::vector<int> taken;
        const auto fail_at = [&](const char* name, int item) {
          if (name == std::string(stage) && item == place) throw std::runtime_error(stage);
        };
        OrderedPipeline<int> pipeline({.read =
                                           [&] {
                                             fail_at("read", next);
                                             return next < 6 ? std::optional(next++) : std::nullopt;
                                           },
                                       .work = [&](int, int& item) { fail_at("work", item); },
                                       .take =
                                           [&](int& item) {
                                             fail_at("take", item);
                                             taken.push_back(item);
                                           }});
        EXPECT_EQ(ErrorOf([&] { pipeline.Run(threads); }), stage) << place << " " << threads;
        std::vector<int> before(static_cast<size_t>(place));
        std::iota(before.begin(), before.end(), 0);
        EXPECT_EQ(taken, before) << stage << " " << threads;
      }
}

TEST_F(OrderedPipelineTest, OfSeveralExceptionsTheFirstInOrderIsThrown) {
  count_ = 4;
  std::atomic<bool> later_failed = false;
  const std::string error = ErrorOf([&] {
    Run(4, [&](int, int& item) {
      if (item == 3) {
        later_failed = true;
        throw std::runtime_error("the later");
      }
      if (item == 1) {
        while (!later_failed) std::this_thread::yield();
        throw std::runtime_error("the earlier");
      }
    });
  });
  EXPECT_EQ(error, "the earlier");
  EXPECT_THAT(taken_, ElementsAre(0));
}

TEST_F(OrderedPipelineTest, WhatIsReadBehindAnExceptionOfReadingIsNothing) {
  int reads = 0;
  OrderedPipeline<int> pipeline({.read = [&]() -> std::optional<int> {
                                   ++reads;
                                   throw std::runtime_error("gone");
                                 },
                                 .work = [](int, int&) { FAIL(); },
                                 .take = [](int&) { FAIL(); }});
  EXPECT_EQ(ErrorOf([&] { pipeline.Run(4); }), "gone");
  EXPECT_EQ(reads, 1);
}

}  // namespace
}  // namespace sink
