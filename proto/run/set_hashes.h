// The hashes of a packed set's files, which tell a good copy from one with the right sizes and wrong bytes. They lie
// in files.xxh128 beside set.json, in the form of xxh128sum: `xxh128sum --check files.xxh128` compares them too, and
// what xxh128sum prints of all *.bin gives them to a set of an older version. They are no part of set.json because its
// bytes are the set's fingerprint (set_fingerprint.h), which databases and checkpoints keep, and on which workers of
// all versions must agree. Stateless; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "proto/files/file_error.h"

namespace sink::run {

inline constexpr char kSetHashesFile[] = "files.xxh128";

using SetHashes = std::map<std::string, std::string>;  // XXH3-128 of each packed file (proto/files/hash.h), by its name

std::string PrintSetHashes(const SetHashes& hashes);
// kDamaged, beginning with `name`, on what is not whole lines of that form, and where there is none.
files::FileResult<SetHashes> ParseSetHashes(std::string_view text, const std::string& name);

// Those of the set in a folder. Empty where it has none, as older versions and other programs pack.
files::FileResult<SetHashes> ReadSetHashes(const std::string& folder);

// What to say of a file whose bytes have another hash.
files::FileError OtherContent(const std::string& path);

}  // namespace sink::run
