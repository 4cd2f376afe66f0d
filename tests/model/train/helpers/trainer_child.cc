#include "tests/model/train/helpers/trainer_child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>
#include <utility>

namespace sink::train {
namespace {

std::string ReadAll(int fd) {
  std::string text;
  char bytes[65536];
  for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;) text.append(bytes, static_cast<size_t>(n));
  return text;
}

}  // namespace

Child::Child(const std::vector<std::string>& arguments, bool linked, const std::vector<Limit>& limits,
             const std::map<std::string, std::string>& environment) {
  const char* bin = std::getenv("SINK_BIN_DIR");
  std::string program = std::string(bin ? bin : "bin") + "/sink-trainer";
  int events[2], commands[2], errors[2];
  for (int* ends : {events, commands, errors}) EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(errors[1], 2);
    for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
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

Child::~Child() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (const int fd : {events_, commands_, errors_})
    if (fd >= 0) close(fd);
}

void Child::Signal(int number) const { kill(pid_, number); }

void Child::Command(const std::string& line) const {
  EXPECT_EQ(write(commands_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
}

void Child::CloseEvents() { close(std::exchange(events_, -1)); }

int Child::Wait() {
  while (ReadMore()) {
  }
  stderr_ = ReadAll(errors_);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool Child::ReadMore() {
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

pipe::Failed FailureOf(const Child& child) {
  const auto* failed = child.records().empty() ? nullptr : std::get_if<pipe::Failed>(&child.records().back());
  EXPECT_NE(failed, nullptr) << "the last record is not `failed`; stderr: " << child.error_text();
  return failed ? *failed : pipe::Failed{};
}

}  // namespace sink::train
