// What pages are told when the coordinator's disk has become full: no rates and no ends any more, and why.
#include <nlohmann/json.hpp>

#include "coordinator/service/disk_watch.h"
#include "coordinator/web/topics.h"
#include "tests/coordinator/core/fixture.h"

namespace sink::web {
namespace {

using nlohmann::json;
using ::testing::StartsWith;

constexpr char kFull[] = "the coordinator's disk is full";

// A job that runs, whose topic is watched since before anybody has looked at the disk.
class FullDiskTest : public ManagerTest {
 protected:
  FullDiskTest() {
    Submit({1});
    Register();
    const Lease lease = Start(1);
    Advance(50'000);
    EXPECT_TRUE(manager->workers().Report("w", lease, {Progress(2, 50)}, now).ok());
  }

  json Watch(const std::string& name) {
    topic_ = MakeTopic({.queries = &manager->queries(), .disk = &disk_, .now = [this] { return now; }}, name);
    if (topic_ == nullptr) return nullptr;
    const auto whole = topic_->Whole();
    EXPECT_TRUE(whole.ok()) << whole.status();
    EXPECT_TRUE(topic_->Changes().ok());
    return json::parse(whole.value_or("null"));
  }
  // What comes next, though nothing is written.
  json ToldOnceItIsFull() {
    disk_.Look(0);
    Advance(10'000);  // a job is looked at again from time to time
    const auto change = topic_->Changes();
    EXPECT_TRUE(change.ok()) << change.status();
    return change.ok() && !change->json.empty() ? json::parse(change->json) : json();
  }
  static void ExpectNoPace(const json& totals) {
    for (const char* field : {"eta_seconds", "eta_seconds_least", "eta_seconds_most", "tokens_per_second"}) {
      EXPECT_TRUE(totals.at(field).is_null()) << field;
    }
  }

 private:
  DiskWatch disk_{"/", uint64_t{1} << 60};  // more than any disk has
  std::unique_ptr<Topic> topic_;
};

TEST_F(FullDiskTest, TheFirstPageForgetsHowFastEverySweepWas) {
  const json before = Watch("overview");
  ASSERT_EQ(before["sweeps"].size(), 1u);
  EXPECT_EQ(before["sweeps"][0]["totals"]["tokens_per_second"], 1);
  EXPECT_EQ(before["sweeps"][0]["totals"]["eta_seconds"], 50);
  const json full = ToldOnceItIsFull();
  ASSERT_EQ(full["sweeps"].size(), 1u);
  ExpectNoPace(full["sweeps"][0]["totals"]);
  EXPECT_THAT(full["warning"].get<std::string>(), StartsWith(kFull));
}

TEST_F(FullDiskTest, ASweepForgetsHowFastItWas) {
  const json before = Watch("sweep/s");
  EXPECT_EQ(before["totals"]["tokens_per_second"], 1);
  EXPECT_EQ(before["totals"]["eta_seconds"], 50);
  const json full = ToldOnceItIsFull();
  ASSERT_TRUE(full.contains("totals"));
  ExpectNoPace(full["totals"]);
  EXPECT_THAT(full["warning"].get<std::string>(), StartsWith(kFull));
}

TEST_F(FullDiskTest, AJobSaysSoAndWhy) {
  const json before = Watch("job/" + Id(1));
  EXPECT_FALSE(before["details"].value("disk_full", false));
  const json full = ToldOnceItIsFull();
  ASSERT_TRUE(full.contains("details"));
  EXPECT_TRUE(full["details"].value("disk_full", false));
  EXPECT_THAT(full["why"]["reasons"].at(0).get<std::string>(), StartsWith(kFull));
}

}  // namespace
}  // namespace sink::web
