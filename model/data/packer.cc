// See packer.h.
#include "model/data/packer.h"

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "model/data/corpus.h"
#include "model/data/error.h"
#include "model/data/file_io.h"
#include "model/data/json_lines.h"
#include "model/data/line_reader.h"
#include "model/data/litpkds.h"
#include "model/data/tokenizer.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBatchBytes = 8 << 20;  // of lines that are tokenised together
constexpr char kTokenizerFile[] = "tokenizer.json";

// Cuts one source's tokens into files.
class ChunkWriter {
 public:
  ChunkWriter(const fs::path& folder, const CorpusFile& source, TokenType type, int64_t block, int64_t chunk_blocks)
      : folder_(folder), source_(source), type_(type), block_(block), chunk_tokens_(block * chunk_blocks) {}

  void Append(const std::vector<int32_t>& ids) {
    tokens_.insert(tokens_.end(), ids.begin(), ids.end());
    size_t begin = 0;
    for (; tokens_.size() - begin >= static_cast<size_t>(chunk_tokens_); begin += chunk_tokens_) {
      Write({tokens_.data() + begin, static_cast<size_t>(chunk_tokens_)}, chunk_tokens_ / block_);
    }
    tokens_.erase(tokens_.begin(), tokens_.begin() + begin);
  }

  void Finish(int32_t eos) {
    const auto blocks = static_cast<int64_t>(tokens_.size()) / block_;
    if (blocks == 0) return;
    tokens_.resize(chunk_tokens_, eos);
    Write(tokens_, blocks);
  }

  const std::vector<SetFile>& files() const { return files_; }

 private:
  void Write(std::span<const int32_t> tokens, int64_t blocks) {
    const auto counter = static_cast<int64_t>(files_.size());
    SetFile file = {.name = SetFileName(source_.split, source_.domain, source_.id, counter),
                    .split = source_.split,
                    .domain = source_.domain,
                    .blocks = blocks};
    WritePackedFile(folder_ / file.name, type_, tokens);
    files_.push_back(std::move(file));
  }

  fs::path folder_;
  const CorpusFile& source_;
  TokenType type_;
  int64_t block_, chunk_tokens_;
  std::vector<int32_t> tokens_;
  std::vector<SetFile> files_;
};

struct Line {
  int64_t number = 0;
  std::string text;          // as read
  std::vector<int32_t> ids;  // EOS included
  std::string error;
};

// Parses and tokenises the lines of a batch, on as many threads as there are tokenizers.
void EncodeBatch(const std::vector<std::unique_ptr<Tokenizer>>& tokenizers, std::vector<Line>* lines) {
  std::atomic<size_t> next = 0;
  const auto work = [&](Tokenizer* tokenizer) {
    for (size_t i = next++; i < lines->size(); i = next++) {
      Line& line = (*lines)[i];
      if (!line.error.empty()) continue;
      TextResult parsed = ParseTextLine(line.text);
      line.text.clear();
      if (!parsed.text) {
        line.error = std::move(parsed.error);
        continue;
      }
      tokenizer->Encode(*parsed.text, &line.ids);
      line.ids.push_back(tokenizer->eos_id());
    }
  };
  std::vector<std::future<void>> others;
  for (size_t i = 1; i < tokenizers.size(); ++i) {
    others.push_back(std::async(std::launch::async, work, tokenizers[i].get()));
  }
  work(tokenizers[0].get());
  for (std::future<void>& other : others) other.get();
}

class Packer {
 public:
  Packer(const PackOptions& options, const Tokenizer& tokenizer, uint64_t total_bytes)
      : options_(options),
        total_bytes_(total_bytes),
        eos_(tokenizer.eos_id()),
        type_(TokenTypeFor(tokenizer.vocab_size())) {
    for (int i = 0; i < std::max(1, options.threads); ++i) tokenizers_.push_back(tokenizer.Clone());
  }

  // Packs one source into folder and adds its files and counts to the set.
  void Add(const fs::path& folder, const CorpusFile& source, PackedSet* set) {
    SetSource counts = {.path = source.name(), .bytes = source.bytes};
    ChunkWriter writer(folder, source, type_, options_.block,
                       source.split == "train" ? options_.chunk_blocks : options_.valid_chunk_blocks);
    LineReader reader(source.path);
    for (std::vector<Line> batch = ReadBatch(&reader); !batch.empty(); batch = ReadBatch(&reader)) {
      EncodeBatch(tokenizers_, &batch);
      for (const Line& line : batch) {
        if (!line.error.empty()) {
          ++counts.bad_lines;
          CountBadLine(source.path.string() + ":" + std::to_string(line.number) + ": " + line.error);
          continue;
        }
        ++counts.documents;
        counts.tokens += line.ids.size();
        writer.Append(line.ids);
      }
      options_.progress(done_bytes_ + reader.consumed(), total_bytes_);
    }
    writer.Finish(eos_);
    done_bytes_ += source.bytes;
    if (writer.files().empty()) {
      options_.warn(source.path.string() + ": " + std::to_string(counts.tokens) +
                    " tokens are less than one block of " + std::to_string(options_.block) +
                    "; none of it was packed (see --block)");
    }
    set->sources.push_back(std::move(counts));
    set->files.insert(set->files.end(), writer.files().begin(), writer.files().end());
  }

 private:
  static std::vector<Line> ReadBatch(LineReader* reader) {
    std::vector<Line> batch;
    Line line;
    for (size_t bytes = 0; bytes < kBatchBytes && reader->Next(&line.text); line = {}) {
      if (line.text.empty() && !reader->too_long()) continue;
      if (reader->too_long()) line.error = "longer than " + std::to_string(kMaxLineBytes >> 20) + " MiB";
      line.number = reader->line_number();
      bytes += line.text.size();
      batch.push_back(std::move(line));
    }
    return batch;
  }

  void CountBadLine(const std::string& what) {
    if (++bad_lines_ > options_.max_bad_lines) {
      throw DataError(what + "; more than " + std::to_string(options_.max_bad_lines) +
                      " bad lines, nothing was packed (correct them, or raise --max-bad-lines)");
    }
    options_.warn(what + "; line skipped");
  }

  const PackOptions& options_;
  uint64_t total_bytes_, done_bytes_ = 0;
  int32_t eos_;
  TokenType type_;
  int64_t bad_lines_ = 0;
  std::vector<std::unique_ptr<Tokenizer>> tokenizers_;
};

std::string HexHash(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  char hex[33];
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return hex;
}

// Says whether `existing` was made from what `wanted` asks for; throws when it is another set.
void CheckSameSet(const PackedSet& existing, const PackedSet& wanted, const std::vector<CorpusFile>& sources) {
  std::string difference;
  if (existing.tokenizer != wanted.tokenizer) difference = "another tokenizer";
  if (existing.block != wanted.block || existing.chunk_blocks != wanted.chunk_blocks ||
      existing.valid_chunk_blocks != wanted.valid_chunk_blocks) {
    difference = "other block or chunk sizes";
  }
  const bool same_sources = std::equal(
      existing.sources.begin(), existing.sources.end(), sources.begin(), sources.end(),
      [](const SetSource& had, const CorpusFile& has) { return had.path == has.name() && had.bytes == has.bytes; });
  if (!same_sources) difference = "other source files";
  if (!difference.empty()) {
    throw DataError(existing.folder.string() + " already holds a set packed with " + difference +
                    "; remove it or choose another --out");
  }
  for (const SetFile& file : existing.files) PackedFile(existing.folder / file.name);
}

}  // namespace

PackResult Pack(const PackOptions& options) {
  if (options.block < 2 || options.chunk_blocks < 1 || options.valid_chunk_blocks < 1 ||
      options.block > kMaxPackedTokens / std::max(options.chunk_blocks, options.valid_chunk_blocks)) {
    throw DataError("block and chunk sizes must be positive and a chunk at most " + std::to_string(kMaxPackedTokens) +
                    " tokens");
  }
  std::vector<CorpusFile> sources = ListCorpus(options.in, "train");
  for (CorpusFile& source : ListCorpus(options.in, "valid")) sources.push_back(std::move(source));
  const bool bytes = options.tokenizer == kBytesTokenizer;
  const std::string tokenizer_json = bytes ? "" : ReadWholeFile(options.tokenizer, kMaxTokenizerBytes);
  const std::unique_ptr<Tokenizer> tokenizer =
      bytes ? NewByteTokenizer() : NewTokenizer(tokenizer_json, options.tokenizer);

  PackResult result;
  PackedSet& set = result.set;
  set.folder = options.out;
  set.block = options.block;
  set.chunk_blocks = options.chunk_blocks;
  set.valid_chunk_blocks = options.valid_chunk_blocks;
  set.tokenizer = {.name = bytes ? kBytesTokenizer : kTokenizerFile,
                   .hash = bytes ? "" : HexHash(tokenizer_json),
                   .vocab_size = tokenizer->vocab_size(),
                   .eos_id = tokenizer->eos_id()};
  if (fs::exists(options.out / kSetFileName)) {
    PackedSet existing = OpenSet(options.out);
    CheckSameSet(existing, set, sources);
    return {.set = std::move(existing), .already_complete = true};
  }

  StagedFolder staged(options.out);
  uint64_t total_bytes = 0;
  for (const CorpusFile& source : sources) total_bytes += source.bytes;
  Packer packer(options, *tokenizer, total_bytes);
  for (const CorpusFile& source : sources) packer.Add(staged.staging(), source, &set);
  for (const char* split : {"train", "valid"}) {
    if (std::none_of(set.files.begin(), set.files.end(), [&](const SetFile& file) { return file.split == split; })) {
      throw DataError((options.in / split).string() + ": less than one block of " + std::to_string(options.block) +
                      " tokens in every file; add text or lower --block");
    }
  }
  std::sort(set.files.begin(), set.files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  if (!bytes) WriteFileDurably(staged.staging() / kTokenizerFile, tokenizer_json);
  WriteFileDurably(staged.staging() / kSetFileName, PrintSet(set));
  staged.Commit();
  return result;
}

}  // namespace sink::data
