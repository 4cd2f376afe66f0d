// See resume.h.
#include "worker/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "worker/checkpoint_folder.h"
#include "worker/file_util.h"

namespace sink::worker {
namespace {

constexpr int kFetchTries = 3;  // of a checkpoint that arrives damaged or is said not to exist

absl::Status CheckIdentity(const std::string& folder, const v1::Checkpoint& checkpoint) {
  auto manifest = ReadManifest(folder);
  if (!manifest.ok()) return manifest.status();
  if (manifest->hash != checkpoint.manifest_hash() || manifest->step != checkpoint.step()) {
    return absl::DataLossError(absl::StrCat(folder, " is another checkpoint than the coordinator's"));
  }
  return VerifyCheckpoint(folder, *manifest);
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
    if (size == sizes_.end() || !IsSafeFileName(chunk.file())) {
      return absl::DataLossError(absl::StrCat("unexpected file \"", chunk.file(), "\" in a checkpoint"));
    }
    if (chunk.offset() > size->second || chunk.data().size() > size->second - chunk.offset()) {
      return absl::DataLossError(absl::StrCat(chunk.file(), " is larger than announced"));
    }
    if (chunk.file() != name_) {
      const std::string path = absl::StrCat(folder_, "/", chunk.file());
      fd_ = Fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
      if (!fd_.valid()) return Local(ErrnoStatus(absl::StrCat("create ", path), errno));
      name_ = chunk.file();
      offset_ = 0;
    }
    if (chunk.offset() != offset_) return absl::DataLossError(absl::StrCat("a chunk of ", name_, " is missing"));
    offset_ += chunk.data().size();
    return Local(WriteAll(fd_.get(), chunk.data()));
  }

 private:
  // A failure of our own disk must not be tried again as if the network had failed.
  static absl::Status Local(const absl::Status& status) {
    return status.ok() ? status : absl::OutOfRangeError(status.message());
  }

  const std::string folder_;
  std::map<std::string, uint64_t> sizes_;
  std::string name_;  // of the file being written
  uint64_t offset_ = 0;
  Fd fd_;
};

absl::Status Fetch(const v1::Checkpoint& checkpoint, const std::string& target, LeasedCalls& calls) {
  auto request = calls.Fill<v1::FetchCheckpointRequest>();
  request.set_step(checkpoint.step());
  const std::string temporary = absl::StrCat(target, ".fetch");
  int failures = 0;
  absl::Status status = calls.Retry(calls.control().requested(), [&]() -> absl::Status {
    std::error_code ignored;
    std::filesystem::remove_all(temporary, ignored);
    if (auto made = MakeFolders(temporary); !made.ok()) return absl::OutOfRangeError(made.message());
    Receiver receiver(temporary, checkpoint);
    absl::Status fetched =
        calls.link().FetchCheckpoint(request, [&](const v1::CheckpointChunk& chunk) { return receiver.Take(chunk); });
    if (fetched.ok()) fetched = CheckIdentity(temporary, checkpoint);
    if (absl::IsDataLoss(fetched) || absl::IsNotFound(fetched)) {
      return ++failures < kFetchTries ? absl::UnavailableError(fetched.message())
                                      : absl::DataLossError(fetched.message());
    }
    return fetched;
  });
  if (!status.ok()) return status;
  if (rename(temporary.c_str(), target.c_str()) != 0) return ErrnoStatus(absl::StrCat("rename to ", target), errno);
  return SyncFolder(std::filesystem::path(target).parent_path().string());
}

}  // namespace

absl::Status PrepareResume(const std::string& data, const v1::Checkpoint& checkpoint, const RunFolder& folder,
                           LeasedCalls& calls) {
  const std::string target = absl::StrCat(folder.checkpoints(), "/", CheckpointFolderName(checkpoint.step()));
  for (const std::string& local : FindCheckpoints(data, calls.lease().job_id(), checkpoint.step())) {
    if (!CheckIdentity(local, checkpoint).ok()) continue;
    auto manifest = ReadManifest(local);
    if (manifest.ok() && LinkCheckpoint(local, target, *manifest).ok()) {
      spdlog::info("job {}: resumes from {}", calls.lease().job_id(), local);
      return absl::OkStatus();
    }
  }
  spdlog::info("job {}: fetching the checkpoint of step {}", calls.lease().job_id(), checkpoint.step());
  return Fetch(checkpoint, target, calls);
}

}  // namespace sink::worker
