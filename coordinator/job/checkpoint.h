// A checkpoint that the coordinator keeps, or takes. Plain values; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace sink {

struct CheckpointFile {
  std::string name;
  uint64_t size = 0;
  std::string xxh3;

  bool operator==(const CheckpointFile&) const = default;
};

// Which checkpoint: a step of one attempt, so that two attempts never share a file.
struct CheckpointKey {
  std::string job_id;  // 32 hex digits
  uint64_t fence = 0;
  int64_t step = 0;

  auto operator<=>(const CheckpointKey&) const = default;
};

// A complete checkpoint on the coordinator's disk. (job, step) is unique.
struct Checkpoint {
  std::string job_id;
  int64_t step = 0;
  int attempt = 0;
  uint64_t fence = 0;
  std::string manifest_hash;
  std::vector<CheckpointFile> files;
  int64_t committed_ms = 0;
  double validation_loss = std::numeric_limits<double>::quiet_NaN();  // last measured by then; NaN: none was
  bool pinned = false;                                                // a person wants it kept
};

}  // namespace sink
