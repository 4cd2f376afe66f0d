// Which changes a topic is told, and how many at once.
#include "coordinator/web/changed_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace sink::web {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

void Publish(ChangeFeed& feed, std::vector<std::string> jobs, std::vector<std::string> sweeps = {}) {
  store::Changes changes;
  changes.jobs = std::move(jobs);
  changes.sweeps = std::move(sweeps);
  feed.Publish(changes);
}

TEST(ChangedJobs, TellsThoseThatAreWatchedOnceEach) {
  ChangeFeed feed;
  ChangedJobs changed(&feed);
  changed.Watch("a");
  changed.Watch("b");
  Publish(feed, {"b", "x", "a", "b"}, {"study"});
  const ChangedJobs::News news = changed.Next();
  EXPECT_THAT(news.jobs, ElementsAre("b", "a"));
  EXPECT_TRUE(news.HasSweep("study"));
  EXPECT_FALSE(news.more);
  EXPECT_THAT(changed.Next().jobs, IsEmpty());
}

TEST(ChangedJobs, OfManyTheFirstComeFirstAndTheOthersNextTime) {
  ChangeFeed feed;
  ChangedJobs changed(&feed);
  changed.WatchAll();
  std::vector<std::string> ids;
  for (size_t i = 0; i < ChangedJobs::kAtOnce + 10; ++i) ids.push_back(absl::StrCat("job", i));
  Publish(feed, ids);
  ChangedJobs::News news = changed.Next();
  EXPECT_EQ(news.jobs.size(), ChangedJobs::kAtOnce);
  EXPECT_EQ(news.jobs.front(), "job0");
  EXPECT_TRUE(news.more);
  Publish(feed, {"job0", ids.back()});  // one that was told, and one that waits
  news = changed.Next();
  EXPECT_EQ(news.jobs.size(), 11u);
  EXPECT_EQ(news.jobs.back(), "job0");
  EXPECT_FALSE(news.more);
}

TEST(ChangedJobs, WhenMoreHappenedThanIsRememberedAnythingMayHaveChanged) {
  ChangeFeed feed(/*remembered=*/2);
  ChangedJobs changed(&feed);
  changed.WatchAll();
  Publish(feed, {"a", "b", "c"});
  const ChangedJobs::News news = changed.Next();
  EXPECT_TRUE(news.unknown);
  EXPECT_THAT(news.jobs, IsEmpty());
}

}  // namespace
}  // namespace sink::web
