// sink-data verify: reads every token of a packed set, compares its files with their hashes, and, where it is told
// where they are, looks at the set's sources. Of a set without hashes the sources are packed once more to compare.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "model/base/data_error.h"
#include "model/base/or_throw.h"
#include "model/data/commands/data_commands.h"
#include "model/data/corpus/corpus.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"
#include "model/data/packed/set_check.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"

namespace sink::data {
namespace {

struct VerifyOptions {
  std::string folder;
  std::string corpus;  // "" to leave the sources alone
};

// How many tokens there are.
int64_t VerifyTokens(const PackedSet& set) {
  int64_t tokens = 0;
  std::vector<int32_t> block;
  for (const SetFile& entry : set.files) {
    const PackedFile file(set.folder / entry.name);
    if (entry.blocks * set.block > file.header().tokens) {
      throw DataError(file.path() + ": shorter than set.json says; re-run sink-data pack");
    }
    block.resize(set.block);  // the file has so many
    for (int64_t i = 0; i < entry.blocks; ++i) {
      file.Read(i * set.block, block);
      for (const int32_t id : block) {
        if (id < 0 || (set.tokenizer && id >= set.tokenizer->vocab_size)) {
          throw DataError(file.path() + ": block " + std::to_string(i) + " holds id " + std::to_string(id) +
                          ", which the set's tokenizer does not have; re-run sink-data pack");
        }
      }
      tokens += set.block;
    }
  }
  return tokens;
}

void VerifyTokenizer(const PackedSet& set) {
  if (!set.tokenizer || set.tokenizer->hash.empty()) return;
  const std::filesystem::path path = set.folder / std::filesystem::path(set.tokenizer->name).filename();
  if (OrThrow<DataError>(files::HashFile(path)).xxh3 == set.tokenizer->hash) return;
  throw DataError(path.string() + ": is not the tokenizer that the set was packed with; re-run sink-data pack");
}

// Holds the files of a corpus to what the set was packed from.
void VerifySources(const PackedSet& set, const std::string& corpus) {
  if (set.sources.empty()) throw DataError(set.folder.string() + ": has no set.json that tells its sources");
  std::string wrong;  // a list of what
  const auto add = [&](const std::string& name, const char* what) {
    wrong += (wrong.empty() ? "" : ", ") + name + " " + what;
  };
  for (const SetSource& source : set.sources) {
    const std::filesystem::path path = std::filesystem::path(corpus) / source.path;
    if (!std::filesystem::is_regular_file(path)) {
      add(source.path, "is not there");
    } else if (source.xxh3.empty()) {
      throw DataError(set.folder.string() +
                      ": was packed by an older version, which kept no hashes of its sources; re-run sink-data pack");
    } else if (OrThrow<DataError>(files::HashFile(path)) != files::FileDigest{source.bytes, source.xxh3}) {
      add(source.path, "has changed");
    }
  }
  for (const char* split : {"train", "valid"}) {
    for (const CorpusFile& file : ListCorpus(corpus, split, {.ignore_others = true})) {
      const auto is_it = [&](const SetSource& source) { return source.path == file.name(); };
      if (std::none_of(set.sources.begin(), set.sources.end(), is_it)) add(file.name(), "is not in the set");
    }
  }
  if (!wrong.empty()) {
    throw DataError(set.folder.string() + ": is not what " + corpus + " would give now: " + wrong +
                    "; re-run sink-data pack");
  }
}

// What is to be said of what was found well.
std::string Verdict(bool hashed, bool sources) {
  if (sources) return "all well, as are its sources";
  if (hashed) return "all well (its sources were not looked at, see --sources)";
  std::string verdict = "all ids are its tokenizer's, but it was packed without ";  // with + GCC 12 warns for nothing
  verdict += run::kSetHashesFile;
  verdict += ": whether these are the tokens that were packed tells --sources alone";
  return verdict;
}

void Verify(const VerifyOptions& options) {
  const PackedSet set = OpenSet(options.folder);
  const int64_t tokens = VerifyTokens(set);
  VerifyTokenizer(set);
  const bool hashed = CheckHashes(set);
  if (!options.corpus.empty()) {
    VerifySources(set, options.corpus);
    if (!hashed) CheckTokens(set, options.corpus, static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  }
  std::printf("%s: %zu files, %lld tokens, %s\n", options.folder.c_str(), set.files.size(),
              static_cast<long long>(tokens), Verdict(hashed, !options.corpus.empty()).c_str());
}

}  // namespace

void AddVerifyCommand(args::Command program) {
  args::Command command = program.AddCommand("verify", "Check every file and every token of a packed set");
  auto options = std::make_shared<VerifyOptions>();
  command.AddOption("set", options->folder, "The set's folder").Required();
  command.AddOption("--sources", options->corpus, "The corpus: is its text still what was packed?");
  command.SetFooter(
      "Examples:\n"
      "  sink-data verify data/sample-bytes\n"
      "  sink-data verify data/sample-bytes --sources corpus");
  command.OnParsed([options] { Verify(*options); });
}

}  // namespace sink::data
