// See fake_trainer.h. Keys of the configuration, all optional:
//   steps (3), step_ms (1): how long it trains; checkpoint_every (0: never)
//   roll_back_at, roll_back_to: at this step it goes back to that one, once, and tells its progress from then on
//   end: "finish" (default), "exit", "signal", "failed", "hang", "chatter", "close_pipe", "no_event";  code: for exit
//   and signal garbage: lines on the event pipe that are no events;  flood_bytes: to stdout;  stderr: text ignore_stop:
//   takes no notice of commands and SIGTERM grandchildren: double-forked processes that ignore SIGTERM; setsid: each in
//   a session of its own
//   repeats (0): so often, 20 ms apart, it says at the end of its steps what `repeat` names, and makes no further one:
//   "progress" (default), "tokens" (progress with more of them), "metrics", "checkpoint"
//   warning: text of a log event;  look_at: a path, of which a log event says whether this process can read it;  ranks:
//   {"2": {...}}: what holds instead for the trainer with SINK_RANK=2
#include "tests/worker/fake_trainer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "proto/pipe/events.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/manifest.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

volatile sig_atomic_t terminated = 0;

class FakeTrainer {
 public:
  explicit FakeTrainer(std::string folder) : folder_(std::move(folder)) {
    config_ = nlohmann::json::parse(std::ifstream(folder_ + "/job.json"))["config"];
    if (const char* rank = getenv("SINK_RANK"); rank != nullptr && config_.contains("ranks")) {
      config_.update(config_["ranks"].value(rank, nlohmann::json::object()));
    }
    events_fd_ = atoi(getenv("SINK_EVENTS_FD"));
    commands_fd_ = atoi(getenv("SINK_COMMANDS_FD"));
  }

  int Run() {
    SetUp();
    Say(pipe::Hello{
        .pid = getpid(), .device = "cpu", .start_step = step_, .max_steps = Int("steps", 3), .parameters = 1});
    WriteOutput();
    while (step_ < Int("steps", 3)) {
      usleep(Int("step_ms", 1) * 1000);
      ++step_;
      if (step_ == Int("roll_back_at", 0) && !rolled_back_) {
        step_ = Int("roll_back_to", 0);
        rolled_back_ = true;
      }
      Say(pipe::Metrics{step_, {{"train_loss", 1.0 / step_}}});
      if (rolled_back_) Say(pipe::Progress{.step = step_});
      if (Int("checkpoint_every", 0) > 0 && step_ % Int("checkpoint_every", 0) == 0) Save();
      if (StopRequested()) {
        Save();
        return pipe::kExitStopped;
      }
    }
    return End();
  }

 private:
  int64_t Int(const char* key, int64_t fallback) const { return config_.value(key, fallback); }

  void SetUp() {
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);  // see undead_process.h
    std::ofstream environment(folder_ + "/environment.txt");
    for (char** entry = environ; *entry != nullptr; ++entry) environment << *entry << "\n";
    if (const char* token = getenv("SINK_RENDEZVOUS_TOKEN_FILE"))
      environment << "token " << std::ifstream(token).rdbuf() << "\n";
    environment.close();
    for (const auto& entry : fs::directory_iterator(folder_ + "/checkpoints")) {
      const std::string name = entry.path().filename().string();
      if (name.front() != '.') step_ = std::max<int64_t>(step_, std::stoll(name.substr(5)));
    }
    signal(
        SIGTERM, Int("ignore_stop", 0) ? SIG_IGN : [](int) { terminated = 1; });
    for (int i = 0; i < Int("grandchildren", 0); ++i) DoubleFork();
    if (Int("tells_place", 0)) {
      signal(SIGUSR2, [](int) { Write(STDERR_FILENO, "in the middle of nowhere\n"); });
    }
  }

  void DoubleFork() {
    const pid_t child = fork();
    if (child != 0) {
      waitpid(child, nullptr, 0);
      return;
    }
    if (Int("setsid", 0)) setsid();
    if (fork() == 0) {
      signal(SIGTERM, SIG_IGN);
      while (true) pause();
    }
    _exit(0);
  }

  void WriteOutput() {
    for (int i = 0; i < Int("garbage", 0); ++i) Write(events_fd_, "this is no event\n");
    const std::string line(99, 'x');
    for (int64_t sent = 0; sent < Int("flood_bytes", 0); sent += 100) Write(STDOUT_FILENO, line + "\n");
    Write(STDERR_FILENO, config_.value("stderr", ""));
    if (config_.contains("look_at")) {
      const bool read = access(config_.value("look_at", "").c_str(), R_OK) == 0;
      Say(pipe::Log{"info", "uid " + std::to_string(geteuid()) + (read ? " can read it" : " cannot read it")});
    }
    if (config_.contains("warning")) Say(pipe::Log{"warning", config_.value("warning", "")});
  }

  void Repeat(int64_t times) {
    const std::string what = config_.value("repeat", "progress");
    if (what == "metrics") Say(pipe::Metrics{step_, {{"validation_loss/all", 1.0}}});
    if (what == "checkpoint") Say(pipe::Checkpoint{step_, folder_, "0"});
    if (what == "progress") Say(pipe::Progress{.step = step_});
    if (what == "tokens") Say(pipe::Progress{.step = step_, .tokens = times});
  }

  int End() {
    for (int64_t times = 1; times <= Int("repeats", 0); ++times) {
      usleep(20'000);
      Repeat(times);
    }
    const std::string end = config_.value("end", "finish");
    if (end == "exit") return static_cast<int>(Int("code", 1));
    if (end == "signal") {
      signal(static_cast<int>(Int("code", SIGSEGV)), SIG_DFL);
      raise(static_cast<int>(Int("code", SIGSEGV)));
    }
    if (end == "failed") {
      const auto failure_class = ParseName<pipe::FailureClass>(config_.value("class", "nan"));
      Say(pipe::Failed{failure_class.value(), config_.value("message", "loss is NaN")});
      return pipe::kExitInfra;
    }
    if (end == "close_pipe") close(events_fd_);
    if (end == "hang" || end == "close_pipe") {
      while (true) pause();
    }
    while (end == "chatter") {  // alive, and no step further
      usleep(20'000);
      Say(pipe::Log{"info", "still thinking"});
    }
    if (end == "no_event") return pipe::kExitFinished;
    if (Int("checkpoint_every", 0) > 0) Save();
    Say(pipe::Finished{step_});
    return pipe::kExitFinished;
  }

  // A checkpoint folder with a manifest as model/train writes it.
  void Save() {
    const std::string name = run::CheckpointFolderName(step_);
    const std::string folder = folder_ + "/checkpoints/" + name;
    if (fs::exists(folder)) return;
    const std::string temporary = folder_ + "/checkpoints/.tmp-" + name;
    fs::create_directories(temporary);
    for (const std::string file : {"model.safetensors", "trainer.json"}) {
      std::ofstream(temporary + "/" + file) << file << " at step " << step_ << std::string(1000, 'w');
    }
    const auto manifest = run::WriteManifest(temporary, step_);
    fs::rename(temporary, folder);
    Say(pipe::Checkpoint{step_, folder, manifest->hash});
  }

  bool StopRequested() {
    if (Int("ignore_stop", 0)) return false;
    pollfd polled = {commands_fd_, POLLIN, 0};
    char buffer[64];
    if (poll(&polled, 1, 0) == 1) {
      const ssize_t n = read(commands_fd_, buffer, sizeof buffer);
      if (n > 0 && std::string(buffer, n).find("stop") != std::string::npos) return true;
    }
    return terminated != 0;
  }

  void Say(const pipe::Event& event) { Write(events_fd_, pipe::Encode(event) + "\n"); }

  static void Write(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = write(fd, bytes.data(), bytes.size());
      if (n <= 0) return;
      bytes.remove_prefix(n);
    }
  }

  const std::string folder_;
  nlohmann::json config_;
  int events_fd_, commands_fd_;
  int64_t step_ = 0;
  bool rolled_back_ = false;
};

}  // namespace

int RunFakeTrainer(const char* run_folder) { return FakeTrainer(run_folder).Run(); }

}  // namespace sink::worker
