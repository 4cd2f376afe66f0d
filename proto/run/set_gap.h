// Whether the copy of a packed data set on this machine is whole, as far as set.json, the names in files.xxh128 and the
// sizes of its files tell: a look at each file's entry, none at what it holds (set_hashes.h). A worker does not offer a
// set that a copy has left half done. Stateless; any thread.
#pragma once

#include <string>

#include "proto/files/file_error.h"

namespace sink::run {

// The first file that set.json lists and that is not there, or has not the size of its whole chunk, or has no hash
// where the set has hashes, as a copy has whose list of them was cut. Where a folder has hashes, which come with a
// set.json, also that file, or the first other one that has a hash, where it is not there: a copy brings them in any
// order. No error where all are whole, and where nothing says what there must be: a set of other programs has neither,
// and a set.json that is malformed is for those to refuse that read it.
files::FileError FindSetGap(const std::string& folder);

}  // namespace sink::run
