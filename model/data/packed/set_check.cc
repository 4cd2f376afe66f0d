// See set_check.h.
#include "model/data/packed/set_check.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/base/data_error.h"
#include "model/base/or_throw.h"
#include "model/base/ordered_pipeline.h"
#include "model/data/corpus/corpus.h"
#include "model/data/packed/chunk_writer.h"
#include "model/data/packed/line_batches.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/reading.h"
#include "model/data/tokenizer/tokenizer.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"
#include "proto/run/set_gap.h"
#include "proto/run/set_hashes.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

constexpr char kRemedy[] = "; copy the set anew, or remove it and re-run sink-data pack";

std::unique_ptr<Tokenizer> TokenizerOf(const PackedSet& set) {
  if (!set.tokenizer) throw DataError(set.folder.string() + ": has no set.json that tells its tokenizer");
  if (set.tokenizer->name == kBytesTokenizer) return NewByteTokenizer();
  const fs::path path = set.folder / set.tokenizer->name;
  return NewTokenizer(OrThrowReading(files::ReadFile(path, kMaxTokenizerBytes)), path.string());
}

// What stands before the domains of the sources in the files' names, the same before all (PackOptions::short_name).
std::string PrefixOf(const PackedSet& set, const std::vector<CorpusFile>& sources) {
  std::set<std::string> domains;
  for (const CorpusFile& source : sources) domains.insert(source.domain);
  const auto is_before_all = [&](const std::string& prefix) {
    return std::all_of(set.files.begin(), set.files.end(), [&](const SetFile& file) {
      return file.domain.starts_with(prefix) && domains.contains(file.domain.substr(prefix.size()));
    });
  };
  if (is_before_all("")) return "";
  const std::string& named = set.files[0].domain;
  for (const std::string& domain : domains) {
    const std::string prefix = named.ends_with("_" + domain) ? named.substr(0, named.size() - domain.size()) : "";
    if (!prefix.empty() && is_before_all(prefix)) return prefix;
  }
  throw DataError(set.folder.string() + ": its files are not named after its sources" + kRemedy);
}

std::vector<CorpusFile> SourcesOf(const PackedSet& set, const fs::path& corpus) {
  std::vector<CorpusFile> sources;
  for (const char* split : {"train", "valid"}) {
    for (CorpusFile& source : ListCorpus(corpus, split, {.ignore_others = true})) sources.push_back(std::move(source));
  }
  const std::string prefix = PrefixOf(set, sources);
  for (CorpusFile& source : sources) source.domain = prefix + source.domain;
  return sources;
}

void CompareTokens(const fs::path& path, std::span<const int32_t> tokens) {
  const PackedFile file(path);
  std::vector<int32_t> there(file.header().tokens);
  file.Read(0, there);
  if (std::equal(there.begin(), there.end(), tokens.begin(), tokens.end())) return;
  throw DataError(path.string() + ": does not hold the tokens that its sources give" + kRemedy);
}

}  // namespace

bool CheckHashes(const PackedSet& set) {
  const run::SetHashes hashes = OrThrowReading(run::ReadSetHashes(set.folder));
  if (hashes.empty()) return false;
  if (const auto gap = run::FindSetGap(set.folder)) throw DataError(gap.message() + kRemedy);
  for (const SetFile& file : set.files) {
    const std::string path = set.folder / file.name;
    const auto hash = hashes.find(file.name);
    if (hash == hashes.end())
      throw DataError((set.folder / run::kSetHashesFile).string() + ": has no hash of " + file.name + kRemedy);
    if (OrThrowReading(files::HashFile(path)).xxh3 != hash->second)
      throw DataError(run::OtherContent(path).message() + kRemedy);
  }
  return true;
}

void CheckTokens(const PackedSet& set, const fs::path& corpus, int threads) {
  const std::vector<CorpusFile> sources = SourcesOf(set, corpus);
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;  // one a thread
  tokenizers.push_back(TokenizerOf(set));
  for (int i = 1; i < threads; ++i) tokenizers.push_back(tokenizers[0]->Clone());
  std::vector<size_t> all(sources.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  BatchReader reader(sources, std::move(all));
  std::optional<ChunkWriter> writer;  // of the source that is being read
  std::vector<SetFile> wanted;
  const auto compare = [](const fs::path& path, std::span<const int32_t> tokens) {
    CompareTokens(path, tokens);
    return std::string();
  };
  const auto take = [&](const LineBatch& batch) {
    const CorpusFile& source = sources[batch.source];
    if (!writer) {
      writer.emplace(set.folder, source, set.block, source.split == "train" ? set.chunk_blocks : set.valid_chunk_blocks,
                     compare);
    }
    for (const CorpusLine& line : batch.lines) {
      if (line.error.empty()) writer->Append(line.ids);
    }
    if (!batch.last) return;
    if (!set.drop_tail) writer->FinishFilledUp(tokenizers[0]->eos_id());
    wanted.insert(wanted.end(), writer->files().begin(), writer->files().end());
    writer.reset();
  };
  OrderedPipeline<LineBatch>(
      {.read = [&] { return reader.Next(); },
       .work = [&](int thread, LineBatch& batch) { EncodeBatch(tokenizers[thread].get(), set.text_key, &batch); },
       .take = [&](LineBatch& batch) { take(batch); }})
      .Run(threads);
  std::sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto same = [](const SetFile& a, const SetFile& b) { return a.name == b.name && a.blocks == b.blocks; };
  if (!std::equal(wanted.begin(), wanted.end(), set.files.begin(), set.files.end(), same))
    throw DataError(set.folder.string() + ": has other files than its sources give" + kRemedy);
}

}  // namespace sink::data
