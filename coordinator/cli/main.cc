// sinkctl: the real world around RunCli.
#include <google/protobuf/stubs/logging.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "coordinator/cli/cli.h"
#include "proto/base/hangup.h"

namespace {

sink::cli::WindowSize Window() {
  struct winsize size {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_col, size.ws_row};
}

constexpr char kToken[] = "SINK_TOKEN";

std::string TakeToken() {
  const char* value = std::getenv(kToken);
  std::string token = value == nullptr ? "" : value;
  unsetenv(kToken);
  return token;
}

int64_t NowMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

int main(int argc, char** argv) {
  google::protobuf::SetLogHandler(nullptr);  // what a user needs to know of a text is in our own messages
  signal(SIGPIPE, SIG_DFL);                  // `sinkctl logs ID | head` ends quietly
  // A thread of their own takes these, and wakes whatever the main thread waits for. A second one ends the program.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM}) sigaddset(&signals, number);
  if (sink::EndsAtHangup()) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  static sink::cli::Interrupt interrupt;
  std::thread([signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    interrupt.Trigger();
    sigwait(&signals, &signal);
    sink::cli::RestoreTerminal();
    _exit(128 + signal);
  }).detach();
  // A secret of a CI comes in the environment; programs that sinkctl starts get none.
  static const std::string token = TakeToken();
  sink::cli::World world = {.in = std::cin,
                            .out = std::cout,
                            .err = std::cerr,
                            .out_is_terminal = isatty(STDOUT_FILENO) == 1,
                            .err_is_terminal = isatty(STDERR_FILENO) == 1,
                            .window = Window,
                            .getenv = [](const char* name) -> const char* {
                              return std::string_view(name) == kToken ? token.c_str() : std::getenv(name);
                            },
                            .now_ms = NowMs,
                            .interrupt = interrupt,
                            .full_screen = sink::cli::OpenTerminal};
  const int code = sink::cli::RunCli(std::vector<std::string>(argv + 1, argv + argc), world);
  if (!std::cout.flush() && code == 0) {
    std::cerr << "sinkctl: standard output cannot be written\n";
    return 7;
  }
  return code;
}
