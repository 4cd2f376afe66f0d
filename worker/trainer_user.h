// The user as whom trainers run where that is another than the worker's: jobs are what others wrote, and what the
// worker can read (its key, leases, the events of other jobs) is not theirs to read. Where there is a user for each
// device, a job runs as that of its first one, so that no two jobs at a time are of one user. The worker starts as
// root, or with the capabilities to become that user, to end its processes and to find them; it opens the way into a
// run's folder to the user's group, closes it when the run has ended, and keeps all else. Folders and values; any
// thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/run_folder.h"

namespace sink::worker {

struct TrainerUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // all of its groups, for devices
  std::string home;
  bool alone = true;  // no other user runs trainers of this worker
};

// NOT_FOUND: there is no such user. INVALID_ARGUMENT: it is root or the worker's own, which would protect nothing.
// FAILED_PRECONDITION: this process may not become it; says what is missing.
absl::StatusOr<TrainerUser> FindTrainerUser(const std::string& name);
// What --trainer-user says: a name, or one with %d in it, which stands for the numbers from 0 of so many devices: one
// user for each. Errors as above.
absl::StatusOr<std::vector<TrainerUser>> FindTrainerUsers(const std::string& names, int devices);

// For the child of a fork, before it runs anything: becomes the user, for good and without a way to more. What it makes
// is its group's, too. False with errno. Calls nothing but the kernel.
bool BecomeUser(const TrainerUser& user);

// The user may pass through `folder`, or list it and read what is in it as far as that allows, and no other may; but
// that anybody passes through it, who knows the names in it, where the user is one of several.
absl::Status LetThrough(const TrainerUser& user, const std::string& folder);
absl::Status LetList(const TrainerUser& user, const std::string& folder);
// The user finds its way from `data` to the run, reads its job and writes its checkpoints; the rest of the run stays
// the worker's. For each rank, before its trainer starts.
absl::Status OpenRun(const TrainerUser& user, const std::string& data, const RunFolder& run);
// The run is the worker's alone again. After its last trainer has ended.
absl::Status CloseRun(const RunFolder& run);

// Whether the user gets at `path` as access(2) says, by another process that has become it. FAILED_PRECONDITION names
// the path and the fix.
absl::Status CheckReach(const TrainerUser& user, const std::string& path, int how);

}  // namespace sink::worker
