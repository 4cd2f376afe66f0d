// What a packed data set should hold, as one hash: two folders with the same fingerprint, of which every file is as it
// was packed, give a trainer the same tokens, on whatever machine they lie. Workers tell it to the coordinator, which
// places jobs by it, and checkpoints keep it. It does not tell that a copy was spoiled on its way: for that a set has
// hashes of its files (set_hashes.h), which are no part of it.
//
// Of a set whose set.json has the hash of every source: XXH3-128 of set.json, which with these hashes, the tokenizer's
// and the block sizes determines every packed file. Of any other set, as older versions or other programs packed them:
// XXH3-128 over set.json, if there is one, and of each packed file, by name, its name, its size, and its first and last
// 4 KiB. That is a sample, for such a set may be terabytes: it tells sets apart that were packed from other texts, not
// ones in which a byte has changed. Stateless; any thread.
#pragma once

#include <string>

#include "proto/files/file_error.h"

namespace sink::run {

// 32 hex digits. ENOENT when the folder is not there or holds no packed set.
files::FileResult<std::string> SetFingerprint(const std::string& folder);

}  // namespace sink::run
