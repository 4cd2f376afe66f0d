// See packer.h.
#include "model/data/packed/packer.h"

#include <algorithm>
#include <cstdio>
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
#include "model/data/packed/set_check.h"
#include "model/data/tokenizer/tokenizer.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"
#include "proto/files/staged_folder.h"
#include "proto/run/set_hashes.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

constexpr char kPlanFile[] = "plan.json";
constexpr char kDoneSuffix[] = ".done";
constexpr uint64_t kMaxDoneBytes = 64 << 20;

// What a source or split must fill to be in a set at all, and what makes that smaller.
std::string LeastPacked(const PackOptions& options) {
  const std::string block = "block of " + std::to_string(options.block) + " tokens";
  return options.drop_tail ? "whole chunk of blocks, and --drop-tail leaves out the rest (see --chunk-blocks, " +
                                 std::string("--valid-chunk-blocks)")
                           : block + " (see --block)";
}

// Whether these are the bytes that a source of a set was packed from. DataError when they cannot be read.
bool IsSame(const SetSource& packed, const CorpusFile& source) {
  if (packed.path != source.name() || packed.bytes != source.bytes) return false;
  return OrThrow<DataError>(files::HashFile(source.path)).xxh3 == packed.xxh3;
}

// Packs the sources of a corpus into a folder, those that an earlier run has done excepted.
class Packer {
 public:
  Packer(const PackOptions& options, const Tokenizer& tokenizer, const std::vector<CorpusFile>& sources,
         files::StagedFolder* staged)
      : options_(options),
        tokenizer_(tokenizer),
        type_(TokenTypeFor(tokenizer.vocab_size())),
        sources_(sources),
        staged_(staged),
        results_(sources.size()) {
    progress_.files = sources.size();
    for (const CorpusFile& source : sources) progress_.bytes += source.bytes;
  }

  // Adds what became of every source to the set, in the order of the sources.
  void Run(PackedSet* set) {
    std::vector<size_t> wanted;
    for (size_t i = 0; i < sources_.size(); ++i) {
      if (!Restore(i)) wanted.push_back(i);
    }
    RemoveFilesOfUnfinishedSources();
    options_.progress(progress_);
    const int threads = std::max(1, options_.threads);
    std::vector<std::unique_ptr<Tokenizer>> tokenizers;  // one a thread
    for (int i = 0; i < threads; ++i) tokenizers.push_back(tokenizer_.Clone());
    BatchReader reader(sources_, std::move(wanted));
    OrderedPipeline<LineBatch>(
        {.read = [&] { return reader.Next(); },
         .work = [&](int thread,
                     LineBatch& batch) { EncodeBatch(tokenizers[thread].get(), options_.corpus.text_key, &batch); },
         .take = [&](LineBatch& batch) { Write(batch); }})
        .Run(threads);
    for (const PackedSet& result : results_) {
      set->sources.insert(set->sources.end(), result.sources.begin(), result.sources.end());
      set->files.insert(set->files.end(), result.files.begin(), result.files.end());
    }
  }

 private:
  void Write(const LineBatch& batch) {
    const CorpusFile& source = sources_[batch.source];
    if (!writer_) {
      writer_.emplace(staged_->path(), source, options_.block,
                      source.split == "train" ? options_.chunk_blocks : options_.valid_chunk_blocks,
                      [this](const fs::path& path, std::span<const int32_t> tokens) {
                        return WritePackedFile(path, type_, tokens);
                      });
      counts_ = {.path = source.name()};
    }
    for (const CorpusLine& line : batch.lines) {
      if (!line.error.empty()) {
        ++counts_.bad_lines;
        CountBadLine(source.path.string() + ":" + std::to_string(line.number) + ": " + line.error);
        continue;
      }
      ++counts_.documents;
      counts_.tokens += line.ids.size();
      progress_.tokens += line.ids.size();
      writer_->Append(line.ids);
    }
    PackProgress now = progress_;
    now.bytes_done += std::min(batch.consumed, source.bytes);
    if (batch.last) {
      FinishSource(batch.source, batch.digest);
      now = progress_;
    }
    options_.progress(now);
  }

  void FinishSource(size_t index, const files::FileDigest& digest) {
    const CorpusFile& source = sources_[index];
    if (counts_.documents == 0) {
      throw DataError(source.path.string() + ": holds no text (bad lines: " + std::to_string(counts_.bad_lines) +
                      "); take it away, or say where its texts are (--text-key)");
    }
    counts_.bytes = digest.size;
    counts_.xxh3 = digest.xxh3;
    if (!options_.drop_tail) writer_->FinishFilledUp(tokenizer_.eos_id());
    if (writer_->files().empty()) {
      options_.warn(source.path.string() + ": " + std::to_string(counts_.tokens) + " tokens are less than one " +
                    LeastPacked(options_) + "; none of it was packed");
    }
    PackedSet& result = results_[index];
    result.sources = {counts_};
    result.files = writer_->files();
    writer_.reset();
    OrThrow<DataError>(files::ReplaceFile(DonePath(source), PrintSet(result)));
    staged_->KeepUnfinished();
    CountDone(source);
  }

  void CountDone(const CorpusFile& source) {
    ++progress_.files_done;
    progress_.bytes_done += source.bytes;
  }

  fs::path DonePath(const CorpusFile& source) const {
    return fs::path(staged_->path()) / (source.split + "_" + source.path.filename().string() + kDoneSuffix);
  }

  // Takes a source from an earlier run, where it was done and neither it nor what was made of it has changed since.
  bool Restore(size_t index) {
    const CorpusFile& source = sources_[index];
    const fs::path done = DonePath(source);
    if (!fs::exists(done)) return false;
    PackedSet result;
    try {
      result = ParseSet(OrThrow<DataError>(files::ReadFile(done, kMaxDoneBytes)), done.string());
      for (size_t i = 0; i < result.files.size(); ++i) {
        // A file that came between two runs moves the numbers of those after it.
        const std::string name = SetFileName(source.split, source.domain, source.id, static_cast<int64_t>(i));
        if (result.files[i].name != name) return false;
        const fs::path path = fs::path(staged_->path()) / name;
        PackedFile{path};
        if (result.files[i].xxh3 != OrThrow<DataError>(files::HashFile(path)).xxh3) return false;
      }
    } catch (const DataError&) {
      return false;  // damaged: made anew
    }
    if (result.sources.size() != 1 || !IsSame(result.sources[0], source)) return false;
    progress_.tokens += result.sources[0].tokens;
    bad_lines_ += result.sources[0].bad_lines;
    results_[index] = std::move(result);
    staged_->KeepUnfinished();
    CountDone(source);
    return true;
  }

  // Removes everything from the staging folder but the plan and what the finished sources account for.
  void RemoveFilesOfUnfinishedSources() const {
    std::set<std::string> known = {kPlanFile};
    for (size_t i = 0; i < sources_.size(); ++i) {
      if (results_[i].sources.empty()) continue;
      known.insert(DonePath(sources_[i]).filename().string());
      for (const SetFile& file : results_[i].files) known.insert(file.name);
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(staged_->path())) {
      if (!known.contains(entry.path().filename().string())) fs::remove_all(entry.path());
    }
  }

  void CountBadLine(const std::string& what) {
    if (++bad_lines_ > options_.max_bad_lines) {
      throw DataError(what + "; more than " + std::to_string(options_.max_bad_lines) +
                      " bad lines, the set was not made (correct them, or raise --max-bad-lines)");
    }
    options_.warn(what + "; line skipped");
  }

  const PackOptions& options_;
  const Tokenizer& tokenizer_;
  TokenType type_;
  const std::vector<CorpusFile>& sources_;
  files::StagedFolder* staged_;
  std::optional<ChunkWriter> writer_;  // of the source that is being written
  SetSource counts_;
  std::vector<PackedSet> results_;  // of each source: itself and its files
  PackProgress progress_;           // without the part of the source that is being written
  int64_t bad_lines_ = 0;
};

bool HasPlan(const fs::path& folder, const std::string& plan) {
  return fs::exists(folder / kPlanFile) &&
         OrThrow<DataError>(files::ReadFile(folder / kPlanFile, kMaxDoneBytes)) == plan;
}

// Removes the records of a run from a set that is complete.
void RemoveRecords(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == kPlanFile || name.ends_with(kDoneSuffix)) fs::remove(entry.path());
  }
}

// In what `existing` differs from what `wanted` and the sources ask for; "" when it does not.
std::string DifferenceOf(const PackedSet& existing, const PackedSet& wanted, const std::vector<CorpusFile>& sources,
                         const PackOptions& options) {
  if (existing.tokenizer != wanted.tokenizer) return "another tokenizer";
  if (existing.block != wanted.block || existing.chunk_blocks != wanted.chunk_blocks ||
      existing.valid_chunk_blocks != wanted.valid_chunk_blocks) {
    return "other block or chunk sizes";
  }
  if (existing.drop_tail != wanted.drop_tail) return std::string(existing.drop_tail ? "" : "no ") + "--drop-tail";
  if (existing.text_key != wanted.text_key) return "--text-key " + existing.text_key;
  const bool same_sources = std::equal(
      existing.sources.begin(), existing.sources.end(), sources.begin(), sources.end(),
      [](const SetSource& had, const CorpusFile& has) { return had.path == has.name() && had.bytes == has.bytes; });
  if (!same_sources) return "other source files";
  std::set<std::string> domains;
  for (const CorpusFile& source : sources) domains.insert(source.domain);
  const auto is_known = [&](const SetFile& file) { return domains.contains(file.domain); };
  if (!std::all_of(existing.files.begin(), existing.files.end(), is_known)) return "other names of domains";
  const bool hashed = !existing.sources[0].xxh3.empty();
  if (!hashed) {
    options.warn(existing.folder.string() + " was packed by an older version, which kept no hashes of its sources: " +
                 "that they are the same is known by their sizes and times alone; pack it anew to be sure");
  }
  PackProgress progress = {.files = sources.size()};
  for (const CorpusFile& source : sources) progress.bytes += source.bytes;
  for (size_t i = 0; i < sources.size(); ++i) {
    const fs::path& path = sources[i].path;
    const bool same = hashed ? IsSame(existing.sources[i], sources[i])
                             : fs::last_write_time(path) <= fs::last_write_time(existing.folder / kSetFileName);
    if (!same) return "another content of " + path.string();
    ++progress.files_done;
    progress.bytes_done += sources[i].bytes;
    options.progress(progress);
  }
  return "";
}

// Throws when `existing` is another set than is asked for, or damaged.
void CheckSameSet(const PackedSet& existing, const PackedSet& wanted, const std::vector<CorpusFile>& sources,
                  const PackOptions& options) {
  const std::string difference = DifferenceOf(existing, wanted, sources, options);
  if (!difference.empty()) {
    throw DataError(existing.folder.string() + " already holds a set packed with " + difference +
                    "; remove it or choose another --out");
  }
  for (const SetFile& file : existing.files) PackedFile(existing.folder / file.name);
  CheckHashes(existing);
}

std::vector<CorpusFile> SourcesOf(const PackOptions& options) {
  std::vector<CorpusFile> sources = ListCorpus(options.in, "train", options.corpus);
  for (CorpusFile& source : ListCorpus(options.in, "valid", options.corpus)) sources.push_back(std::move(source));
  if (options.short_name.empty()) return sources;
  for (CorpusFile& source : sources) {
    source.domain = options.short_name + "_" + source.domain;
    if (!IsDomain(source.domain)) throw DataError("\"" + source.domain + "\" cannot be a domain (--short-name)");
  }
  return sources;
}

}  // namespace

PackResult Pack(const PackOptions& options) {
  if (options.block < 2 || options.chunk_blocks < 1 || options.valid_chunk_blocks < 1 ||
      options.block > kMaxPackedTokens / std::max(options.chunk_blocks, options.valid_chunk_blocks)) {
    throw DataError("block and chunk sizes must be positive and a chunk at most " + std::to_string(kMaxPackedTokens) +
                    " tokens");
  }
  const std::vector<CorpusFile> sources = SourcesOf(options);
  const bool bytes = options.tokenizer == kBytesTokenizer;
  const std::string tokenizer_json =
      bytes ? "" : OrThrow<DataError>(files::ReadFile(options.tokenizer, kMaxTokenizerBytes));
  const std::unique_ptr<Tokenizer> tokenizer =
      bytes ? NewByteTokenizer() : NewTokenizer(tokenizer_json, options.tokenizer);

  PackResult result;
  PackedSet& set = result.set;
  set.folder = options.out;
  set.block = options.block;
  set.chunk_blocks = options.chunk_blocks;
  set.valid_chunk_blocks = options.valid_chunk_blocks;
  set.drop_tail = options.drop_tail;
  set.text_key = options.corpus.text_key;
  set.tokenizer = {.name = bytes                                   ? kBytesTokenizer
                           : options.tokenizer.ends_with(".model") ? "tokenizer.model"
                                                                   : "tokenizer.json",
                   .hash = bytes ? "" : files::Hash(tokenizer_json),
                   .vocab_size = tokenizer->vocab_size(),
                   .eos_id = tokenizer->eos_id()};
  if (fs::exists(options.out / kSetFileName)) {
    PackedSet existing = OpenSet(options.out);
    CheckSameSet(existing, set, sources, options);
    RemoveRecords(options.out);  // where the run that made it was killed at the very end
    return {.set = std::move(existing), .already_complete = true};
  }

  files::StagedFolder staged = OrThrow<DataError>(files::StagedFolder::Resume(options.out));
  const fs::path staging = staged.path();
  const std::string plan = PrintSet(set);  // what all files depend on, beside their sources
  if (!HasPlan(staging, plan)) {
    OrThrow<DataError>(staged.Clear());
    OrThrow<DataError>(files::ReplaceFile(staging / kPlanFile, plan));
  }
  Packer(options, *tokenizer, sources, &staged).Run(&set);
  for (const char* split : {"train", "valid"}) {
    if (std::none_of(set.files.begin(), set.files.end(), [&](const SetFile& file) { return file.split == split; })) {
      throw DataError((options.in / split).string() + ": every file holds less than one " + LeastPacked(options) +
                      "; add text or lower that");
    }
  }
  std::sort(set.files.begin(), set.files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  if (!bytes) OrThrow<DataError>(files::ReplaceFile(staging / set.tokenizer->name, tokenizer_json));
  run::SetHashes hashes;
  for (SetFile& file : set.files) hashes[file.name] = std::exchange(file.xxh3, "");
  OrThrow<DataError>(files::ReplaceFile(staging / run::kSetHashesFile, run::PrintSetHashes(hashes)));
  OrThrow<DataError>(files::ReplaceFile(staging / kSetFileName, PrintSet(set)));
  OrThrow<DataError>(staged.Commit());
  RemoveRecords(options.out);
  return result;
}

}  // namespace sink::data
