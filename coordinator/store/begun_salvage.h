// The note in a coordinator's data folder that a salvage, or a restore, has begun to move databases and checkpoints
// (coordinator/backup/replacement.h) and was not done yet. Until a salvage has ended it, a database may lie there
// without its log, or not at all: nobody else opens them. Stateless; any thread.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace sink::store {

std::string SalvageNote(const std::string& folder);

// FAILED_PRECONDITION while the note is there.
absl::Status RefuseBegunSalvage(const std::string& folder);

}  // namespace sink::store
