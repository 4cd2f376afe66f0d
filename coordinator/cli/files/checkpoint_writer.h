// Receives a checkpoint and puts it on disk whole or not at all: files go into a temporary folder beside the target,
// their sizes and XXH3-128 are checked, everything is synced, and one rename makes it appear. Trusts nothing in a
// chunk. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/files/descriptor.h"
#include "proto/files/hash.h"
#include "proto/files/staged_folder.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

class CheckpointWriter {
 public:
  // Errors: INVALID_ARGUMENT when `out` exists and is not an empty folder, or cannot be created.
  static absl::StatusOr<std::unique_ptr<CheckpointWriter>> Create(const std::string& out);

  // Chunks in the order of CheckpointChunk's comment. Errors: DATA_LOSS for anything else; INVALID_ARGUMENT when the
  // disk refuses.
  absl::Status Add(const v1::CheckpointChunk& chunk);

  // Errors: DATA_LOSS when something is missing; INVALID_ARGUMENT when the disk refuses.
  absl::Status Commit();

  const v1::Checkpoint& checkpoint() const { return checkpoint_; }
  uint64_t received() const { return received_; }  // bytes of all files
  uint64_t total() const { return total_; }

 private:
  explicit CheckpointWriter(files::StagedFolder folder) : folder_(std::move(folder)) {}
  absl::Status Open(const v1::Checkpoint& checkpoint);
  absl::Status StartFile();   // of checkpoint_.files(file_)
  absl::Status FinishFile();  // checks it and goes on to the next
  absl::Status FinishWholeFiles(const std::string& next_name);
  std::string PathOf(const v1::CheckpointFile& file) const { return folder_.path() + "/" + file.name(); }

  files::StagedFolder folder_;  // goes with what was received, unless it was committed
  v1::Checkpoint checkpoint_;
  bool opened_ = false;
  int file_ = 0;             // index of the file being received
  uint64_t file_bytes_ = 0;  // of it
  uint64_t received_ = 0;
  uint64_t total_ = 0;
  files::Fd fd_;          // of it
  files::Hasher hasher_;  // of it
};

}  // namespace sink::cli
