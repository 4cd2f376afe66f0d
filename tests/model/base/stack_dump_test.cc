// A process is asked where its threads are.
#include "model/base/stack_dump.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <future>
#include <sstream>
#include <string>
#include <thread>

#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(StackDump, EveryThreadWritesItsStackOnceAndGoesOn) {
  WriteStacksOnDemand();
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  std::promise<void> named[2];
  std::thread threads[2];
  for (int i = 0; i < 2; ++i) {
    threads[i] = std::thread([ended, &ready = named[i], i] {
      pthread_setname_np(pthread_self(), i == 0 ? "hangs-here" : "hangs-there");
      ready.set_value();
      ended.wait();
    });
  }
  for (std::promise<void>& ready : named) ready.get_future().wait();

  testing::TempDir folder;
  const int file = open((folder / "said").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int saved = dup(STDERR_FILENO);
  ASSERT_TRUE(file >= 0 && saved >= 0);
  dup2(file, STDERR_FILENO);
  kill(getpid(), SIGUSR2);
  std::string said;
  for (int i = 0; i < 500 && (Count(said, "(hangs-here) is at\n") == 0 || Count(said, "(hangs-there) is at\n") == 0);
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    said = Read(folder / "said");
  }
  end.set_value();
  for (std::thread& thread : threads) thread.join();
  dup2(saved, STDERR_FILENO);
  for (const int fd : {file, saved}) close(fd);
  said = Read(folder / "said");
  EXPECT_EQ(Count(said, "(hangs-here) is at\n"), 1u) << said;
  EXPECT_EQ(Count(said, "(hangs-there) is at\n"), 1u) << said;
  EXPECT_GE(Count(said, " is at\n"), 3u) << said;
  EXPECT_GE(Count(said, "[0x"), 6u) << "frames of each: " << said;
}

}  // namespace
}  // namespace sink
