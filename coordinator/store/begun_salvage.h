// The note in a coordinator's data folder that a salvage (coordinator/backup/salvage.h) has begun to move databases and
// was not done yet. Until it is, one may lie there without its log, or not at all: nobody else opens them. Stateless;
// any thread.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace sink::store {

std::string SalvageNote(const std::string& folder);

// FAILED_PRECONDITION while the note is there.
absl::Status RefuseBegunSalvage(const std::string& folder);

}  // namespace sink::store
