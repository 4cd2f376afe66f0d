// The files of a JSON-lines corpus: train/ and valid/, one file a domain (regmix-data-sample's layout).
// Plain values; the function reads the disk and may be called from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "model/data/corpus/json_lines.h"

namespace sink::data {

// How a corpus is read.
struct CorpusOptions {
  std::string text_key = kTextKey;  // the field of a line that holds its text
  bool ignore_others = false;       // pass over what ListCorpus would refuse
};

struct CorpusFile {
  std::filesystem::path path;
  std::string split;   // "train" or "valid"
  std::string domain;  // the file's name before the first dot
  int64_t id = 0;      // counts the files of one split and domain
  uint64_t bytes = 0;

  std::string name() const { return split + "/" + path.filename().string(); }
};

// 1 to 64 letters, digits, '_' and '-'.
bool IsDomain(std::string_view text);

// The split's files by name: *.jsonl, *.ndjson and *.json, also with .gz or .zst behind, in any case. Hidden files (.x)
// are passed over. DataError when there is none of them, when something else is there (another compression, a folder, a
// FIFO), which is then named, unless options.ignore_others, and when a name gives no domain.
std::vector<CorpusFile> ListCorpus(const std::filesystem::path& corpus, const std::string& split,
                                   const CorpusOptions& options = {});

}  // namespace sink::data
