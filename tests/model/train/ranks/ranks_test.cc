// Several sink-trainer processes that train one job together: they compute what one process computes, they end together
// and say who failed, and what they save does not tell how many they were.
#include "model/train/ranks/ranks.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "proto/pipe/other_rank.h"
#include "tests/model/train/helpers/tiny_job.h"
#include "tests/model/train/helpers/trainer_child.h"
#include "tests/testing/test_files.h"
#include "tests/testing/unused_port.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr double kTolerance = 1e-5;

// The job of most tests: 8 sequences a step, which 1, 2 or 4 ranks can share out.
class RanksJob : public TinyJob {
 public:
  RanksJob() {
    config.train.max_steps = 50;
    config.train.global_batch_size = 8;
    config.train.micro_batch_size = 2;
    config.train.learning_rate = 2e-3;
    config.data.random_tokens_start = 3;
    config.data.random_tokens_end = 5;
  }
};

// The processes of one run. Rank 0 works in the folder `name`, the others in folders of their own; with `others`, on
// that job's data.
class Gang {
 public:
  Gang(const TinyJob& job, const std::string& name, int size, std::map<std::string, std::string> extra = {},
       const TinyJob* others = nullptr) {
    const std::string meeting = "127.0.0.1:" + std::to_string(testing::UnusedPort());
    for (int rank = 0; rank < size; ++rank) {
      const TinyJob& own = rank > 0 && others != nullptr ? *others : job;
      folders_.push_back(own.MakeRun(name + (rank == 0 ? "" : "-rank" + std::to_string(rank))));
      std::map<std::string, std::string> environment = {{"SINK_RANK", std::to_string(rank)},
                                                        {"SINK_WORLD_SIZE", std::to_string(size)},
                                                        {"SINK_RENDEZVOUS", meeting},
                                                        {"SINK_RENDEZVOUS_TOKEN", "token-of-" + name},
                                                        {"SINK_COLLECTIVE_TIMEOUT_S", "60"}};
      for (const auto& [variable, value] : extra) environment[variable] = value;
      const std::vector<std::string> arguments = {folders_.back().string()};
      ranks_.push_back(std::make_unique<Child>(arguments, true, std::vector<Limit>{}, environment));
    }
  }

  Child& operator[](int rank) { return *ranks_[static_cast<size_t>(rank)]; }
  const fs::path& folder() const { return folders_[0]; }

  // The exit codes of all.
  std::vector<int> Wait() {
    std::vector<int> codes;
    for (const auto& child : ranks_) codes.push_back(child->Wait());
    return codes;
  }

  std::string errors() const {
    std::string text;
    for (const auto& child : ranks_) text += child->error_text();
    return text;
  }

 private:
  std::vector<fs::path> folders_;
  std::vector<std::unique_ptr<Child>> ranks_;
};

// Losses, norms and losses on held-out text agree to rounding; what follows from counts is equal.
void ExpectClose(const std::vector<pipe::Event>& a, const std::vector<pipe::Event>& b, const std::string& what) {
  const auto left = Points(a), right = Points(b);
  ASSERT_EQ(left.size(), right.size()) << what;
  double worst = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    ASSERT_EQ(left[i].first, right[i].first);
    if (left[i].first.find("loss") == std::string::npos) continue;
    worst = std::max(worst, std::abs(left[i].second - right[i].second));
  }
  EXPECT_LT(worst, kTolerance) << what;
  std::printf("%s: losses agree to %.1e\n", what.c_str(), worst);
}

std::vector<pipe::Event> TrainAlone(const TinyJob& job, const std::string& name) {
  std::vector<pipe::Event> events;
  EXPECT_EQ(job.Train(job.MakeRun(name), events), RunOutcome::kFinished);
  return events;
}

TEST(RanksOfOneJob, HaveTheLossesOfOne) {
  const RanksJob job;
  const std::vector<pipe::Event> one = TrainAlone(job, "one");
  for (const int size : {1, 2, 4}) {
    Gang gang(job, "gang" + std::to_string(size), size);
    ASSERT_THAT(gang.Wait(), Each(pipe::kExitFinished)) << gang.errors();
    ExpectClose(gang[0].records(), one, std::to_string(size) + " ranks");
    for (int rank = 1; rank < size; ++rank) {
      const std::vector<pipe::Event>& records = gang[rank].records();
      EXPECT_TRUE(std::holds_alternative<pipe::Hello>(records.front()));
      EXPECT_TRUE(std::holds_alternative<pipe::Finished>(records.back()));
      for (const pipe::Event& record : records)
        EXPECT_FALSE(std::holds_alternative<pipe::Metrics>(record) || std::holds_alternative<pipe::Heatmap>(record) ||
                     std::holds_alternative<pipe::Checkpoint>(record));
    }
  }
}

TEST(RanksOfOneJob, MayShareTheOptimizerWithoutATrace) {
  for (const OptimizerKind optimizer : {OptimizerKind::kAdamw, OptimizerKind::kMuon}) {
    RanksJob job;
    job.config.train.optimizer = optimizer;
    const std::string name(NameOf(optimizer));
    Gang plain(job, name + "-plain", 4);
    ASSERT_THAT(plain.Wait(), Each(pipe::kExitFinished)) << plain.errors();
    job.config.train.shard_optimizer = true;
    Gang sharded(job, name + "-sharded", 4);
    ASSERT_THAT(sharded.Wait(), Each(pipe::kExitFinished)) << sharded.errors();
    for (const char* file : {"model.safetensors", "optimizer.state"})
      ExpectSameBytes(CheckpointPath(plain.folder(), 50) / file, CheckpointPath(sharded.folder(), 50) / file);
  }
}

TEST(RanksOfOneJob, StopTogetherAndGoOnInAnyNumber) {
  RanksJob job;
  job.config.train.shard_optimizer = true;
  const std::vector<pipe::Event> one = TrainAlone(job, "one");
  Gang undisturbed(job, "undisturbed", 4);
  ASSERT_THAT(undisturbed.Wait(), Each(pipe::kExitFinished)) << undisturbed.errors();

  for (const int size : {4, 2, 1}) {
    const std::string name = "stopped" + std::to_string(size);
    std::vector<pipe::Event> records;
    {
      Gang gang(job, name, 4);
      while (gang[0].WaitFor<pipe::Metrics>() && std::get<pipe::Metrics>(gang[0].Take()).step < 5) {
      }
      gang[3].Command("stop\n");
      ASSERT_THAT(gang.Wait(), Each(pipe::kExitStopped)) << gang.errors();
      records = gang[0].records();
    }
    Gang rest(job, name, size);
    ASSERT_THAT(rest.Wait(), Each(pipe::kExitFinished)) << rest.errors();
    const int64_t start = std::get<pipe::Hello>(rest[0].records().front()).start_step;
    EXPECT_GT(start, 4);
    EXPECT_LT(start, 50);
    for (int rank = 1; rank < size; ++rank)
      EXPECT_EQ(std::get<pipe::Hello>(rest[rank].records().front()).start_step, start);
    records.insert(records.end(), rest[0].records().begin(), rest[0].records().end());
    ExpectClose(records, one, "from 4 to " + std::to_string(size) + " ranks");
    if (size == 4) {
      EXPECT_EQ(Points(records), Points(undisturbed[0].records()));
      ExpectSameEnd(job, rest.folder(), undisturbed.folder());
    }
  }
}

TEST(RanksOfOneJob, OneThatIsKilledIsNamedByTheOthers) {
  RanksJob job;
  job.config.checkpoint.every = 5;
  Gang undisturbed(job, "undisturbed", 4);
  ASSERT_THAT(undisturbed.Wait(), Each(pipe::kExitFinished)) << undisturbed.errors();
  for (const int victim : {0, 1, 3}) {
    const std::string name = "killed" + std::to_string(victim);
    {
      Gang gang(job, name, 4);
      ASSERT_TRUE(gang[0].WaitFor<pipe::Checkpoint>());
      gang[victim].Signal(SIGKILL);
      const auto start = std::chrono::steady_clock::now();
      const std::vector<int> codes = gang.Wait();
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::printf("rank %d killed: all had ended after %.1f s\n", victim, seconds);
      EXPECT_LT(seconds, 30);
      for (int rank = 0; rank < 4; ++rank) {
        EXPECT_EQ(codes[static_cast<size_t>(rank)], rank == victim ? -SIGKILL : pipe::kExitInfra);
        if (rank == victim) continue;
        const pipe::Failed failed = FailureOf(gang[rank]);
        EXPECT_EQ(failed.failure_class, pipe::FailureClass::kInfra);
        EXPECT_THAT(failed.message, HasSubstr("rank " + std::to_string(victim) + " of 4 failed"));
        EXPECT_TRUE(pipe::IsOfAnotherRank(failed.message)) << failed.message;
      }
    }
    Gang again(job, name, 4);
    ASSERT_THAT(again.Wait(), Each(pipe::kExitFinished)) << again.errors();
    ExpectSameEnd(job, again.folder(), undisturbed.folder());
  }
}

TEST(RanksOfOneJob, OneThatHangsIsNamedWhenTheTimeIsUp) {
  RanksJob job;
  job.config.train.max_steps = 1'000'000;
  Gang gang(job, "run", 2, {{"SINK_COLLECTIVE_TIMEOUT_S", "10"}});
  ASSERT_TRUE(gang[0].WaitFor<pipe::Metrics>());
  gang[1].Signal(SIGSTOP);
  EXPECT_EQ(gang[0].Wait(), pipe::kExitInfra);
  EXPECT_THAT(FailureOf(gang[0]).message, HasSubstr("rank 1 of 2 failed: no sign of life"));
}

// A job of 150 steps that rolls back on its way.
class NoisyJob : public RanksJob {
 public:
  NoisyJob() {
    AddNoise();
    config.train.max_steps = 150;
    config.train.learning_rate = 1e-2;
    config.train.on_divergence = DivergencePolicy::kRollBack;
    config.train.loss_spike_factor = 1.2;
    config.train.max_roll_backs = 100;
  }
};

TEST(RanksOfOneJob, DivergeAndRollBackTogether) {
  const NoisyJob job;
  const std::vector<pipe::Event> one = TrainAlone(job, "one");
  Gang gang(job, "gang", 2);
  ASSERT_THAT(gang.Wait(), Each(pipe::kExitFinished)) << gang.errors();
  const auto roll_backs = [](const std::vector<pipe::Event>& events) {
    return std::count_if(events.begin(), events.end(), [](const pipe::Event& event) {
      const auto* log = std::get_if<pipe::Log>(&event);
      return log != nullptr && log->message.starts_with("rolled back");
    });
  };
  EXPECT_GT(roll_backs(one), 0);
  EXPECT_EQ(roll_backs(gang[0].records()), roll_backs(one));
  EXPECT_EQ(roll_backs(gang[1].records()), roll_backs(one));
}

// Whether the trainer says twice, one after the other, that it is where it was.
bool WaitsAndSaysSo(Child& child) {
  for (pipe::Progress last{.step = -1}; child.WaitFor<pipe::Progress>();) {
    const auto now = std::get<pipe::Progress>(child.Take());
    if (now.step == last.step && now.tokens == last.tokens) return true;
    last = now;
  }
  return false;
}

// Rank 0 finds a checkpoint when it rolls back whose manifest it cannot read to its end for the time being.
TEST(RanksOfOneJob, ThatWaitForRankZeroToRollBackShowThatTheyLive) {
  NoisyJob job;
  job.config.train.log_every = job.config.eval.every = 1000;  // rank 0's records fit its pipe, which is read at the end
  const fs::path folder = job.folder() / "slow", damaged = job.folder() / "damaged";
  fs::create_directory(folder);
  testing::WriteFile(damaged, "x");
  ASSERT_EQ(mkfifo((folder / "manifest.json").c_str(), 0600), 0);
  const int manifest = open((folder / "manifest.json").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(manifest, 0);
  Gang gang(job, "gang", 2);
  ASSERT_TRUE(gang[0].WaitFor<pipe::Hello>());
  const fs::path newest = CheckpointPath(gang.folder(), 149);
  fs::rename(folder, newest);

  std::promise<void> seen;
  std::future<void> disk = std::async(std::launch::async, [&] {
    seen.get_future().wait_for(std::chrono::seconds(30));
    fs::rename(damaged, newest / "manifest.json");
    EXPECT_EQ(write(manifest, "x", 1), 1);
    close(manifest);
  });
  EXPECT_TRUE(WaitsAndSaysSo(gang[1]));
  seen.set_value();
  EXPECT_THAT(gang.Wait(), Each(pipe::kExitFinished)) << gang.errors();
  disk.get();
  EXPECT_TRUE(fs::exists(newest.string() + ".corrupt-1")) << "nothing was rolled back";
}

// With many ids the first and the last of the four have no matrix of Muon's.
TEST(RanksOfOneJob, ThatShareMuonDivergeTogether) {
  RanksJob job;
  job.config.model.vocab_size = 4096;
  job.config.train.optimizer = OptimizerKind::kMuon;
  job.config.train.shard_optimizer = true;
  job.config.train.learning_rate = 100;
  job.config.train.min_learning_rate.reset();
  job.config.train.muon_learning_rate = 100;
  job.config.train.weight_decay = 100;
  Gang gang(job, "run", 4);
  EXPECT_THAT(gang.Wait(), Each(pipe::kExitNan)) << gang.errors();
}

TEST(RanksOfOneJob, ThatHaveOtherDataAreRefused) {
  const RanksJob job;
  const RanksJob other;
  other.AddNoise();
  Gang gang(job, "run", 2, {}, &other);
  EXPECT_THAT(gang.Wait(), Each(pipe::kExitInfra));
  EXPECT_THAT(FailureOf(gang[1]).message, HasSubstr("data set tiny holds something else on rank 1 than on rank 0"));
  EXPECT_THAT(FailureOf(gang[0]).message, HasSubstr("rank 1 of 2 failed"));
  EXPECT_FALSE(pipe::IsOfAnotherRank(FailureOf(gang[1]).message)) << "its own copy is another one";
  EXPECT_TRUE(pipe::IsOfAnotherRank(FailureOf(gang[0]).message));
}

// One rank of two, by itself.
std::unique_ptr<Child> StartOfTwo(const TinyJob& job, int rank, int port, const std::string& token,
                                  const std::string& patience = "60", const std::string& collective = "5") {
  return std::make_unique<Child>(
      std::vector<std::string>{job.MakeRun("rank" + std::to_string(rank)).string()}, true, std::vector<Limit>{},
      std::map<std::string, std::string>{{"SINK_RANK", std::to_string(rank)},
                                         {"SINK_WORLD_SIZE", "2"},
                                         {"SINK_RENDEZVOUS", "127.0.0.1:" + std::to_string(port)},
                                         {"SINK_RENDEZVOUS_TOKEN", token},
                                         {"SINK_COLLECTIVE_TIMEOUT_S", collective},
                                         {"SINK_RENDEZVOUS_TIMEOUT_S", patience}});
}

TEST(RanksOfOneJob, WaitForARankZeroThatIsLate) {
  const RanksJob job;
  const int port = testing::UnusedPort();
  const auto other = StartOfTwo(job, 1, port, "token", "60", "10");
  std::this_thread::sleep_for(std::chrono::seconds(12));  // longer than a collective may take
  const auto first = StartOfTwo(job, 0, port, "token", "60", "10");
  EXPECT_EQ(first->Wait(), pipe::kExitFinished) << first->error_text();
  EXPECT_EQ(other->Wait(), pipe::kExitFinished) << other->error_text();
  // Meanwhile its worker has seen that it lives.
  ASSERT_FALSE(other->records().empty());
  const auto* sign = std::get_if<pipe::Log>(&other->records().front());
  ASSERT_NE(sign, nullptr);
  EXPECT_THAT(sign->message, HasSubstr("rank 1 of 2 waits for rank 0 at 127.0.0.1:"));
}

TEST(RanksOfOneJob, OneThatWaitsObeysAStopAtOnce) {
  const RanksJob job;
  const auto waiting = StartOfTwo(job, 1, testing::UnusedPort(), "token");
  waiting->Command("stop\n");
  EXPECT_EQ(waiting->Wait(), pipe::kExitStopped) << waiting->error_text();
  EXPECT_TRUE(waiting->records().empty());
}

TEST(RanksOfOneJob, ARankZeroThatNeverListensIsNamed) {
  const RanksJob job;
  const auto waiting = StartOfTwo(job, 1, testing::UnusedPort(), "token", "1");
  EXPECT_EQ(waiting->Wait(), pipe::kExitInfra);
  EXPECT_THAT(FailureOf(*waiting).message, HasSubstr("rank 0 of 2 does not answer at SINK_RENDEZVOUS=127.0.0.1:"));
}

TEST(RanksOfOneJob, OfDifferentRunsNeverMeet) {
  const RanksJob job;
  const int port = testing::UnusedPort();
  const std::unique_ptr<Child> ranks[] = {StartOfTwo(job, 0, port, "token0"), StartOfTwo(job, 1, port, "token1")};
  for (const int rank : {0, 1}) {
    EXPECT_EQ(ranks[rank]->Wait(), pipe::kExitInfra);
    EXPECT_THAT(FailureOf(*ranks[rank]).message, HasSubstr("rank " + std::to_string(1 - rank) + " of 2 d"));
    EXPECT_TRUE(pipe::IsOfAnotherRank(FailureOf(*ranks[rank]).message));
  }
}

TEST(RanksOfOneJob, ABatchThatCannotBeSharedOutIsRefused) {
  RanksJob job;
  job.config.train.global_batch_size = 6;
  Gang gang(job, "run", 2);
  EXPECT_THAT(gang.Wait(), Each(pipe::kExitUser));
  for (const int rank : {0, 1}) EXPECT_THAT(FailureOf(gang[rank]).message, HasSubstr("make it a multiple of 4"));
}

}  // namespace
}  // namespace sink::train
