// The program as a worker meets it: a child process with two pipes, exit codes, signals, and death at any moment.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <sstream>

#include "model/train/files.h"
#include "tests/model/train/tiny_job.h"

namespace sink::train {
namespace {

namespace fs = std::filesystem;

std::string ReadAll(int fd) {
  std::string text;
  char bytes[65536];
  for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;) text.append(bytes, static_cast<size_t>(n));
  return text;
}

struct Limit {
  decltype(RLIMIT_AS) resource;
  rlim_t value;
};

// sink-trainer with stderr in a pipe and, with `linked`, the two pipes of a worker.
class Child {
 public:
  explicit Child(const std::vector<std::string>& arguments, bool linked = true, std::vector<Limit> limits = {}) {
    const char* bin = std::getenv("SINK_BIN_DIR");
    std::string program = std::string(bin ? bin : "bin") + "/sink-trainer";
    int events[2], commands[2], errors[2];
    for (int* ends : {events, commands, errors}) EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(errors[1], 2);
      if (linked) {
        fcntl(events[1], F_SETFD, 0);
        fcntl(commands[0], F_SETFD, 0);
        setenv("SINK_EVENTS_FD", std::to_string(events[1]).c_str(), 1);
        setenv("SINK_COMMANDS_FD", std::to_string(commands[0]).c_str(), 1);
      }
      for (const Limit& limit : limits) {
        const rlimit value = {limit.value, limit.value};
        setrlimit(limit.resource, &value);
      }
      std::vector<char*> argv = {program.data()};
      for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(events[1]);
    close(commands[0]);
    close(errors[1]);
    events_ = events[0];
    commands_ = commands[1];
    errors_ = errors[0];
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    for (const int fd : {events_, commands_, errors_})
      if (fd >= 0) close(fd);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Signal(int number) const { kill(pid_, number); }
  void Command(const std::string& line) const {
    EXPECT_EQ(write(commands_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  void CloseEvents() { close(std::exchange(events_, -1)); }

  // Reads records until one of the type arrives, or the child has ended.
  template <typename Record>
  bool WaitFor() {
    while (true) {
      for (; seen_ < records_.size(); ++seen_)
        if (std::holds_alternative<Record>(records_[seen_])) return true;
      if (!ReadMore()) return false;
    }
  }

  // The record that WaitFor found; the next search begins after it.
  const pipe::Event& Take() { return records_[seen_++]; }

  // Reads to the end; the exit code, or minus the signal.
  int Wait() {
    while (ReadMore()) {
    }
    stderr_ = ReadAll(errors_);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  const std::vector<pipe::Event>& records() const { return records_; }
  const std::string& error_text() const { return stderr_; }

 private:
  bool ReadMore() {
    char bytes[65536];
    const ssize_t n = events_ < 0 ? 0 : read(events_, bytes, sizeof bytes);
    if (n <= 0) return false;
    partial_.append(bytes, static_cast<size_t>(n));
    for (size_t end; (end = partial_.find('\n')) != std::string::npos; partial_.erase(0, end + 1)) {
      pipe::ParseResult result = pipe::Parse(std::string_view(partial_).substr(0, end));
      EXPECT_TRUE(result.event.has_value()) << result.error;
      if (result.event) records_.push_back(*std::move(result.event));
    }
    return true;
  }

  pid_t pid_ = -1;
  int events_ = -1, commands_ = -1, errors_ = -1;
  std::string partial_, stderr_;
  std::vector<pipe::Event> records_;
  size_t seen_ = 0;
};

pipe::Failed FailureOf(const Child& child) {
  const auto* failed = child.records().empty() ? nullptr : std::get_if<pipe::Failed>(&child.records().back());
  EXPECT_NE(failed, nullptr) << "the last record is not `failed`; stderr: " << child.error_text();
  return failed ? *failed : pipe::Failed{};
}

void ExpectSameEnd(const TinyJob& job, const fs::path& a, const fs::path& b) {
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "trainer.json"})
    ExpectSameBytes(CheckpointPath(a, job.config.train.max_steps) / name,
                    CheckpointPath(b, job.config.train.max_steps) / name);
}

// An undisturbed run in this process, to compare with.
fs::path Undisturbed(const TinyJob& job, std::vector<pipe::Event>& events) {
  const fs::path run = job.MakeRun("undisturbed");
  EXPECT_EQ(job.Train(run, events), Outcome::kFinished);
  return run;
}

// SINK_FAULT_ROUNDS sets how often the trainer is killed (default 6).
int Kills() {
  const char* rounds = std::getenv("SINK_FAULT_ROUNDS");
  return rounds ? std::atoi(rounds) : 6;
}

TEST(SinkTrainer, KilledAtRandomMomentsEndsLikeAnUndisturbedRun) {
  TinyJob job;
  job.config.train.max_steps = 40 * Kills();  // more than the lives can do before they are killed
  job.config.checkpoint.every = 2;
  std::vector<pipe::Event> undisturbed_events;
  const fs::path undisturbed = Undisturbed(job, undisturbed_events);

  const fs::path run = job.MakeRun("killed");
  std::mt19937 random(1);
  std::vector<pipe::Event> events;
  const auto live = [&](bool kill, bool from_first_checkpoint) {
    Child child({run.string()});
    if (from_first_checkpoint) child.WaitFor<pipe::Checkpoint>();
    if (kill) {
      usleep(random() % (from_first_checkpoint ? 50'000 : 500'000));
      child.Signal(SIGKILL);
    }
    const int exit_code = child.Wait();
    events.insert(events.end(), child.records().begin(), child.records().end());
    EXPECT_TRUE(exit_code == (kill ? -SIGKILL : 0)) << exit_code << child.error_text();
  };
  for (int i = 0; i < Kills(); ++i) live(/*kill=*/true, /*from_first_checkpoint=*/i % 3 != 0);
  live(/*kill=*/false, /*from_first_checkpoint=*/false);
  EXPECT_EQ(Points(events), Points(undisturbed_events));
  ExpectSameEnd(job, run, undisturbed);
  for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
    EXPECT_EQ(entry.path().filename().string().find("tmp"), std::string::npos) << entry.path();
}

TEST(SinkTrainer, KilledRightAfterARollBackItEndsLikeAnUndisturbedRun) {
  TinyJob job;
  job.AddNoise();
  job.config.train.max_steps = 300;
  job.config.train.on_divergence = "roll_back";
  job.config.train.loss_spike_factor = 1.25;
  job.config.train.max_roll_backs = 100;
  std::vector<pipe::Event> events;
  const fs::path undisturbed = Undisturbed(job, events);
  const auto is_roll_back = [](const pipe::Event& event) {
    const auto* log = std::get_if<pipe::Log>(&event);
    return log != nullptr && log->message.starts_with("rolled back");
  };
  ASSERT_TRUE(std::any_of(events.begin(), events.end(), is_roll_back));

  const fs::path run = job.MakeRun("killed");
  {
    Child child({run.string()});
    while (child.WaitFor<pipe::Log>() && !is_roll_back(child.Take())) {
    }
    child.Signal(SIGKILL);
    ASSERT_EQ(child.Wait(), -SIGKILL);
  }
  Child child({run.string()});
  EXPECT_EQ(child.Wait(), pipe::kExitFinished) << child.error_text();
  ExpectSameEnd(job, run, undisturbed);
}

TEST(SinkTrainer, StopSavesAndEndsAndTheRestFollows) {
  TinyJob job;
  job.config.train.max_steps = 200;
  std::vector<pipe::Event> undisturbed_events;
  const fs::path undisturbed = Undisturbed(job, undisturbed_events);
  const fs::path run = job.MakeRun("stopped");
  std::vector<pipe::Event> events;
  const auto interrupt = [&](const std::function<void(Child&)>& stop) {
    Child child({run.string()});
    ASSERT_TRUE(child.WaitFor<pipe::Metrics>());
    stop(child);
    ASSERT_EQ(child.Wait(), pipe::kExitStopped) << child.error_text();
    ASSERT_TRUE(std::holds_alternative<pipe::Checkpoint>(child.records().back()));
    events.insert(events.end(), child.records().begin(), child.records().end());
  };
  interrupt([](Child& child) { child.Command("stop\n"); });
  interrupt([](Child& child) { child.Signal(SIGTERM); });
  interrupt([](Child& child) { child.Signal(SIGINT); });
  Child child({run.string()});
  EXPECT_EQ(child.Wait(), pipe::kExitFinished) << child.error_text();
  events.insert(events.end(), child.records().begin(), child.records().end());
  EXPECT_EQ(Points(events), Points(undisturbed_events));
  ExpectSameEnd(job, run, undisturbed);
}

TEST(SinkTrainer, CheckpointNowSavesAndGoesOn) {
  TinyJob job;
  job.config.train.max_steps = 2000;
  job.config.checkpoint.every = 1'000'000;
  Child child({job.MakeRun("run").string()});
  ASSERT_TRUE(child.WaitFor<pipe::Metrics>());
  child.Command("checkpoint_now\n");
  EXPECT_TRUE(child.WaitFor<pipe::Checkpoint>());
  EXPECT_TRUE(child.WaitFor<pipe::Metrics>());
  child.Command("stop\n");
  EXPECT_EQ(child.Wait(), pipe::kExitStopped);
}

TEST(SinkTrainer, LostWorkerEndsItPromptly) {
  TinyJob job;
  job.config.train.max_steps = 1'000'000;
  Child child({job.MakeRun("run").string()});
  ASSERT_TRUE(child.WaitFor<pipe::Metrics>());
  const auto start = std::chrono::steady_clock::now();
  child.CloseEvents();
  EXPECT_EQ(child.Wait(), pipe::kExitInfra);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_NE(child.error_text().find("the worker is gone"), std::string::npos) << child.error_text();
}

TEST(SinkTrainer, FullDiskIsAnInfraFailureAndThePreviousCheckpointStays) {
  TinyJob job;
  std::vector<pipe::Event> events;
  const fs::path undisturbed = Undisturbed(job, events);
  const fs::path run = job.MakeRun("full");
  fs::create_directories(run / "checkpoints");
  fs::copy(CheckpointPath(undisturbed, 17), CheckpointPath(run, 17), fs::copy_options::recursive);
  const std::string manifest = HashFile(CheckpointPath(run, 17) / "manifest.json").xxh3;
  {
    Child child({run.string()}, true, {{RLIMIT_FSIZE, 60'000}});
    EXPECT_EQ(child.Wait(), pipe::kExitInfra);
    const pipe::Failed failed = FailureOf(child);
    EXPECT_EQ(failed.failure_class, "infra");
    EXPECT_NE(failed.message.find("cannot save the checkpoint of step 34"), std::string::npos) << failed.message;
  }
  EXPECT_EQ(HashFile(CheckpointPath(run, 17) / "manifest.json").xxh3, manifest);
  EXPECT_EQ(std::distance(fs::directory_iterator(run / "checkpoints"), fs::directory_iterator()), 1);
  Child again({run.string()});
  EXPECT_EQ(again.Wait(), pipe::kExitFinished);
  ExpectSameEnd(job, run, undisturbed);
}

TEST(SinkTrainer, OutOfMemoryHasItsOwnClass) {
#ifdef SINK_SANITIZER
  GTEST_SKIP() << "a sanitizer reserves the address space that this test limits";
#endif
  TinyJob job;
  job.config.model.vocab_size = 2097152;
  job.config.model.hidden_size = 1024;
  Child child({job.MakeRun("run").string()}, true, {{RLIMIT_AS, rlim_t{6} << 30}});
  EXPECT_EQ(child.Wait(), pipe::kExitOutOfMemory);
  EXPECT_EQ(FailureOf(child).failure_class, "out_of_memory");
}

TEST(SinkTrainer, BadJobIsAUserFailureInOneLine) {
  TinyJob job;
  Child child({(job.folder() / "nowhere").string()});
  EXPECT_EQ(child.Wait(), pipe::kExitUser);
  EXPECT_NE(FailureOf(child).message.find("nowhere/job.json: No such file"), std::string::npos);
  Child no_arguments({}, false);
  EXPECT_EQ(no_arguments.Wait(), pipe::kExitUser);
  EXPECT_NE(no_arguments.error_text().find("RUN_DIR"), std::string::npos);
}

TEST(SinkTrainer, FromAShellItSpeaksToPeople) {
  TinyJob job;
  job.config.train.max_steps = 3;
  WriteFile(job.folder() / "config.json", PrintJobConfig(job.config));
  const std::string run = (job.folder() / "by-hand").string();
  Child child(
      {run, "--config", (job.folder() / "config.json").string(), "--data-root", (job.folder() / "data").string()},
      false);
  EXPECT_EQ(child.Wait(), pipe::kExitFinished) << child.error_text();
  EXPECT_NE(child.error_text().find("train_loss"), std::string::npos) << child.error_text();
  EXPECT_NE(child.error_text().find("finished at step 3"), std::string::npos) << child.error_text();
  EXPECT_TRUE(fs::exists(CheckpointPath(run, 3)));
}

TEST(SinkTrainer, SecondTrainerOfARunIsRefused) {
  TinyJob job;
  job.config.train.max_steps = 1'000'000;
  const fs::path run = job.MakeRun("run");
  Child first({run.string()});
  ASSERT_TRUE(first.WaitFor<pipe::Metrics>());
  EXPECT_THROW(FolderLock(run, 100), std::exception);
}

}  // namespace
}  // namespace sink::train
