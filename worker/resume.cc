// See resume.h.
#include "worker/resume.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/manifest.h"
#include "worker/checkpoint_links.h"

namespace sink::worker {
namespace {

constexpr int kFetchTries = 3;  // of a checkpoint that arrives damaged or is said not to exist

absl::Status CheckIdentity(const std::string& folder, const v1::Checkpoint& checkpoint) {
  const auto manifest = run::ReadManifest(folder);
  if (!manifest.ok()) return ToStatus(manifest.error());
  if (manifest->hash != checkpoint.manifest_hash() || manifest->step != checkpoint.step()) {
    return absl::DataLossError(absl::StrCat(folder, " is another checkpoint than the coordinator's"));
  }
  return ToStatus(run::VerifyCheckpoint(folder, *manifest));
}

// Writes the chunks of a download to files below `folder`.
class Receiver {
 public:
  Receiver(std::string folder, const v1::Checkpoint& checkpoint) : folder_(std::move(folder)) {
    for (const auto& file : checkpoint.files()) sizes_[file.name()] = file.size();
  }

  absl::Status Take(const v1::CheckpointChunk& chunk) {
    if (chunk.data().empty() && chunk.file().empty()) return absl::OkStatus();  // the first one may hold no data
    const auto size = sizes_.find(chunk.file());
    if (size == sizes_.end() || !run::IsCheckpointFileName(chunk.file())) {
      return absl::DataLossError(absl::StrCat("unexpected file \"", chunk.file(), "\" in a checkpoint"));
    }
    if (chunk.offset() > size->second || chunk.data().size() > size->second - chunk.offset()) {
      return absl::DataLossError(absl::StrCat(chunk.file(), " is larger than announced"));
    }
    const std::string path = absl::StrCat(folder_, "/", chunk.file());
    if (chunk.file() != name_) {
      auto fd = files::Open(path, O_WRONLY | O_CREAT | O_TRUNC);
      if (!fd.ok()) return Local(fd.error());
      fd_ = *std::move(fd);
      name_ = chunk.file();
      offset_ = 0;
    }
    if (chunk.offset() != offset_) return absl::DataLossError(absl::StrCat("a chunk of ", name_, " is missing"));
    offset_ += chunk.data().size();
    return Local(files::WriteAll(fd_, path, chunk.data()));
  }

 private:
  // A failure of our own disk must not be tried again as if the network had failed.
  static absl::Status Local(const files::FileError& error) {
    return error ? absl::OutOfRangeError(error.message()) : absl::OkStatus();
  }

  const std::string folder_;
  std::map<std::string, uint64_t> sizes_;
  std::string name_;  // of the file being written
  uint64_t offset_ = 0;
  files::Fd fd_;
};

absl::Status Fetch(const v1::Checkpoint& checkpoint, const std::string& target, LeasedCalls& calls) {
  auto request = calls.Fill<v1::FetchCheckpointRequest>();
  request.set_step(checkpoint.step());
  const std::string temporary = absl::StrCat(target, ".fetch");
  int failures = 0;
  absl::Status status = calls.Retry(calls.control().requested(), [&]() -> absl::Status {
    std::error_code ignored;
    std::filesystem::remove_all(temporary, ignored);
    if (const auto failed = files::MakeFolders(temporary)) return absl::OutOfRangeError(failed.message());
    Receiver receiver(temporary, checkpoint);
    absl::Status fetched = calls.link().FetchCheckpoint(request, [&](const v1::CheckpointChunk& chunk) {
      if (calls.control().requested().HasBeenNotified()) return absl::CancelledError("asked to stop");
      return receiver.Take(chunk);
    });
    if (fetched.ok()) fetched = CheckIdentity(temporary, checkpoint);
    if (absl::IsDataLoss(fetched) || absl::IsNotFound(fetched)) {
      return ++failures < kFetchTries ? absl::UnavailableError(fetched.message())
                                      : absl::DataLossError(fetched.message());
    }
    return fetched;
  });
  if (!status.ok()) return status;
  return ToStatus(files::RenameDurably(temporary, target));
}

}  // namespace

absl::Status PrepareResume(const std::string& data, const v1::Checkpoint& checkpoint, const RunFolder& folder,
                           LeasedCalls& calls) {
  const std::string target = absl::StrCat(folder.checkpoints(), "/", run::CheckpointFolderName(checkpoint.step()));
  for (const std::string& local : FindCheckpoints(data, calls.lease().job_id(), checkpoint.step())) {
    if (!CheckIdentity(local, checkpoint).ok()) continue;
    const auto manifest = run::ReadManifest(local);
    if (manifest.ok() && LinkCheckpoint(local, target, *manifest).ok()) {
      spdlog::info("job {}: resumes from {}", calls.lease().job_id(), local);
      return absl::OkStatus();
    }
  }
  spdlog::info("job {}: fetching the checkpoint of step {}", calls.lease().job_id(), checkpoint.step());
  return Fetch(checkpoint, target, calls);
}

}  // namespace sink::worker
