// Everything below the handler calls the kernel only, but for backtrace, which has loaded what it needs before.
#include "model/base/stack_dump.h"

#include <dirent.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace sink {
namespace {

constexpr int kMostFrames = 64;
constexpr int kPatienceMs = 200;  // for one thread

std::atomic<int> answers = 0;  // of threads that were asked by the one that was asked for all

void Write(const char* text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) return;  // nobody reads: there is nowhere else to say it
}

void WriteNumber(long number) {
  char digits[24];
  char* at = digits + sizeof digits;
  *--at = '\0';
  do {
    *--at = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  Write(at);
}

void WriteOwnStack() {
  char name[20] = {};
  const int file = open("/proc/thread-self/comm", O_RDONLY | O_CLOEXEC);
  const ssize_t size = file < 0 ? 0 : read(file, name, sizeof name - 1);
  if (file >= 0) close(file);
  if (size > 0 && name[size - 1] == '\n') name[size - 1] = '\0';
  Write("thread ");
  WriteNumber(syscall(SYS_gettid));
  Write(" (");
  Write(name);
  Write(") is at\n");
  void* frames[kMostFrames];
  backtrace_symbols_fd(frames, backtrace(frames, kMostFrames), STDERR_FILENO);
}

// The thread of that number writes its stack, and nobody else until it has.
void Ask(long thread) {
  const int before = answers;
  if (syscall(SYS_tgkill, getpid(), thread, SIGUSR2) != 0) return;  // it has ended
  const timespec moment = {0, 1'000'000};
  for (int waited = 0; answers == before && waited < kPatienceMs; ++waited) nanosleep(&moment, nullptr);
  if (answers != before) return;
  Write("thread ");
  WriteNumber(thread);
  Write(" does not answer\n");
}

long NumberOf(const char* name) {
  long number = 0;
  for (; *name >= '0' && *name <= '9'; ++name) number = 10 * number + (*name - '0');
  return *name == '\0' ? number : 0;
}

void AskAllOthers() {
  struct Entry {  // of getdents64(2)
    uint64_t inode;
    int64_t next;
    unsigned short size;
    unsigned char type;
    char name[];
  };
  const int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  const long self = syscall(SYS_gettid);
  alignas(Entry) char buffer[4096];
  for (long bytes; (bytes = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;) {
    for (long at = 0; at < bytes;) {
      const Entry* const entry = reinterpret_cast<const Entry*>(buffer + at);
      const long thread = NumberOf(entry->name);
      if (thread > 0 && thread != self) Ask(thread);
      at += entry->size;
    }
  }
  close(folder);
}

void OnSignal(int, siginfo_t* info, void*) {
  const int error = errno;
  WriteOwnStack();
  if (info->si_code == SI_TKILL && info->si_pid == getpid()) {  // by Ask
    ++answers;
  } else {
    AskAllOthers();
  }
  errno = error;
}

}  // namespace

void WriteStacksOnDemand() {
  void* frame = nullptr;
  backtrace(&frame, 1);  // loads the unwinder, which no handler may
  struct sigaction action = {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigaction(SIGUSR2, &action, nullptr);
}

}  // namespace sink
