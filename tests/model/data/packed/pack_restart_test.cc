// sink-data pack, killed: the program is started again and again and killed at random moments; the set in the end is
// the set of an undisturbed run, and a source that was done is not packed again.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "model/data/corpus/json_lines.h"
#include "model/data/packed/packer.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> FilesOf(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    files[entry.path().filename().string()] = ReadText(entry.path());
  }
  return files;
}

class PackRestartTest : public ::testing::Test {
 protected:
  PackRestartTest() {
    std::mt19937 random(9);
    for (int source = 0; source < 6; ++source) {
      std::string lines;
      for (int i = 0; i < 400; ++i) {
        std::string text;
        while (text.size() < 200 + random() % 2000) text += "word" + std::to_string(random() % 1000) + " ";
        lines += PrintTextLine(text) + "\n";
        if (i % 100 == 7) lines += "not JSON\n";
      }
      WriteText(dir_ / ("in/train/s" + std::to_string(source) + ".jsonl"), lines);
    }
    WriteText(dir_ / "in/valid/s0.jsonl", PrintTextLine(std::string(5000, 'v')) + "\n");
  }

  pid_t Start(const std::string& out, int threads) {
    const char* bin = std::getenv("SINK_BIN_DIR");
    const std::string program = std::string(bin == nullptr ? "build/dev/bin" : bin) + "/sink-data";
    std::vector<std::string> words = {program,  "pack",           "--in", dir_ / "in", "--out",
                                      out,      "--block",        "65",   "--threads", std::to_string(threads),
                                      "--json", "--chunk-blocks", "512"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
      posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    }
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments.data(), environ), 0) << program;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }

  // The exit code, or -1 when it was killed first.
  int RunFor(pid_t pid, std::chrono::microseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    int status = 0;
    while (::waitpid(pid, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > end) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, &status, 0);
        break;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  testing::TempDir dir_;
};

TEST_F(PackRestartTest, KilledAtAnyMomentItEndsWithTheSameBytes) {
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(RunFor(Start(dir_ / "whole", 1), std::chrono::minutes(1)), 0);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  const std::map<std::string, std::string> expected = FilesOf(dir_ / "whole");
  ASSERT_GT(expected.size(), 20u);
  std::mt19937 random(10);
  int kills = 0;
  for (int round = 0; round < 8; ++round) {
    const std::string out = dir_ / ("killed" + std::to_string(round));
    std::map<std::string, fs::file_time_type> done;  // records of an earlier run
    for (int code = -1, attempt = 0; code != 0; ++attempt) {
      const bool last = attempt == 8;
      const auto limit = std::chrono::microseconds(last ? 60'000'000 : random() % (whole.count() / 3 + 1));
      code = RunFor(Start(out, 1 + static_cast<int>(random() % 3)), limit);
      ASSERT_TRUE(code == 0 || code == -1) << code;
      kills += code == -1;
      if (code == 0 || !fs::exists(out + ".partial")) continue;
      for (const auto& [name, time] : done) {
        ASSERT_TRUE(fs::exists(name)) << name;
        EXPECT_EQ(fs::last_write_time(name), time) << name << " was packed again";
      }
      for (const auto& entry : fs::directory_iterator(out + ".partial")) {
        if (entry.path().extension() == ".done") done[entry.path()] = entry.last_write_time();
      }
    }
    EXPECT_EQ(FilesOf(out), expected);
    EXPECT_FALSE(fs::exists(out + ".partial"));
  }
  EXPECT_GE(kills, 8);
}

TEST_F(PackRestartTest, AfterAnErrorOnlyTheFaultySourceIsPackedAgain) {
  PackOptions options = {.in = dir_ / "in", .out = dir_ / "out", .block = 65, .chunk_blocks = 512};
  const std::string good = ReadText(dir_ / "in/train/s4.jsonl");
  WriteText(dir_ / "in/train/s4.jsonl", std::string(1000, '\n') + "bad\n" + std::string("bad\n") + good);
  options.max_bad_lines = 17;  // four in every source before it
  EXPECT_NE(ErrorOf([&] { Pack(options); }), "");
  const fs::path first = dir_ / "out.partial/train_s0_0_0000000000.bin";
  const fs::path fourth = dir_ / "out.partial/train_s3_0_0000000000.bin";
  ASSERT_TRUE(fs::exists(first) && fs::exists(fourth));
  const auto time = fs::last_write_time(first);
  WriteText(dir_ / "in/train/s4.jsonl", good);
  options.max_bad_lines = 100;
  const PackResult result = Pack(options);
  EXPECT_EQ(fs::last_write_time(dir_ / "out/train_s0_0_0000000000.bin"), time);
  options.out = dir_ / "fresh";
  Pack(options);
  EXPECT_EQ(FilesOf(dir_ / "out"), FilesOf(dir_ / "fresh"));
  EXPECT_EQ(result.set.sources.size(), 7u);
}

TEST_F(PackRestartTest, OtherOptionsStartAnew) {
  PackOptions options = {.in = dir_ / "in", .out = dir_ / "out", .block = 65, .chunk_blocks = 512, .max_bad_lines = 10};
  EXPECT_NE(ErrorOf([&] { Pack(options); }), "");
  ASSERT_TRUE(fs::exists(dir_ / "out.partial/train_s0.jsonl.done"));
  options.block = 33;
  options.max_bad_lines = 100;
  Pack(options);
  options.out = dir_ / "fresh";
  Pack(options);
  EXPECT_EQ(FilesOf(dir_ / "out"), FilesOf(dir_ / "fresh"));
}

}  // namespace
}  // namespace sink::data
