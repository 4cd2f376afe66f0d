#include "coordinator/cli/files/checkpoint_writer.h"

#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sink::cli {
namespace {

namespace fs = std::filesystem;

bool IsSafeName(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name[0] != '.' &&
         name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
             std::string::npos;
}

}  // namespace

struct CheckpointWriter::HashState {
  HashState() : xxh3(XXH3_createState()) {}
  ~HashState() { XXH3_freeState(xxh3); }
  HashState(const HashState&) = delete;
  HashState& operator=(const HashState&) = delete;
  XXH3_state_t* const xxh3;
};

absl::StatusOr<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Create(const std::string& out) {
  auto folder = PartialFolder::Create(out);
  if (!folder.ok()) return folder.status();
  return std::unique_ptr<CheckpointWriter>(new CheckpointWriter(*std::move(folder)));
}

CheckpointWriter::CheckpointWriter(PartialFolder folder)
    : folder_(std::move(folder)), hash_(std::make_unique<HashState>()) {}

CheckpointWriter::~CheckpointWriter() {
  if (stream_ != nullptr) std::fclose(stream_);
}

absl::Status CheckpointWriter::DiskError(const std::string& doing) const {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot ", doing, " under ", folder_.path(), ": ", std::strerror(errno)));
}

absl::Status CheckpointWriter::Open(const v1::Checkpoint& checkpoint) {
  std::set<std::string> names;
  for (const v1::CheckpointFile& file : checkpoint.files()) {
    if (!IsSafeName(file.name()) || !names.insert(file.name()).second || file.xxh3().size() != 32)
      return absl::DataLossError("the coordinator describes the checkpoint's files wrongly");
    total_ += file.size();
  }
  if (names.empty()) return absl::DataLossError("the checkpoint has no files");
  checkpoint_ = checkpoint;
  opened_ = true;
  return StartFile();
}

absl::Status CheckpointWriter::StartFile() {
  file_bytes_ = 0;
  if (file_ == checkpoint_.files_size()) return absl::OkStatus();
  XXH3_128bits_reset(hash_->xxh3);
  stream_ = std::fopen(fs::path(folder_.path()).append(checkpoint_.files(file_).name()).c_str(), "wbxe");
  return stream_ == nullptr ? DiskError("create a file") : absl::OkStatus();
}

absl::Status CheckpointWriter::FinishFile() {
  const v1::CheckpointFile& file = checkpoint_.files(file_);
  const XXH128_hash_t hash = XXH3_128bits_digest(hash_->xxh3);
  char hex[33];
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  if (file.xxh3() != hex) return absl::DataLossError(absl::StrCat(file.name(), " arrived damaged: its hash differs"));
  const bool synced = std::fflush(stream_) == 0 && fsync(fileno(stream_)) == 0;
  const bool closed = std::fclose(std::exchange(stream_, nullptr)) == 0;
  if (!synced || !closed) return DiskError("write " + file.name());
  ++file_;
  return StartFile();
}

absl::Status CheckpointWriter::FinishWholeFiles(const std::string& next_name) {
  while (file_ < checkpoint_.files_size() && checkpoint_.files(file_).name() != next_name &&
         file_bytes_ == checkpoint_.files(file_).size()) {
    if (absl::Status status = FinishFile(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Add(const v1::CheckpointChunk& chunk) {
  if (!opened_) {
    if (!chunk.has_checkpoint()) return absl::DataLossError("the checkpoint's description is missing");
    if (absl::Status status = Open(chunk.checkpoint()); !status.ok()) return status;
  }
  if (chunk.file().empty()) return absl::OkStatus();
  if (absl::Status status = FinishWholeFiles(chunk.file()); !status.ok()) return status;
  if (file_ == checkpoint_.files_size() || checkpoint_.files(file_).name() != chunk.file() ||
      chunk.offset() != file_bytes_ || chunk.data().size() > checkpoint_.files(file_).size() - file_bytes_)
    return absl::DataLossError(absl::StrCat("the pieces of ", chunk.file(), " arrived out of order"));
  if (std::fwrite(chunk.data().data(), 1, chunk.data().size(), stream_) != chunk.data().size())
    return DiskError("write " + chunk.file());
  XXH3_128bits_update(hash_->xxh3, chunk.data().data(), chunk.data().size());
  file_bytes_ += chunk.data().size();
  received_ += chunk.data().size();
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Commit() {
  if (!opened_) return absl::DataLossError("the coordinator sent nothing");
  if (absl::Status status = FinishWholeFiles(""); !status.ok()) return status;
  if (file_ < checkpoint_.files_size())
    return absl::DataLossError(absl::StrCat(checkpoint_.files(file_).name(), " arrived incomplete"));
  return folder_.Commit();
}

}  // namespace sink::cli
