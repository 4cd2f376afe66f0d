// sink-trainer as a worker starts it: a child process with two pipes, and stderr in a third. One test, one thread.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "proto/pipe/events.h"

namespace sink::train {

struct Limit {
  decltype(RLIMIT_AS) resource;
  rlim_t value;
};

class Child {
 public:
  // With `linked`, with the two pipes of a worker. `environment` comes on top of this process's.
  explicit Child(const std::vector<std::string>& arguments, bool linked = true, const std::vector<Limit>& limits = {},
                 const std::map<std::string, std::string>& environment = {});
  ~Child();  // kills it
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int number) const;
  void Command(const std::string& line) const;
  void CloseEvents();

  // Reads records until one of the type arrives, or the child has ended.
  template <typename Record>
  bool WaitFor() {
    while (true) {
      for (; seen_ < records_.size(); ++seen_)
        if (std::holds_alternative<Record>(records_[seen_])) return true;
      if (!ReadMore()) return false;
    }
  }

  // The record that WaitFor found; the next search begins after it.
  const pipe::Event& Take() { return records_[seen_++]; }

  // Reads to the end; the exit code, or minus the signal.
  int Wait();

  const std::vector<pipe::Event>& records() const { return records_; }
  const std::string& error_text() const { return stderr_; }

 private:
  bool ReadMore();

  pid_t pid_ = -1;
  int events_ = -1, commands_ = -1, errors_ = -1;
  std::string partial_, stderr_;
  std::vector<pipe::Event> records_;
  size_t seen_ = 0;
};

// The child's last record, which must be `failed`.
pipe::Failed FailureOf(const Child& child);

}  // namespace sink::train
