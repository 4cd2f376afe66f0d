// Rows of token ids for training, validation and the sink metric, read from a folder of LITPKDS files (litpkds.h).
// A Loader belongs to one thread; it maps the files read-only, so any number of loaders and processes share a set.
//
// Order. The files of a split are shuffled by the seed and the first floor(files * fraction) are kept; where that is
// less than one, the first blocks of one file, as many as the fraction wants, at least one. In every epoch the kept
// files are put in a new order and cut into groups of kFilesPerShuffle, and the windows of one group are permuted
// together: neighbouring rows come from several files, yet only a few files are read at a time. The row at a global
// position is therefore a pure function of (seed, epoch, position): a Cursor is two integers, and restoring it
// continues exactly.
//
// Mixing. With domains and weights, every domain is such a sequence of its own (its files, its fraction, its epochs),
// and global positions are dealt out to the domains: of the first n positions, domain d has floor(n * weight) give or
// take one block of kMixBlock, whose positions are permuted. Which domain and which of its rows a position takes is a
// pure function of (seed, position) again. A domain that is used up begins anew, so an epoch of a mix is a number of
// rows, no more.
//
// Ranks. Positions are global. Rank r of R takes positions p + r, p + r + R, ... and every rank's cursor moves over the
// same positions, so R ranks together see the rows that one rank sees, and all ranks store the same cursor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/base/data_error.h"

namespace sink::data {

// How many packed files are permuted together (TinyLlama's n_chunks).
inline constexpr int64_t kFilesPerShuffle = 8;

// Positions that are dealt out to the domains of a mix at once, and how many domains there may be.
inline constexpr int64_t kMixBlock = 8192;
inline constexpr size_t kMaxDomains = 64;

struct LoaderOptions {
  std::string folder;                // the packed set
  std::string split = "train";       // "train" or "valid"
  std::string domain = "";           // only this domain's files, or its shards' (DOMAIN-N); empty: all
  std::vector<std::string> domains;  // to mix, each once (shards as above); empty: the files as they come
  std::vector<double> weights;       // one a domain, not negative, not all 0; only their ratios count
  int64_t sequence_length = 2048;    // a block of B tokens gives floor((B - 1) / sequence_length) windows
  double fraction = 1.0;             // of the split's files (of each domain's, in a mix), in (0, 1]
  uint64_t seed = 42;
  int64_t rank = 0;
  int64_t ranks = 1;
  int64_t vocab_size = 0;  // of the model; a token id that is not below it is an error

  // Transforms at load time. Both change the row that Next returns, hence inputs and targets alike.
  int64_t fixed_token_position = 0;  // 1-based; 0: off
  int64_t fixed_token_id = 1;
  int64_t random_tokens_start = 0;  // [start, end), 0-based: ids uniform over the vocabulary, a function of the seed
  int64_t random_tokens_end = 0;    // and the window; the same in every epoch. Equal: off
};

// Where the next row comes from; equal on all ranks.
struct Cursor {
  int64_t epoch = 0;
  int64_t position = 0;  // rows of this epoch that all ranks together have taken

  bool operator==(const Cursor&) const = default;
};

class Loader {
 public:
  // Opens and checks the set. DataError when the folder has no files of the split, sequence_length does not fit a
  // block, an option is out of range, or the set's vocabulary is larger than the model's; of a file, as PackedFile.
  explicit Loader(const LoaderOptions& options);
  ~Loader();
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;

  // Fills out, [n, sequence_length + 1] row-major, with this rank's next n rows and moves the cursor by n * ranks.
  // Inputs of a row are its first sequence_length ids, targets its last. Loops at the end of the data, into the next
  // epoch. DataError when a token id is not below vocab_size.
  void Next(int64_t n, int32_t* out);

  Cursor cursor() const;
  // DataError when the cursor lies outside the data (another set or another fraction than it was saved with).
  void Seek(const Cursor& cursor);

  int64_t rows_per_epoch() const;    // over all ranks
  int64_t tokens_per_epoch() const;  // targets: rows_per_epoch * sequence_length

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The domains of a split, sorted: what LoaderOptions::domain may name. DataError when the set cannot be opened.
std::vector<std::string> Domains(const std::string& folder, const std::string& split);

// Held-out probes of the sink metric: the first tokens + 1 ids of n different blocks of the "valid" split, [n, tokens +
// 1] row-major, with the transforms of options. Which blocks depends on the set alone (not on options.seed, ranks or
// fraction), so that all jobs of a study are measured on the same text. Of options, folder, vocab_size, seed (for
// random tokens) and the transforms are used. DataError when there are fewer than n blocks or a block has fewer ids.
std::vector<int32_t> LoadProbe(const LoaderOptions& options, int64_t n, int64_t tokens);

}  // namespace sink::data
