// The bytes of checkpoints on the coordinator's disk: <folder>/<job>/<fence>/step-<N>/, one folder a checkpoint, whose
// files never change. While it travels it is step-<N>.part/. The list of its files lies beside them as ".files", so
// that a restart forgets nothing. Which checkpoints count is decided by the store's rows alone: a row is written after
// its folder is complete and synced, and a folder goes after its row has gone. Every step may be repeated.
//
// Paths are made here from checked ids and numbers. Any thread may call any method; methods on the same checkpoint take
// turns. RESOURCE_EXHAUSTED "disk full: ..." from each that writes, and "too much for one job: ..." from Begin;
// PERMISSION_DENIED or INTERNAL where the disk or the system fails it, and from Begin whatever ToStatus makes of that.
//
// Where the folder is not the one that the rows speak of (CheckHere), as when its disk is not mounted, nothing of it is
// believed: Begin and Commit refuse, and KeepOnly removes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/job/checkpoint.h"
#include "coordinator/job/mutex.h"
#include "coordinator/service/upload_space.h"

namespace sink {

// How the refusal of what is more than a job's share begins.
inline constexpr char kTooMuchForOneJob[] = "too much for one job";

class CheckpointRepository {
 public:
  // `folder` is created on first use. `reserve_bytes` of the disk are left to the database; a job may have
  // `bytes_per_job` here, what is on its way included. `id`: the folder's, as store/checkpoint_folder.h says; 0: it is
  // taken as it is.
  explicit CheckpointRepository(std::string folder, uint64_t reserve_bytes = 64 << 20,
                                uint64_t bytes_per_job = std::numeric_limits<uint64_t>::max(), int64_t id = 0)
      : folder_(std::move(folder)),
        bytes_per_job_(bytes_per_job),
        id_(id),
        space_(UploadSpace::FreeBytesAt(folder_), reserve_bytes) {}

  // RESOURCE_EXHAUSTED while the folder is not the one of that id: what is missing there is not lost, what is there is
  // not ours, and there is no room for anything. Says for people what to do.
  absl::Status CheckHere() const;

  // Notes the files of a checkpoint to come and returns how many bytes of each are here. Another list than before
  // starts over; INVALID_ARGUMENT when the checkpoint is already complete with other files. An attempt has at most two
  // uploads open, besides what is among `rows`, the job's, and waits to be sent again: the oldest goes.
  absl::StatusOr<std::vector<uint64_t>> Begin(const CheckpointKey& key, const std::string& manifest_hash,
                                              const std::vector<CheckpointFile>& files,
                                              const std::vector<Checkpoint>& rows);

  // Removes the attempt's other uploads that are open, but for those. It sends one after the other, so it has given
  // them up.
  void RemoveOthers(const CheckpointKey& key, const std::vector<Checkpoint>& rows);

  // Appends to a file. OUT_OF_RANGE when `offset` is not where the file ends, or the file would become larger than
  // announced; NOT_FOUND without Begin, or for a file that Begin did not name.
  absl::Status Write(const CheckpointKey& key, const std::string& file, uint64_t offset, std::string_view data);
  absl::Status SyncFile(const CheckpointKey& key, const std::string& file);  // at the end of a stream of writes

  // Reads every file again, compares size and hash with the list, and puts the folder into its place, durably. Returns
  // the list, for the row. ABORTED when bytes are wrong (those files start over: Begin, write, commit again);
  // FAILED_PRECONDITION when bytes are missing (after either, one that was complete is so no more); NOT_FOUND without
  // Begin; INVALID_ARGUMENT for another manifest, and, with all of it removed, for a manifest.json that does not list
  // this step's files and for settings that no trainer writes (proto/run/manifest.h, checkpoint_settings.h).
  absl::StatusOr<std::vector<CheckpointFile>> Commit(const CheckpointKey& key, const std::string& manifest_hash);

  // Calls `send` with the content, file after file in the row's order; an empty file gets one empty chunk. The first
  // error of `send` ends it. After what came before was sent, DATA_LOSS when a file is missing or has another size or
  // hash than the row says, and when manifest.json does not list this step's files; UNKNOWN when the disk does not give
  // its bytes (EIO), which may be over in a minute.
  absl::Status Read(const Checkpoint& checkpoint,
                    absl::FunctionRef<absl::Status(const std::string& file, uint64_t offset, std::string& data)> send);

  // The same without sending: after each piece `go_on` is told its bytes; CANCELLED when it says no.
  absl::Status Verify(const Checkpoint& checkpoint, absl::FunctionRef<bool(uint64_t bytes)> go_on);

  // Removes what lies here of the job, complete or not, came before `next` (ordered by fence, then step) and is not
  // among `rows`. What a crash leaves half removed goes the next time.
  absl::Status KeepOnly(const CheckpointKey& next, const std::vector<Checkpoint>& rows);

  // Jobs that have a folder here; none where no job has had a checkpoint yet. An error names what cannot be listed.
  absl::StatusOr<std::vector<std::string>> Jobs() const;
  // Those that have begun to send since the start what is neither committed nor removed.
  std::set<std::string> UploadingJobs() const { return space_.Jobs(); }
  // Those of which lies here what is not complete, also from before the start. Lists every folder.
  std::set<std::string> JobsWithUploads() const;
  bool Has(const CheckpointKey& key) const;     // complete, or what was found damaged and waits to be sent again
  bool IsGone(const CheckpointKey& key) const;  // for sure, and not merely out of reach
  bool HasFolderOf(const std::string& job_id) const;

 private:
  struct FileList;

  std::string FencePath(const CheckpointKey& key) const;
  std::string FinalPath(const CheckpointKey& key) const;
  std::string PartPath(const CheckpointKey& key) const { return FinalPath(key) + ".part"; }
  absl::StatusOr<FileList> ReadList(const std::string& checkpoint_folder) const;
  // Steps of the attempt's other uploads that are open and not among `rows`, in order.
  std::vector<int64_t> OtherOpenSteps(const CheckpointKey& key, const std::vector<Checkpoint>& rows) const;
  void LimitOthers(const CheckpointKey& key, const std::vector<Checkpoint>& rows, size_t most);
  // Whether the job may have these beside what it has and what else it has begun to send.
  absl::Status CheckShare(const CheckpointKey& key, const std::vector<CheckpointFile>& files,
                          const std::vector<Checkpoint>& rows) const;
  Mutex& LockOf(const CheckpointKey& key);
  absl::Status RemovePart(const CheckpointKey& key);
  absl::Status MakeFolder(const std::string& path);  // and those above it
  void RemoveIfEmpty(const std::string& path);

  const std::string folder_;
  const uint64_t bytes_per_job_;
  const int64_t id_;
  UploadSpace space_;
  std::array<Mutex, 64> locks_;  // by hash of the key; each guards the files of its checkpoints
  Mutex folders_;                // while some are made, none above them goes; taken after one of locks_
};

}  // namespace sink
