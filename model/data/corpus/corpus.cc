// See corpus.h.
#include "model/data/corpus/corpus.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>

#include "model/base/data_error.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

constexpr char kNone[] = ": no *.jsonl, *.ndjson or *.json files there, plain, .gz or .zst";
constexpr char kLayout[] = "; a corpus has train/ and valid/, one file a domain";
constexpr size_t kMaxNamed = 5;  // files in an error

bool CutEnd(std::string* name, std::string_view end) {
  if (!name->ends_with(end)) return false;
  name->resize(name->size() - end.size());
  return true;
}

bool IsJsonLines(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (!CutEnd(&name, ".gz")) CutEnd(&name, ".zst");
  return CutEnd(&name, ".jsonl") || CutEnd(&name, ".ndjson") || CutEnd(&name, ".json");
}

std::string DomainOf(const fs::path& path) {
  const std::string file = path.filename().string();
  std::string domain = file.substr(0, file.find('.'));
  if (!IsDomain(domain)) {
    throw DataError(path.string() + ": a file's name before the first dot becomes its domain and must be 1 to 64 of " +
                    "A-Z a-z 0-9 _ -; rename it");
  }
  return domain;
}

// What lies in a folder.
struct Listing {
  std::vector<fs::path> files;      // JSON lines, by name
  std::vector<std::string> others;  // names, by name
};

Listing List(const fs::path& folder) {
  Listing found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code unreadable;  // a link that leads nowhere
    if (entry->is_regular_file(unreadable) && IsJsonLines(name)) {
      found.files.push_back(entry->path());
    } else if (!name.starts_with('.')) {
      found.others.push_back(name + (entry->is_directory(unreadable) ? "/" : ""));
    }
  }
  if (error) throw DataError(folder.string() + kNone + " (" + error.message() + ")" + kLayout);
  std::sort(found.files.begin(), found.files.end());
  std::sort(found.others.begin(), found.others.end());
  return found;
}

// "a, b/, c and 3 more".
std::string Join(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMaxNamed); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() <= kMaxNamed ? text : text + " and " + std::to_string(names.size() - kMaxNamed) + " more";
}

}  // namespace

bool IsDomain(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

std::vector<CorpusFile> ListCorpus(const fs::path& corpus, const std::string& split, const CorpusOptions& options) {
  const fs::path folder = corpus / split;
  const Listing found = List(folder);
  if (found.files.empty()) {
    throw DataError(folder.string() + kNone + (found.others.empty() ? "" : " (but " + Join(found.others) + ")") +
                    kLayout);
  }
  if (!found.others.empty() && !options.ignore_others) {
    throw DataError(folder.string() + ": " + Join(found.others) + " would not be read; move it away, make it *.jsonl" +
                    " (plain, .gz or .zst) in that folder itself, or pass over it with --ignore-others");
  }
  std::vector<CorpusFile> files;
  std::map<std::string, int64_t> next_id;
  for (const fs::path& path : found.files) {
    const std::string domain = DomainOf(path);
    files.push_back(
        {.path = path, .split = split, .domain = domain, .id = next_id[domain]++, .bytes = fs::file_size(path)});
  }
  return files;
}

}  // namespace sink::data
