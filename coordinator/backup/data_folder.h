// Where things lie in a coordinator's data folder, and in a copy of one: databases, and checkpoints as
// service/checkpoint_repository.h lays them out. Stateless; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/job/checkpoint.h"

namespace sink::backup {

// The database of the jobs, and that of who may call.
inline constexpr char kJobsDatabase[] = "sink.db", kIdentityDatabase[] = "tls/identity.db";
// All that there are.
inline constexpr const char* kDatabases[] = {kJobsDatabase, kIdentityDatabase, "tls/audit.db"};

std::string InFolder(const std::string& folder, const std::string& name);
std::string DatabasePath(const std::string& folder);       // of the jobs
std::string PartOf(const std::string& database);           // a new one, before it has its place
std::string CheckpointsFolder(const std::string& folder);  // <job>/<fence>/step-<N>
// The same layout, for complete checkpoints that the database does not name: the coordinator leaves them alone.
std::string SetAsideFolder(const std::string& folder);

std::string CheckpointName(const CheckpointKey& key);  // "<job>/<fence>/step-<N>"
std::string CheckpointPath(const std::string& folder, const Checkpoint& row);
CheckpointKey KeyOf(const Checkpoint& row);

// The complete checkpoints in CheckpointsFolder or SetAsideFolder, in order; of a job where one is named. None where
// there is no such folder.
absl::StatusOr<std::vector<CheckpointKey>> ListComplete(const std::string& checkpoints, const std::string& job_id = "");

// A link that leads nowhere is there, too.
bool IsThere(const std::string& path);

}  // namespace sink::backup
