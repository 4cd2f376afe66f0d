// What a command has printed so far, for a test that acts when something is shown instead of after some time. Any
// thread.
#pragma once

#include <streambuf>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace sink::cli {

class Transcript : public std::streambuf {
 public:
  std::string text() const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return text_;
  }

  // Waits until `piece` was printed. False after a minute: the command never prints it.
  bool WaitFor(const std::string& piece) const ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto printed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return text_.find(piece) != std::string::npos; };
    return mutex_.AwaitWithTimeout(absl::Condition(&printed), absl::Minutes(1));
  }

 protected:
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    absl::MutexLock lock(&mutex_);
    text_.append(text, static_cast<size_t>(size));
    return size;
  }
  int overflow(int c) override {
    const char character = static_cast<char>(c);
    if (c != traits_type::eof()) xsputn(&character, 1);
    return traits_type::not_eof(c);
  }

 private:
  mutable absl::Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sink::cli
