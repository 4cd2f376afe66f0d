// What libprotobuf has to say, of a text that is no UTF-8 for instance, goes to our log: it would write to standard
// error in its own form. Whoever may call can make it say so, as often as it likes: that costs a line a minute.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

namespace sink {

// Which of many messages are logged: the first, and then one a minute. Any thread.
class OneAMinute {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // By steady time. Nothing: this one is left out; else how many were since the last one that was not.
  std::optional<uint64_t> Take(Time now);

 private:
  std::mutex mutex_;
  std::optional<Time> last_;
  uint64_t left_out_ = 0;
};

// For all of the program, before it has other threads. Before libprotobuf ends the program it is always heard.
void SendProtobufLogToOurs();

}  // namespace sink
