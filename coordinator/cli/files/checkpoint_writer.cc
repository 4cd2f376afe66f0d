#include "coordinator/cli/files/checkpoint_writer.h"

#include <fcntl.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/cli/files/output_files.h"
#include "proto/run/checkpoint_names.h"

namespace sink::cli {

absl::StatusOr<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Create(const std::string& out) {
  auto folder = files::StagedFolder::Create(out);
  if (!folder.ok()) return ToUserError(folder.error());
  return std::unique_ptr<CheckpointWriter>(new CheckpointWriter(*std::move(folder)));
}

absl::Status CheckpointWriter::Open(const v1::Checkpoint& checkpoint) {
  std::set<std::string> names;
  for (const v1::CheckpointFile& file : checkpoint.files()) {
    if (!run::IsCheckpointFileName(file.name()) || !names.insert(file.name()).second ||
        file.xxh3().size() != files::kHashDigits)
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
  auto fd = files::Open(PathOf(checkpoint_.files(file_)), O_WRONLY | O_CREAT | O_EXCL);
  if (!fd.ok()) return ToUserError(fd.error());
  fd_ = *std::move(fd);
  hasher_ = files::Hasher();
  return absl::OkStatus();
}

absl::Status CheckpointWriter::FinishFile() {
  const v1::CheckpointFile& file = checkpoint_.files(file_);
  if (file.xxh3() != hasher_.Digest())
    return absl::DataLossError(absl::StrCat(file.name(), " arrived damaged: its hash differs"));
  if (const auto error = files::Sync(fd_, PathOf(file))) return ToUserError(error);
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
  if (const auto error = files::WriteAll(fd_, PathOf(checkpoint_.files(file_)), chunk.data()))
    return ToUserError(error);
  hasher_.Update(chunk.data());
  file_bytes_ += chunk.data().size();
  received_ += chunk.data().size();
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Commit() {
  if (!opened_) return absl::DataLossError("the coordinator sent nothing");
  if (absl::Status status = FinishWholeFiles(""); !status.ok()) return status;
  if (file_ < checkpoint_.files_size())
    return absl::DataLossError(absl::StrCat(checkpoint_.files(file_).name(), " arrived incomplete"));
  return ToUserError(folder_.Commit());
}

}  // namespace sink::cli
