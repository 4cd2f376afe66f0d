// See corpus.h.
#include "model/data/corpus/corpus.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "model/base/data_error.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

bool IsJsonLines(const std::string& file) {
  return file.ends_with(".jsonl") || file.ends_with(".jsonl.gz") || file.ends_with(".jsonl.zst");
}

std::string DomainOf(const fs::path& path) {
  const std::string file = path.filename().string();
  std::string domain = file.substr(0, file.find('.'));
  const bool fits = !domain.empty() && domain.size() <= 64 &&
                    std::all_of(domain.begin(), domain.end(),
                                [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
  if (!fits) {
    throw DataError(path.string() + ": a file's name before the first dot becomes its domain and must be 1 to 64 of " +
                    "A-Z a-z 0-9 _ -; rename it");
  }
  return domain;
}

}  // namespace

std::vector<CorpusFile> ListCorpus(const fs::path& corpus, const std::string& split) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::directory_iterator entry(corpus / split, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->is_regular_file() && IsJsonLines(entry->path().filename().string())) paths.push_back(entry->path());
  }
  if (paths.empty()) {
    throw DataError((corpus / split).string() + ": no *.jsonl, *.jsonl.gz or *.jsonl.zst files there" +
                    (error ? " (" + error.message() + ")" : "") +
                    "; a corpus has train/ and valid/, one file a domain");
  }
  std::sort(paths.begin(), paths.end());
  std::vector<CorpusFile> files;
  std::map<std::string, int64_t> next_id;
  for (const fs::path& path : paths) {
    const std::string domain = DomainOf(path);
    files.push_back(
        {.path = path, .split = split, .domain = domain, .id = next_id[domain]++, .bytes = fs::file_size(path)});
  }
  return files;
}

}  // namespace sink::data
