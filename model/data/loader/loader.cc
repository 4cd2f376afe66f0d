// See loader.h.
#include "model/data/loader/loader.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "model/data/loader/domain_mix.h"
#include "model/data/loader/random_order.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"

namespace sink::data {
namespace {

// What a hash is for; the first value of each.
enum Purpose : uint64_t { kSelectFiles, kOrderFiles, kOrderWindows, kRandomToken, kProbeBlocks, kDealDomains };

// One packed file of the set, mapped.
struct OpenFile {
  PackedFile packed;
  int64_t blocks = 0;
  uint64_t identity = 0;  // of its name; the same whatever else is in the set
};

void Check(bool condition, const std::string& message) {
  if (!condition) throw DataError(message);
}

// The files of the wanted split and domain, by name.
std::vector<SetFile> FilesOf(const PackedSet& set, const LoaderOptions& options) {
  if (set.tokenizer && set.tokenizer->vocab_size > options.vocab_size) {
    throw DataError(options.folder + ": its tokenizer has " + std::to_string(set.tokenizer->vocab_size) +
                    " ids but the model only " + std::to_string(options.vocab_size) +
                    "; raise model.vocab_size or choose another set");
  }
  std::vector<SetFile> files, shards;
  for (const SetFile& file : set.files) {
    if (file.split != options.split) continue;
    if (options.domain.empty() || file.domain == options.domain) {
      files.push_back(file);
    } else if (WithoutShard(file.domain) == options.domain) {
      shards.push_back(file);
    }
  }
  if (files.empty()) files = std::move(shards);
  const std::string known = DomainsText(set, options.split);
  Check(!files.empty(), options.folder + ": no packed files of split \"" + options.split + "\"" +
                            (known.empty() ? "" : " and domain \"" + options.domain + "\", only of " + known) +
                            "; re-run sink-data pack with documents under " + options.split + "/");
  return files;
}

// The first floor(files * fraction) of the files as the seed shuffles them; of the first one that share of its blocks,
// at least one, where not even a whole file is wanted.
std::vector<SetFile> Select(std::vector<SetFile> files, double fraction, uint64_t seed) {
  for (size_t i = files.size(); i-- > 1;) std::swap(files[i], files[UniformOf({kSelectFiles, seed, i}, i + 1)]);
  const double exact = static_cast<double>(files.size()) * fraction;
  const auto keep = static_cast<size_t>(std::floor(exact + 1e-9));  // 100 * 0.29 is 28.999...
  files.resize(std::clamp<size_t>(keep, 1, files.size()));
  if (keep == 0) {
    int64_t& blocks = files[0].blocks;
    blocks = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(blocks) * exact + 1e-9));
  }
  return files;
}

std::vector<OpenFile> Open(const PackedSet& set, const std::vector<SetFile>& files) {
  std::vector<OpenFile> open;
  open.reserve(files.size());
  for (const SetFile& file : files) {
    open.push_back({.packed = PackedFile(set.folder / file.name),
                    .blocks = file.blocks,
                    .identity = XXH3_64bits(file.name.data(), file.name.size())});
    const PackedFile& packed = open.back().packed;
    if (file.blocks * set.block > packed.header().tokens)
      throw MachineError(packed.path() + ": shorter than set.json says; copy the set anew, or re-run sink-data pack");
  }
  return open;
}

// Checks ids, then overwrites the fixed and the random positions of one row. `window` names the row within its file.
void FinishRow(const LoaderOptions& options, const OpenFile& file, uint64_t window, std::span<int32_t> row) {
  for (const int32_t id : row) {
    if (static_cast<uint32_t>(id) >= static_cast<uint64_t>(options.vocab_size)) {
      throw DataError(file.packed.path() + ": token id " + std::to_string(id) +
                      " is outside the model's vocabulary of " + std::to_string(options.vocab_size) +
                      "; raise model.vocab_size or re-run sink-data pack");
    }
  }
  const int64_t end = std::min<int64_t>(options.random_tokens_end, row.size());
  for (int64_t i = options.random_tokens_start; i < end; ++i) {
    row[i] =
        UniformOf({kRandomToken, options.seed, file.identity, window, static_cast<uint64_t>(i)}, options.vocab_size);
  }
  if (options.fixed_token_position > 0 && options.fixed_token_position <= static_cast<int64_t>(row.size())) {
    row[options.fixed_token_position - 1] = options.fixed_token_id;
  }
}

void CheckTransforms(const LoaderOptions& options, int64_t length) {
  Check(options.vocab_size > 0, "vocab_size must be positive");
  Check(options.fixed_token_position >= 0 && options.fixed_token_position <= length,
        "fixed_token_position " + std::to_string(options.fixed_token_position) + " is outside 1.." +
            std::to_string(length) + " (0 turns it off)");
  Check(
      options.fixed_token_position == 0 || (options.fixed_token_id >= 0 && options.fixed_token_id < options.vocab_size),
      "fixed_token_id " + std::to_string(options.fixed_token_id) + " is outside the vocabulary of " +
          std::to_string(options.vocab_size));
  Check(options.random_tokens_start >= 0 && options.random_tokens_start <= options.random_tokens_end &&
            options.random_tokens_end <= length,
        "random_tokens [" + std::to_string(options.random_tokens_start) + ", " +
            std::to_string(options.random_tokens_end) + ") is not inside [0, " + std::to_string(length) + ")");
}

void CheckDomains(const LoaderOptions& options) {
  Check(options.domains.size() == options.weights.size(), std::to_string(options.domains.size()) + " domains have " +
                                                              std::to_string(options.weights.size()) +
                                                              " weights; give one each");
  Check(options.domains.size() <= kMaxDomains, "more than " + std::to_string(kMaxDomains) + " domains");
  Check(options.domains.empty() || options.domain.empty(), "a mix of domains cannot be one domain");
  const std::set<std::string> names(options.domains.begin(), options.domains.end());
  Check(names.size() == options.domains.size(), "a domain is named twice");
  double sum = 0;
  for (const double weight : options.weights) {
    Check(weight >= 0 && weight < HUGE_VAL, "a domain's weight must be a number that is not negative");
    sum += weight;
  }
  Check(options.domains.empty() || (sum > 0 && sum < HUGE_VAL), "the weights of the domains must not all be 0");
}

// The rows of some files in the order of their epochs.
class WindowStream {
 public:
  WindowStream(const PackedSet& set, int64_t windows, const LoaderOptions& options)
      : options_(options), block_(set.block), windows_(windows) {
    files_ = Open(set, Select(FilesOf(set, options), options.fraction, options.seed));
    for (const OpenFile& file : files_) rows_ += file.blocks * windows_;
    StartEpoch(0);
  }

  int64_t rows() const { return rows_; }  // of an epoch

  // The row at a cursor whose position is below rows().
  void Read(const Cursor& cursor, std::span<int32_t> row) {
    if (cursor.epoch != epoch_) StartEpoch(cursor.epoch);
    const auto after =
        std::upper_bound(groups_.begin(), groups_.end(), cursor.position,
                         [](int64_t position, const Group& group) { return position < group.first_row; });
    const Group& group = *std::prev(after);
    int64_t window = Permute(cursor.position - group.first_row, group.rows,
                             HashOf({kOrderWindows, options_.seed, static_cast<uint64_t>(cursor.epoch), group.begin}));
    size_t i = group.begin;
    while (window >= files_[order_[i]].blocks * windows_) window -= files_[order_[i++]].blocks * windows_;
    const OpenFile& file = files_[order_[i]];
    file.packed.Read(window / windows_ * block_ + window % windows_ * options_.sequence_length, row);
    FinishRow(options_, file, window, row);
  }

 private:
  // Files of an epoch whose windows are permuted together, in order_[begin, end).
  struct Group {
    int64_t first_row = 0;
    int64_t rows = 0;
    size_t begin = 0, end = 0;
  };

  void StartEpoch(int64_t epoch) {
    epoch_ = epoch;
    order_.resize(files_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    for (size_t i = order_.size(); i-- > 1;) {
      std::swap(order_[i], order_[UniformOf({kOrderFiles, options_.seed, static_cast<uint64_t>(epoch), i}, i + 1)]);
    }
    groups_.clear();
    int64_t row = 0;
    for (size_t begin = 0; begin < order_.size(); begin += kFilesPerShuffle) {
      Group group = {.first_row = row, .begin = begin, .end = std::min(begin + kFilesPerShuffle, order_.size())};
      for (size_t i = group.begin; i < group.end; ++i) group.rows += files_[order_[i]].blocks * windows_;
      row += group.rows;
      groups_.push_back(group);
    }
  }

  LoaderOptions options_;
  int64_t block_;
  int64_t windows_;  // rows in a block
  int64_t rows_ = 0;
  std::vector<OpenFile> files_;
  // The order of the epoch that is being read.
  int64_t epoch_ = 0;
  std::vector<size_t> order_;  // of files_
  std::vector<Group> groups_;
};

}  // namespace

class Loader::Impl {
 public:
  explicit Impl(const LoaderOptions& options) : options_(options), mix_(options.weights, options.seed) {
    Check(options.sequence_length > 0, "sequence_length must be positive");
    Check(options.fraction > 0 && options.fraction <= 1, "fraction must be above 0 and at most 1");
    Check(options.ranks > 0 && options.rank >= 0 && options.rank < options.ranks, "rank must be below ranks");
    CheckTransforms(options, options.sequence_length + 1);
    CheckDomains(options);
    const PackedSet set = OpenSet(options.folder);
    const int64_t windows = (set.block - 1) / options.sequence_length;
    Check(windows > 0, "sequence_length " + std::to_string(options.sequence_length) + " does not fit " +
                           options.folder + ", whose blocks hold " + std::to_string(set.block) +
                           " tokens; lower it, or re-run sink-data pack with --block " +
                           std::to_string(options.sequence_length + 1));
    LoaderOptions part = options;
    if (options.domains.empty()) streams_.emplace_back(set, windows, part);
    for (const std::string& domain : options.domains) {
      part.domain = domain;
      part.seed = HashOf({kDealDomains, options.seed, XXH3_64bits(domain.data(), domain.size())});
      streams_.emplace_back(set, windows, part);
    }
    for (const WindowStream& stream : streams_) rows_ += stream.rows();
  }

  void Next(int64_t n, int32_t* out) {
    const int64_t length = options_.sequence_length + 1;
    for (int64_t i = 0; i < n; ++i) {
      Move(options_.rank);
      Fill({out + i * length, static_cast<size_t>(length)});
      Move(options_.ranks - options_.rank);
    }
  }

  Cursor cursor() const { return cursor_; }

  void Seek(const Cursor& cursor) {
    Check(cursor.epoch >= 0 && cursor.position >= 0 && cursor.position < rows_,
          options_.folder + ": the saved position " + std::to_string(cursor.position) + " is outside its " +
              std::to_string(rows_) + " rows; resume with the set and the fraction the checkpoint was made with");
    cursor_ = cursor;
  }

  int64_t rows() const { return rows_; }
  int64_t sequence_length() const { return options_.sequence_length; }

 private:
  // Keeps the cursor below rows_, so that one place in the data has one cursor.
  void Move(int64_t rows) {
    cursor_.position += rows;
    while (cursor_.position >= rows_) {
      cursor_.position -= rows_;
      ++cursor_.epoch;
    }
  }

  void Fill(std::span<int32_t> row) {
    if (options_.domains.empty()) return streams_[0].Read(cursor_, row);
    const auto [domain, index] = mix_.At(cursor_.epoch * rows_ + cursor_.position);
    WindowStream& stream = streams_[domain];
    stream.Read({.epoch = index / stream.rows(), .position = index % stream.rows()}, row);
  }

  LoaderOptions options_;
  DomainMix mix_;
  std::vector<WindowStream> streams_;  // one, or one a domain
  int64_t rows_ = 0;                   // in an epoch
  Cursor cursor_;
};

Loader::Loader(const LoaderOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Loader::~Loader() = default;
Loader::Loader(Loader&&) noexcept = default;
Loader& Loader::operator=(Loader&&) noexcept = default;

void Loader::Next(int64_t n, int32_t* out) { impl_->Next(n, out); }
Cursor Loader::cursor() const { return impl_->cursor(); }
void Loader::Seek(const Cursor& cursor) { impl_->Seek(cursor); }
int64_t Loader::rows_per_epoch() const { return impl_->rows(); }
int64_t Loader::tokens_per_epoch() const { return impl_->rows() * impl_->sequence_length(); }

std::vector<std::string> Domains(const std::string& folder, const std::string& split) {
  std::set<std::string> domains;
  for (const SetFile& file : OpenSet(folder).files) {
    if (file.split == split) domains.insert(file.domain);
  }
  return {domains.begin(), domains.end()};
}

std::vector<int32_t> LoadProbe(const LoaderOptions& options, int64_t n, int64_t tokens) {
  Check(n > 0 && tokens > 0, "a probe needs at least one sequence of one token");
  LoaderOptions valid = options;
  valid.split = "valid";
  valid.domain.clear();
  // The transforms are the training's: positions beyond a probe's end are simply not in it.
  CheckTransforms(valid, std::max(tokens, options.sequence_length) + 1);
  const PackedSet set = OpenSet(valid.folder);
  Check(tokens < set.block, valid.folder + ": probes of " + std::to_string(tokens) + " tokens need blocks of " +
                                std::to_string(tokens + 1) + ", these hold " + std::to_string(set.block) +
                                "; lower eval.tokens");
  const std::vector<OpenFile> files = Open(set, FilesOf(set, valid));
  int64_t blocks = 0;
  for (const OpenFile& file : files) blocks += file.blocks;
  Check(n <= blocks, valid.folder + ": only " + std::to_string(blocks) + " held-out blocks for " + std::to_string(n) +
                         " probes; lower eval.sequences or pack more valid/ text");

  std::vector<int32_t> probe(n * (tokens + 1));
  for (int64_t i = 0; i < n; ++i) {
    auto block = static_cast<int64_t>(Permute(i, blocks, HashOf({kProbeBlocks})));
    auto file = files.begin();
    while (block >= file->blocks) block -= (file++)->blocks;
    const std::span<int32_t> row(probe.data() + i * (tokens + 1), tokens + 1);
    file->packed.Read(block * set.block, row);
    FinishRow(valid, *file, block, row);
  }
  return probe;
}

}  // namespace sink::data
