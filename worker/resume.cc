// See resume.h.
#include "worker/resume.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/manifest.h"
#include "worker/checkpoint_links.h"

namespace sink::worker {
namespace {

constexpr size_t kMaxFallbacks = 10;  // so many checkpoints may be damaged, one after the other, in one attempt
constexpr int kFetchTries = 3;        // of a checkpoint that arrives damaged or is said not to exist

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

// Fetches the checkpoint that was granted, or, where there is none given, the newest that the coordinator has, into
// `folder`. DataLoss: it is damaged, or not what it says; `gone` is set where the coordinator has it no more or has
// just found out itself. NotFound: it has none. `step`: of the one that was granted or named; 0 where none was.
absl::Status Fetch(const std::optional<v1::Checkpoint>& granted, const RunFolder& folder, LeasedCalls& calls,
                   bool* gone, int64_t* step) {
  *gone = false;
  *step = granted ? granted->step() : 0;
  auto request = calls.Fill<v1::FetchCheckpointRequest>();
  if (granted) request.set_step(granted->step());
  const std::string temporary = absl::StrCat(folder.checkpoints(), "/fetch");
  v1::Checkpoint checkpoint;
  int failures = 0;
  bool none = false;
  const absl::Status status = calls.Retry(calls.control().requested(), [&]() -> absl::Status {
    std::error_code ignored;
    std::filesystem::remove_all(temporary, ignored);
    if (const auto failed = files::MakeFolders(temporary)) return absl::OutOfRangeError(failed.message());
    std::optional<Receiver> receiver;
    absl::Status taken;
    absl::Status fetched = calls.link().FetchCheckpoint(request, [&](const v1::CheckpointChunk& chunk) {
      if (calls.control().requested().HasBeenNotified()) return absl::CancelledError("asked to stop");
      if (!receiver) receiver.emplace(temporary, checkpoint = granted ? *granted : chunk.checkpoint());
      *step = checkpoint.step();
      return taken = receiver->Take(chunk);
    });
    if (taken.ok() && absl::IsDataLoss(fetched)) {  // found by the coordinator itself: it will not get better
      *gone = true;
      return fetched;
    }
    *gone = absl::IsNotFound(fetched);
    none = *gone && !granted;
    if (none) return absl::DataLossError(fetched.message());
    if (fetched.ok()) fetched = CheckIdentity(temporary, checkpoint);
    if (absl::IsDataLoss(fetched) || absl::IsNotFound(fetched)) {
      return ++failures < kFetchTries ? absl::UnavailableError(fetched.message())
                                      : absl::DataLossError(fetched.message());
    }
    return fetched;
  });
  if (!status.ok()) {
    std::error_code ignored;
    std::filesystem::remove_all(temporary, ignored);
    return none ? absl::NotFoundError(status.message()) : status;
  }
  return ToStatus(files::RenameDurably(
      temporary, absl::StrCat(folder.checkpoints(), "/", run::CheckpointFolderName(checkpoint.step()))));
}

}  // namespace

absl::Status PrepareResume(const std::string& data, const v1::Checkpoint& checkpoint, const RunFolder& folder,
                           std::optional<uid_t> reader, LeasedCalls& calls) {
  const std::string target = absl::StrCat(folder.checkpoints(), "/", run::CheckpointFolderName(checkpoint.step()));
  for (const std::string& local : FindCheckpoints(data, calls.lease().job_id(), checkpoint.step())) {
    if (!CheckIdentity(local, checkpoint).ok()) continue;
    const auto manifest = run::ReadManifest(local);
    if (manifest.ok() && LinkCheckpoint(local, target, *manifest, reader).ok()) {
      spdlog::info("job {}: resumes from {}", calls.lease().job_id(), local);
      return absl::OkStatus();
    }
  }
  spdlog::info("job {}: fetching the checkpoint of step {}", calls.lease().job_id(), checkpoint.step());
  bool gone = false;
  int64_t step = 0;
  std::set<int64_t> tried;
  absl::Status fetched = Fetch(checkpoint, folder, calls, &gone, &step);
  // One that the coordinator names again it has not forgotten, be it damaged: a person may bring its folder back.
  while (gone && absl::IsDataLoss(fetched) && tried.insert(step).second && tried.size() <= kMaxFallbacks) {
    spdlog::warn("job {}: {}; fetching the newest that the coordinator has", calls.lease().job_id(),
                 std::string(fetched.message()));
    fetched = Fetch(std::nullopt, folder, calls, &gone, &step);
  }
  if (!absl::IsNotFound(fetched)) return fetched;
  spdlog::warn("job {}: no checkpoint is left; it begins anew", calls.lease().job_id());
  return absl::OkStatus();
}

}  // namespace sink::worker
