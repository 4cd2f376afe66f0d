// Turns a JSON-lines corpus (train/ and valid/, one file a domain) into a packed set. The output is a function of the
// inputs and the options alone, whatever the number of threads.
// Pack() uses the caller's thread and starts others; callbacks come from any of them, but from one at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "model/data/corpus/corpus.h"
#include "model/data/packed/packed_set.h"

namespace sink::data {

struct PackProgress {
  size_t files_done = 0, files = 0;    // sources
  uint64_t bytes_done = 0, bytes = 0;  // of input
  int64_t tokens = 0;
};

struct PackOptions {
  std::filesystem::path in;   // a corpus (corpus.h)
  std::filesystem::path out;  // the set; appears when it is complete
  CorpusOptions corpus;
  std::string tokenizer = "bytes";
  int64_t block = kDefaultBlock;
  int64_t chunk_blocks = 256;       // blocks in a file of train
  int64_t valid_chunk_blocks = 64;  // and of valid
  bool drop_tail = false;           // leave out what fills no whole chunk of a source, so that nothing is filled up
  std::string short_name;           // stands before the domain in files' names, with a '_', unless it is empty
  int64_t max_bad_lines = 100;      // of the whole corpus
  int threads = 1;
  std::function<void(const PackProgress&)> progress = [](const PackProgress&) {};
  std::function<void(const std::string&)> warn = [](const std::string&) {};  // one sentence
};

struct PackResult {
  PackedSet set;
  bool already_complete = false;  // the same inputs and options had been packed; nothing was done
};

// Documents of a source are concatenated, each followed by EOS, and cut into blocks; only whole blocks count. A
// source's last file is filled up with EOS to its full chunk, as TinyLlama's reader wants all chunks equal; set.json
// tells how many of its blocks hold text, and the loader reads no others. TinyLlama's reader does: drop_tail is for it.
// Threads take batches of lines in order, across the ends of sources, and hand them on in the same order; no more
// batches than threads are in memory. A source that is done is written down in out.partial, so that a run after a crash
// or an error goes on with the next one, unless the options or the source have changed.
// Sources are the same when their content is: a complete set and a source that is done hold for files of the same
// names and hashes alone. (Of a set of an older version, without hashes, sizes and times are compared, with a warning.)
// A malformed line is skipped and warned of as file:line. DataError when there are more than max_bad_lines, when a
// source has not one good line, when the corpus has no train/ or valid/ text or less than one block of a split, when
// out holds something else, or a complete set of which a file is not what was packed, or on a full disk.
PackResult Pack(const PackOptions& options);

}  // namespace sink::data
