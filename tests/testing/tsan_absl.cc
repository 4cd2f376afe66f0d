// Makes absl's locks visible to ThreadSanitizer. Debian's absl is compiled without it, so that whatever an absl::Mutex
// or absl::Notification orders, in our code and inside gRPC, looks unordered and every use is reported as a race. These
// definitions come before the library's in the search order of symbols: each calls the library's and says what it
// orders. Linked into every program of the preset `tsan` and nothing else.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstddef>

#include "absl/base/config.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace {

struct SymbolName {
  template <size_t kSize>
  consteval SymbolName(const char (&name)[kSize]) {
    for (size_t i = 0; i < kSize; ++i) text[i] = name[i];
  }
  char text[96] = {};
};

// The library's function of this mangled name.
template <SymbolName kName, typename Function>
Function* Original() {
  static Function* const function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, kName.text));
  return function;
}

}  // namespace

// What is left: memory that these libraries hand from thread to thread with atomics that the sanitizer cannot see. Only
// accesses that they make themselves are ignored; everything in our own frames is checked. What gRPC's operations
// (CallOpSet, a template, so in our programs) put together in one thread is read in another, and copied by absl.
// civetweb's threads share the buffer of gmtime. Who has a copy of an absl::Status is counted half in our programs and
// half in absl. And SocketInode (accept_loop.cc) asks of a descriptor by its number whether it still is the socket that
// it was, while whoever has it may close it, and another may be opened in its place: that is the question.
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libgrpc.so\n"
         "called_from_lib:libgrpc++.so\n"
         "called_from_lib:libgpr.so\n"
         "called_from_lib:libupb.so\n"
         "called_from_lib:libssl.so\n"
         "called_from_lib:libcrypto.so\n"
         "called_from_lib:libabsl_graphcycles_internal.so\n"
         "called_from_lib:libabsl_status.so\n"
         "called_from_lib:libabsl_time_zone.so\n"
         "called_from_lib:libcivetweb.so\n"
         "race:grpc::internal::CallOpSet<\n"
         "race:Status::Unref\n"
         "race:SocketInode\n";
}

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  Original<"_ZN4absl7debian35Mutex4LockEv", void(Mutex*)>()(this);
  __tsan_acquire(this);
}
void Mutex::Unlock() {
  __tsan_release(this);
  Original<"_ZN4absl7debian35Mutex6UnlockEv", void(Mutex*)>()(this);
}
bool Mutex::TryLock() {
  const bool locked = Original<"_ZN4absl7debian35Mutex7TryLockEv", bool(Mutex*)>()(this);
  if (locked) __tsan_acquire(this);
  return locked;
}
void Mutex::ReaderLock() {
  Original<"_ZN4absl7debian35Mutex10ReaderLockEv", void(Mutex*)>()(this);
  __tsan_acquire(this);
}
void Mutex::ReaderUnlock() {
  __tsan_release(this);
  Original<"_ZN4absl7debian35Mutex12ReaderUnlockEv", void(Mutex*)>()(this);
}

// The library looks at a condition with the mutex held, in whichever thread changes hands with it.
struct Awaited {
  Mutex* mutex;
  const Condition* condition;
};
bool Look(Awaited* awaited) {
  __tsan_acquire(awaited->mutex);
  const bool holds = awaited->condition->Eval();
  __tsan_release(awaited->mutex);
  return holds;
}
void Mutex::Await(const Condition& condition) {
  Awaited awaited = {this, &condition};
  __tsan_release(this);
  Original<"_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE", void(Mutex*, const Condition&)>()(
      this, Condition(&Look, &awaited));
  __tsan_acquire(this);
}
bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  Awaited awaited = {this, &condition};
  __tsan_release(this);
  const bool held = Original<"_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE",
                             bool(Mutex*, const Condition&, Duration)>()(this, Condition(&Look, &awaited), timeout);
  __tsan_acquire(this);
  return held;
}

void CondVar::Wait(Mutex* mutex) {
  __tsan_release(mutex);
  Original<"_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE", void(CondVar*, Mutex*)>()(this, mutex);
  __tsan_acquire(mutex);
}
bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  __tsan_release(mutex);
  const bool late = Original<"_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE",
                             bool(CondVar*, Mutex*, Duration)>()(this, mutex, timeout);
  __tsan_acquire(mutex);
  return late;
}
bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  __tsan_release(mutex);
  const bool late =
      Original<"_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE", bool(CondVar*, Mutex*, Time)>()(
          this, mutex, deadline);
  __tsan_acquire(mutex);
  return late;
}

// HasBeenNotified is in the header and reads notified_yet_, the member after the mutex: the sanitizer sees that.
void* NotifiedOf(const Notification* notification) {
  return const_cast<char*>(reinterpret_cast<const char*>(notification)) + sizeof(Mutex);
}
void Notification::Notify() {
  __tsan_release(NotifiedOf(this));
  Original<"_ZN4absl7debian312Notification6NotifyEv", void(Notification*)>()(this);
}
void Notification::WaitForNotification() const {
  Original<"_ZNK4absl7debian312Notification19WaitForNotificationEv", void(const Notification*)>()(this);
  __tsan_acquire(NotifiedOf(this));
}
bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  const bool notified = Original<"_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
                                 bool(const Notification*, Duration)>()(this, timeout);
  if (notified) __tsan_acquire(NotifiedOf(this));
  return notified;
}

ABSL_NAMESPACE_END
}  // namespace absl
