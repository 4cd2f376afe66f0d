#!/usr/bin/env bash
# Debian 12's libabsl-dev 20220623.1-1+deb12u2: a wait with a timeout of absl::Notification, absl::CondVar or absl::Mutex lasts
# until a moment of the wall clock, though all that its caller says is how long. A clock that is set back meanwhile (one that
# ran in local time and meets NTP, a machine that was suspended) lengthens the wait by as much: a pause of a second becomes
# hours. std::condition_variable::wait_for of GCC 12.2 waits by the clock that nobody sets. gRPC 1.51 of the same Debian waits
# for its timers (deadlines of calls, pauses between connections, keepalive) by absl::CondVar::WaitWithDeadline, so they stand
# still for as long, too.
#
# The machine's clock is left alone. Between the program and the system stands a library that notes which clock a wait goes
# by, and moves the end of one that goes by the wall clock by 2 s: what setting the clock back by 2 s during it comes to.
#
# Seen on 2026-11-30, waits of 0.1 s:
#   absl::Notification::WaitForNotificationWithTimeout   wall clock    2.1 s
#   absl::CondVar::WaitWithTimeout                       wall clock    2.1 s
#   absl::Mutex::AwaitWithTimeout                        wall clock    2.1 s
#   std::condition_variable::wait_for                    steady clock  0.1 s
# Exits with 1 when it behaves otherwise. Needs apt-get, g++ and Debian 12's sources.
set -euo pipefail
version=20220623.1-1+deb12u2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download "libabsl-dev=$version" "libabsl20220623=$version" >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done
cat >clock.cc <<'CPP'
#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>

extern "C" {
const char* seen_clock = "none";

static timespec Moved(timespec end, bool wall_clock) {
  seen_clock = wall_clock ? "wall clock" : "steady clock";
  if (wall_clock) end.tv_sec += 2;
  return end;
}

long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  using Call = long (*)(long, ...);
  static const Call call = reinterpret_cast<Call>(dlsym(RTLD_NEXT, "syscall"));
  if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && a[3] != 0) {
    const timespec end = Moved(*reinterpret_cast<timespec*>(a[3]), (a[1] & FUTEX_CLOCK_REALTIME) != 0);
    return call(number, a[0], a[1], a[2], &end, a[4], a[5]);
  }
  return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  using Call = int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);
  static const Call call = reinterpret_cast<Call>(dlsym(RTLD_NEXT, "pthread_cond_clockwait"));
  const timespec end = Moved(*until, clock == CLOCK_REALTIME);
  return call(condition, mutex, clock, &end);
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* until) {
  return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, until);
}
}
CPP
cat >waits.cc <<'CPP'
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/time.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>

extern "C" const char* seen_clock;

void Show(const char* name, const std::function<void()>& wait) {
  seen_clock = "none";
  const auto start = std::chrono::steady_clock::now();
  wait();
  const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%-52s %-13s %.1f s\n", name, seen_clock, s);
}

int main() {
  const absl::Duration timeout = absl::Milliseconds(100);
  Show("absl::Notification::WaitForNotificationWithTimeout", [&] {
    absl::Notification never;
    never.WaitForNotificationWithTimeout(timeout);
  });
  Show("absl::CondVar::WaitWithTimeout", [&] {
    absl::Mutex mutex;
    absl::CondVar never;
    absl::MutexLock lock(&mutex);
    never.WaitWithTimeout(&mutex, timeout);
  });
  Show("absl::Mutex::AwaitWithTimeout", [&] {
    absl::Mutex mutex;
    bool never = false;
    absl::MutexLock lock(&mutex);
    mutex.AwaitWithTimeout(absl::Condition(&never), timeout);
  });
  Show("std::condition_variable::wait_for", [&] {
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock<std::mutex> lock(mutex);
    never.wait_for(lock, absl::ToChronoMilliseconds(timeout));
  });
}
CPP
libraries=root/usr/lib/x86_64-linux-gnu
g++ -std=c++17 -O2 -shared -fPIC clock.cc -o libclock.so
g++ -std=c++17 -O2 -isystem root/usr/include waits.cc -o waits -L. -lclock -L"$libraries" -labsl_synchronization -labsl_time \
  -Wl,-rpath,"$folder:$folder/$libraries" -Wl,-rpath-link,"$libraries"
timeout 60 ./waits | tee seen
cat >expected <<'TEXT'
absl::Notification::WaitForNotificationWithTimeout   wall clock    2.1 s
absl::CondVar::WaitWithTimeout                       wall clock    2.1 s
absl::Mutex::AwaitWithTimeout                        wall clock    2.1 s
std::condition_variable::wait_for                    steady clock  0.1 s
TEXT
# The clock of each, and not the last digit of how long it took on a busy machine.
cmp -s <(sed 's/ *[0-9.]* s$//' seen) <(sed 's/ *[0-9.]* s$//' expected) || { echo "it behaves otherwise now" >&2; exit 1; }
