// What sink-backup prints: what was done to standard output, what could not be to standard error. Used by main.cc.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/backup/adopt.h"
#include "coordinator/backup/backup.h"
#include "coordinator/backup/replacement.h"

namespace sink::backup {

// Each returns the program's exit status. `data`: the coordinator's folder; `did`: "copied".
int Tell(const char* did, const std::string& data, const absl::StatusOr<Report>& report);
int Tell(const std::string& data, const absl::StatusOr<Replaced>& salvaged);
int Tell(const absl::Status& status, const Adoption& adoption);

}  // namespace sink::backup
