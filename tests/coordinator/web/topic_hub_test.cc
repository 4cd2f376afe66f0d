// One thread renders for all watchers: who gets which frame, in which order.
#include "coordinator/web/topic_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <atomic>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"

namespace sink::web {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr milliseconds kSoon{5000}, kNever{150};

// A counter: its whole is the value, each change is the new one.
struct Source {
  std::atomic<int> value = 0, wholes = 0, looks = 0;
  std::atomic<bool> lost = false, again = false;
  std::atomic<int> behind = 0;   // so many looks are not the last one
  std::atomic<int> busy_ms = 0;  // what a look takes of a processor
};

void Work(milliseconds time) {
  const auto now = [] {
    timespec worked = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
    return std::chrono::seconds(worked.tv_sec) + std::chrono::nanoseconds(worked.tv_nsec);
  };
  for (const auto end = now() + time; now() < end;) {
  }
}

class CounterTopic final : public Topic {
 public:
  explicit CounterTopic(Source* source) : source_(source) {}
  absl::StatusOr<std::string> Whole() override {
    ++source_->wholes;
    if (source_->lost) return absl::NotFoundError("it is \"gone\"");
    if (!begun_) told_ = source_->value;
    begun_ = true;
    return absl::StrCat(source_->value.load());
  }
  absl::StatusOr<Change> Changes() override {
    ++source_->looks;
    if (source_->lost) return absl::NotFoundError("it is \"gone\"");
    Work(milliseconds(source_->busy_ms));
    const bool behind = source_->behind > 0 && source_->behind-- > 0;
    const int value = source_->value;
    if (value == told_) return Change{.behind = behind};
    told_ = value;
    return Change{.whole = source_->again, .json = absl::StrCat(value), .behind = behind};
  }

 private:
  Source* const source_;
  int told_ = 0;
  bool begun_ = false;
};

class TopicHubTest : public ::testing::Test {
 protected:
  void Set(int value) {
    source_.value = value;
    changed_.Bump();
  }
  static std::string Text(const std::vector<Frame>& frames) {
    std::string text;
    for (const Frame& frame : frames) text += *frame;
    return text;
  }
  std::unique_ptr<TopicHub::Watch> Open(std::vector<std::string> topics = {"a"}) {
    auto watch = hub_.Subscribe(std::move(topics));
    EXPECT_TRUE(watch.ok()) << watch.status();
    return watch.ok() ? std::move(*watch) : nullptr;
  }

  Source source_;
  ChangeSignal changed_;
  TopicHub hub_{
      [this](const std::string& name) { return name.size() == 1 ? std::make_unique<CounterTopic>(&source_) : nullptr; },
      &changed_, milliseconds(20)};
};

TEST_F(TopicHubTest, AWatcherGetsTheWholeAndThenWhatIsNew) {
  source_.value = 7;
  const auto watch = Open();
  EXPECT_EQ(Text(watch->Next(kSoon)), "event: whole\ndata: {\"topic\":\"a\",\"data\":7}\n\n");
  EXPECT_THAT(watch->Next(kNever), IsEmpty());
  Set(8);
  EXPECT_EQ(Text(watch->Next(kSoon)), "event: change\ndata: {\"topic\":\"a\",\"data\":8}\n\n");
}

TEST_F(TopicHubTest, AllWatchersOfATopicShareOneRendering) {
  std::vector<std::unique_ptr<TopicHub::Watch>> watches;
  for (int i = 0; i < 200; ++i) watches.push_back(Open());
  std::vector<Frame> first;
  for (const auto& watch : watches) {
    const auto frames = watch->Next(kSoon);
    ASSERT_EQ(frames.size(), 1u);
    first.push_back(frames[0]);
  }
  Set(1);
  for (const auto& watch : watches) {
    const auto frames = watch->Next(kSoon);
    ASSERT_EQ(frames.size(), 1u);
    EXPECT_EQ(frames[0], watches[0] == watch ? frames[0] : first.back());
    first.back() = frames[0];
  }
  EXPECT_LE(source_.wholes, 3);
}

TEST_F(TopicHubTest, WithoutAChangeNothingIsLookedAt) {
  const auto watch = Open();
  ASSERT_FALSE(watch->Next(kSoon).empty());
  std::this_thread::sleep_for(milliseconds(100));
  const int looks = source_.looks;
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(source_.looks, looks);
}

TEST_F(TopicHubTest, ATopicWithMoreToTellIsAskedAgainThoughNothingChanges) {
  const auto watch = Open();
  ASSERT_FALSE(watch->Next(kSoon).empty());
  const int looks = source_.looks;
  source_.behind = 3;
  Set(1);
  const auto until = std::chrono::steady_clock::now() + kSoon;
  while (source_.looks < looks + 4 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(milliseconds(5));
  EXPECT_GE(source_.looks, looks + 4);
}

TEST_F(TopicHubTest, WhatTakesLongToRenderIsRenderedLessOften) {
  const auto watch = Open();
  ASSERT_FALSE(watch->Next(kSoon).empty());
  source_.busy_ms = 20;
  const auto begin = std::chrono::steady_clock::now();
  const int before = source_.looks;
  for (int i = 1; i <= 60; ++i) {
    Set(i);
    std::this_thread::sleep_for(milliseconds(20));
  }
  const int looks = source_.looks - before;
  source_.busy_ms = 0;
  // One in 480 ms, but for the first and one that has begun.
  EXPECT_LE((looks - 2) * milliseconds(480), std::chrono::steady_clock::now() - begin);
}

TEST_F(TopicHubTest, WhoFallsBehindGetsTheWholeAgain) {
  const auto slow = Open(), quick = Open();
  ASSERT_FALSE(slow->Next(kSoon).empty());
  ASSERT_FALSE(quick->Next(kSoon).empty());
  for (int i = 1; i <= 40; ++i) {
    Set(i);
    ASSERT_FALSE(quick->Next(kSoon).empty()) << i;
  }
  const std::string text = Text(slow->Next(kSoon));
  EXPECT_THAT(text, HasSubstr("event: whole\n"));
  EXPECT_THAT(text, HasSubstr("\"data\":40}"));
}

TEST_F(TopicHubTest, WhatTimeAloneBringsIsToldThoughNothingWasWritten) {
  TopicHub hub([this](const std::string&) { return std::make_unique<CounterTopic>(&source_); }, &changed_,
               milliseconds(20), /*unasked=*/milliseconds(100));
  const auto watch = *hub.Subscribe({"a"});
  ASSERT_FALSE(watch->Next(kSoon).empty());
  source_.value = 8;
  EXPECT_THAT(Text(watch->Next(kSoon)), HasSubstr("\"data\":8}"));
}

TEST_F(TopicHubTest, AChangeMayTakeThePlaceOfEverything) {
  const auto watch = Open();
  ASSERT_FALSE(watch->Next(kSoon).empty());
  source_.again = true;
  Set(5);
  EXPECT_EQ(Text(watch->Next(kSoon)), "event: whole\ndata: {\"topic\":\"a\",\"data\":5}\n\n");
}

TEST_F(TopicHubTest, ATopicThatIsGoneSaysWhyOnce) {
  source_.lost = true;
  const auto watch = Open();
  EXPECT_EQ(Text(watch->Next(kSoon)), "event: gone\ndata: {\"topic\":\"a\",\"message\":\"it is \\\"gone\\\"\"}\n\n");
  changed_.Bump();
  EXPECT_THAT(watch->Next(kNever), IsEmpty());
}

TEST_F(TopicHubTest, SeveralTopicsComeOverOneWatch) {
  const auto watch = Open({"b", "a", "b"});
  std::string text;
  while (text.find("\"a\"") == std::string::npos || text.find("\"b\"") == std::string::npos) {
    const auto frames = watch->Next(kSoon);
    ASSERT_FALSE(frames.empty());
    text += Text(frames);
  }
}

TEST_F(TopicHubTest, NamesWithoutATopicAndTooManyAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(hub_.Subscribe({"nosuch"}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(hub_.Subscribe({}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(hub_.Subscribe({"1", "2", "3", "4", "5", "6", "7", "8", "9"}).status()));
}

TEST_F(TopicHubTest, WhatIsRefusedLeavesNothingThatTakesAPlace) {
  TopicHub hub(
      [this](const std::string& name) { return name == "nosuch" ? nullptr : std::make_unique<CounterTopic>(&source_); },
      &changed_, milliseconds(20));
  for (int i = 0; i < 300; ++i) {
    EXPECT_TRUE(absl::IsInvalidArgument(hub.Subscribe({absl::StrCat("a", i), "nosuch"}).status())) << i;
  }
  EXPECT_TRUE(hub.Subscribe({"a"}).ok());
}

TEST_F(TopicHubTest, ClosingEndsEveryWait) {
  const auto watch = Open();
  ASSERT_FALSE(watch->Next(kSoon).empty());
  std::thread closer([this] {
    std::this_thread::sleep_for(milliseconds(50));
    hub_.Close();
  });
  EXPECT_THAT(watch->Next(milliseconds(60'000)), IsEmpty());
  EXPECT_TRUE(hub_.closed());
  closer.join();
}

}  // namespace
}  // namespace sink::web
