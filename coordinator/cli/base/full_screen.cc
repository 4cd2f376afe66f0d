#include "coordinator/cli/base/full_screen.h"

#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace sink::cli {
namespace {

// The screen beside the one that scrolls, without a cursor; and back.
constexpr char kTakeScreen[] = "\x1b[?1049h\x1b[?25l";
constexpr char kLeaveScreen[] = "\x1b[?25h\x1b[?1049l";
// Ends that no destructor sees. SIGINT, SIGTERM and SIGHUP are main's: they reach a command as an Interrupt.
constexpr int kFatal[] = {SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

termios terminal_before;          // written before `taken` is set
std::atomic<bool> taken = false;  // lock-free, so a signal handler may read it

void WriteCodes(const char* text) {
  const ssize_t written = write(STDOUT_FILENO, text, std::strlen(text));
  (void)written;  // a terminal that is gone needs nothing back
}

void RestoreAndDie(int number) {
  RestoreTerminal();
  signal(number, SIG_DFL);
  raise(number);
}

class Terminal final : public FullScreen {
 public:
  Terminal() {
    struct sigaction on_resize = {};
    on_resize.sa_handler = [](int) {};  // to be noticed: poll ends
    sigaction(SIGWINCH, &on_resize, nullptr);
    for (const int number : kFatal) signal(number, RestoreAndDie);
    termios raw = terminal_before;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);  // Ctrl-C goes on to be a signal
    raw.c_cc[VSUSP] = raw.c_cc[VQUIT] = _POSIX_VDISABLE;
    raw.c_cc[VMIN] = raw.c_cc[VTIME] = 0;
    taken = true;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    WriteCodes(kTakeScreen);
  }
  ~Terminal() override {
    RestoreTerminal();
    for (const int number : kFatal) signal(number, SIG_DFL);
    signal(SIGWINCH, SIG_DFL);
  }

  std::string ReadKeys(absl::Duration wait) override {
    pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, static_cast<int>(absl::ToInt64Milliseconds(wait))) <= 0) return "";
    char bytes[256];
    const ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
    if (count > 0) return std::string(bytes, static_cast<size_t>(count));
    // A terminal that has gone away is ready for ever. To the process, for main's thread; also where SIGHUP is ignored.
    if (input.revents & (POLLHUP | POLLERR | POLLNVAL)) kill(getpid(), SIGTERM);
    return "";
  }
};

}  // namespace

std::unique_ptr<FullScreen> OpenTerminal() {
  if (isatty(STDOUT_FILENO) == 0 || tcgetattr(STDIN_FILENO, &terminal_before) != 0) return nullptr;
  return std::make_unique<Terminal>();
}

void RestoreTerminal() {
  if (!taken.exchange(false)) return;
  tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
  WriteCodes(kLeaveScreen);
}

}  // namespace sink::cli
