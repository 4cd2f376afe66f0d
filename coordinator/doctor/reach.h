// Who listens where a coordinator should, and what to do when nobody or somebody else does. Apart from reading the
// addresses that a coordinator leaves in its folder, pure: the caller tells who answers; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "coordinator/client/address.h"
#include "coordinator/doctor/finding.h"

namespace sink::doctor {

// After a call to the coordinator at `address` failed as `why`, with whoever `listens` there.
Finding ExamineRefusal(const std::string& address, Peer listens, const absl::Status& why);

// The ports of the coordinator whose --data is `data`, by the addresses that it has written there; nothing where it was
// never started.
std::vector<Finding> ExaminePorts(const std::filesystem::path& data,
                                  absl::FunctionRef<Peer(const std::string& address)> find);

}  // namespace sink::doctor
