// Real text without a download: two public-domain books that Debian packages, as a JSON-lines corpus of two domains:
// gcide (Webster's dictionary of 1913, 40 MB) and bible (King James, 4 MB).
// Pure but for MakeSampleCorpus, which reads and writes the disk; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sink::data {

inline constexpr char kCorpusFileName[] = "corpus.json";

struct SampleCorpusOptions {
  std::filesystem::path out;
  std::filesystem::path dictionary = "/usr/share/dictd/gcide.dict.dz";  // of the package dict-gcide
  std::filesystem::path bible_program = "/usr/bin/bible";               // of bible-kjv, with the text of bible-kjv-text
};

struct SampleCorpusResult {
  bool already_complete = false;
  std::map<std::string, int64_t> documents;  // "train/gcide" -> count
};

// Writes out/{train,valid}/{gcide,bible}.jsonl and corpus.json; every 50th document is held out. The folder appears
// when it is complete; a complete one is left alone. DataError naming the missing Debian package.
SampleCorpusResult MakeSampleCorpus(const SampleCorpusOptions& options);

// Documents of a dictd text: consecutive entries (an unindented line after a blank one starts an entry) up to about
// 4 KiB. What comes before the first headword with a pronunciation (the dictionary's licence) is left out.
std::vector<std::string> SplitDictionary(std::string_view text);

// Documents of `bible -f` output ("Ge1:1 In the beginning..."): a chapter each, a verse a line, references left out.
std::vector<std::string> SplitBible(std::string_view text);

}  // namespace sink::data
