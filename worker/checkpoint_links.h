// Keeps a checkpoint of this machine beyond its trainer's folder. Functions of the file system only; any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "proto/run/manifest.h"

namespace sink::worker {

// Makes `to` hold the manifest's files as hard links to those in `from`, or copies where links do not go. The files of
// a checkpoint never change, and a link keeps them alive when the trainer deletes the folder. `to` appears complete or
// not at all. `reader`: a user who is to read it there: what is neither that user's nor this process's own is copied,
// so that this process can give it away.
absl::Status LinkCheckpoint(const std::string& from, const std::string& to, const run::Manifest& manifest,
                            std::optional<uid_t> reader = std::nullopt);

}  // namespace sink::worker
