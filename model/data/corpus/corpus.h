// The files of a JSON-lines corpus: train/ and valid/, one file a domain (regmix-data-sample's layout).
// Plain values; the function reads the disk and may be called from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sink::data {

struct CorpusFile {
  std::filesystem::path path;
  std::string split;   // "train" or "valid"
  std::string domain;  // the file's name before the first dot
  int64_t id = 0;      // counts the files of one split and domain
  uint64_t bytes = 0;

  std::string name() const { return split + "/" + path.filename().string(); }
};

// The split's *.jsonl, *.jsonl.gz and *.jsonl.zst, by name; other files are passed over. DataError when there is none
// or a name gives no domain of 1 to 64 letters, digits, '_' and '-'.
std::vector<CorpusFile> ListCorpus(const std::filesystem::path& corpus, const std::string& split);

}  // namespace sink::data
