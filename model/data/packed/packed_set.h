// A packed set: a folder of LITPKDS files, set.json, which says how they were made, and files.xxh128 with their hashes
// (proto/run/set_hashes.h). sink-data pack writes the folder
// in one rename, so a set is complete or absent. A folder without set.json (packed by TinyLlama's own script) is read
// too, with the block size it uses.
// Plain values; functions are pure but for reading the disk and may be called from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/data/corpus/json_lines.h"
#include "model/data/packed/litpkds.h"

namespace sink::data {

inline constexpr int64_t kDefaultBlock = 2049;  // a context of 2048 and one target
inline constexpr char kSetFileName[] = "set.json";

// One file, named {split}_{domain}_{id}_{counter:010}.bin.
struct SetFile {
  std::string name;
  std::string split;   // "train" or "valid"
  std::string domain;  // may contain '_'
  int64_t blocks = 0;  // that hold text: the last file of a source is filled up with EOS, which nobody reads
  std::string xxh3;    // of its bytes, while it is being packed; not in set.json (proto/run/set_hashes.h)
};

// One source file, to tell whether a set was made from the same inputs.
struct SetSource {
  std::string path;  // "train/gcide.jsonl"
  uint64_t bytes = 0;
  std::string xxh3;  // of the bytes that were packed (proto/files/hash.h); empty in sets of older versions
  int64_t documents = 0;
  int64_t bad_lines = 0;
  int64_t tokens = 0;  // EOS included; those after the last whole block are in no block

  bool operator==(const SetSource&) const = default;
};

// The tokenizer that made a set.
struct SetTokenizer {
  std::string name;  // "bytes", or "tokenizer.json" or "tokenizer.model", which then lies in the folder
  std::string hash;  // XXH3-128 of that file, hex; empty for bytes
  int64_t vocab_size = 0;
  int32_t eos_id = 0;

  bool operator==(const SetTokenizer&) const = default;
};

struct PackedSet {
  std::filesystem::path folder;
  int64_t block = kDefaultBlock;
  int64_t chunk_blocks = 0;               // of a "train" file; 0 in a foreign set
  int64_t valid_chunk_blocks = 0;         // of a "valid" file
  bool drop_tail = false;                 // what fills no whole chunk was left out
  std::string text_key = kTextKey;        // the field of the sources' lines that was packed
  std::optional<SetTokenizer> tokenizer;  // absent in a foreign set
  std::vector<SetSource> sources;
  std::vector<SetFile> files;  // by name
};

// Splits a file's name; nothing when it does not have the form above. blocks is 0.
std::optional<SetFile> ParseSetFileName(std::string_view name);
std::string SetFileName(std::string_view split, std::string_view domain, int64_t id, int64_t counter);

// The domain that a domain is a shard of: "arxiv" of "arxiv-12", as the study's corpus names its files; itself where no
// number stands behind it.
std::string_view WithoutShard(std::string_view domain);
// The domains of a split for people, "arxiv (3 shards), bible", sorted.
std::string DomainsText(const PackedSet& set, std::string_view split);

// Reads set.json, or lists the files of a foreign set (their headers are then opened to count blocks). DataError when
// the folder is missing or holds no packed file, or set.json is damaged; MachineError when it could not be read.
PackedSet OpenSet(const std::filesystem::path& folder);

// How many tokens of a packed file, from its first, are text: all, unless a set.json beside it says that the last
// blocks fill it up. DataError as OpenSet.
int64_t TextTokens(const PackedFile& file);

// The bytes of set.json; parsing takes what printing gave. DataError, beginning with name, on anything else.
std::string PrintSet(const PackedSet& set);
PackedSet ParseSet(std::string_view json, const std::string& name);

}  // namespace sink::data
