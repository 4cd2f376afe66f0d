// Whether the packed set in a folder holds the bytes that were packed: every file is read and compared with its hash
// (proto/run/set_hashes.h). Reads the disk, as long as that takes; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "proto/files/file_error.h"

namespace sink::doctor {

// Of the files of which the set has hashes; 0 where it has none, as one that an older version packed.
uint64_t HashedBytes(const std::string& folder);

// The first file that cannot be read or has another hash; no error when all are right. `go_on` hears now and then how
// many bytes of the set are read by now; false ends the reading with ECANCELED.
files::FileError FindOtherBytes(const std::string& folder, const std::function<bool(uint64_t read)>& go_on);

}  // namespace sink::doctor
