// The calls that bring one checkpoint to the coordinator: which comes next, given the answers so far. Begin asks how
// much of each file is there, Write sends the rest of a file, Commit makes it count; after an error all begins again,
// with what has arrived by then. A state machine without a clock or a network; Uploader and the simulator drive it. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace sink::worker {

class UploadPlan {
 public:
  explicit UploadPlan(std::vector<uint64_t> file_sizes) : sizes_(std::move(file_sizes)) {}

  struct Step {
    enum class Kind { kBegin, kWrite, kCommit, kDone };
    Kind kind = Kind::kBegin;
    size_t file = 0;      // kWrite
    uint64_t offset = 0;  // kWrite: send from here to the file's end
  };
  Step next() const;

  // Begin was answered: so many bytes of each file are there.
  void Begun(std::vector<uint64_t> there);
  // The call of next() was answered, with an error or (Write, Commit) without. Returns what it means for a caller that
  // tries again: a wrong offset is not for good, because a new Begin will say the right one.
  absl::Status Answered(const absl::Status& status);

 private:
  std::vector<uint64_t> sizes_, there_;
  bool begun_ = false, done_ = false;
};

}  // namespace sink::worker
