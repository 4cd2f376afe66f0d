// Whether the files of a set hold the tokens that were packed: by their hashes, or, where a set of an older version has
// none, by packing its sources once more. Functions of the disk; any thread.
#pragma once

#include <filesystem>

#include "model/data/packed/packed_set.h"

namespace sink::data {

// Compares every file with its hash (proto/run/set_hashes.h); false when the set has no hashes. DataError on a file
// that has none or another one, and where set.json or a file that has a hash is not there (proto/run/set_gap.h).
bool CheckHashes(const PackedSet& set);

// Tokenises the files of `corpus`, which must be those that the set was packed from, and compares every token.
// DataError on a file that holds others.
void CheckTokens(const PackedSet& set, const std::filesystem::path& corpus, int threads);

}  // namespace sink::data
