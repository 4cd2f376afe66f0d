// Whose the files are that root makes in somebody else's folder: a restore is root's work, and the coordinator that
// then opens the folder is not root. Stateless; any thread, of a folder that nobody else changes meanwhile.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace sink::backup {

// Gives everything in the folder that is root's to the folder's owner and group. Nothing where that is root, or where
// this process is not. Follows no links.
absl::Status GiveToOwner(const std::string& folder);

}  // namespace sink::backup
