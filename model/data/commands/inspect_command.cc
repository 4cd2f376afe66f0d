// sink-data inspect: what a packed file or a whole set holds.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/base/data_error.h"
#include "model/data/commands/data_commands.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"
#include "model/data/tokenizer/tokenizer.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

struct InspectOptions {
  fs::path path;
  int64_t blocks = 0;     // to print decoded
  int64_t block = 0;      // 0: the set's
  std::string tokenizer;  // empty: the set's
};

// Control characters would reach the terminal as commands.
std::string Printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t';
    out += control || c == 0x7f ? '?' : c;
  }
  return out;
}

void PrintBlocks(const PackedFile& file, int64_t block, int64_t count, const Tokenizer* tokenizer) {
  const int64_t blocks = std::min(count, file.header().tokens / block);
  std::vector<int32_t> ids(blocks > 0 ? block : 0);
  for (int64_t i = 0; i < blocks; ++i) {
    file.Read(i * block, ids);
    std::printf("--- block %lld\n", static_cast<long long>(i));
    if (tokenizer != nullptr) {
      std::printf("%s\n", Printable(tokenizer->Decode(ids)).c_str());
      continue;
    }
    for (const int32_t id : ids) std::printf("%d ", id);
    std::printf("\n");
  }
}

void InspectFile(const InspectOptions& options, const PackedSet* set, const Tokenizer* tokenizer) {
  const PackedFile file(options.path);
  const int64_t block = options.block > 0 ? options.block : set != nullptr ? set->block : kDefaultBlock;
  std::printf("%s: LITPKDS version 1, %s, %lld tokens = %lld blocks of %lld + %lld\n", file.path().c_str(),
              file.header().type == TokenType::kUint16 ? "uint16" : "int32",
              static_cast<long long>(file.header().tokens), static_cast<long long>(file.header().tokens / block),
              static_cast<long long>(block), static_cast<long long>(file.header().tokens % block));
  PrintBlocks(file, block, options.blocks, tokenizer);
}

void InspectSet(const InspectOptions& options, const PackedSet& set, const Tokenizer* tokenizer) {
  struct Counts {
    int64_t files = 0, blocks = 0;
  };
  std::map<std::string, Counts> counts;
  for (const SetFile& file : set.files) {
    Counts& part = counts[file.split + "/" + file.domain];
    ++part.files;
    part.blocks += file.blocks;
  }
  std::printf("%s: blocks of %lld tokens", set.folder.c_str(), static_cast<long long>(set.block));
  if (set.tokenizer) {
    std::printf(", tokenizer %s with %lld ids, EOS %d", set.tokenizer->name.c_str(),
                static_cast<long long>(set.tokenizer->vocab_size), set.tokenizer->eos_id);
  }
  std::printf("\n");
  for (const auto& [name, part] : counts) {
    std::printf("  %-24s %6lld files %9lld blocks %13lld tokens\n", name.c_str(), static_cast<long long>(part.files),
                static_cast<long long>(part.blocks), static_cast<long long>(part.blocks * set.block));
  }
  if (options.blocks == 0) return;
  const PackedFile first(set.folder / set.files.front().name);
  PrintBlocks(first, set.block, std::min(options.blocks, set.files.front().blocks), tokenizer);
}

void Inspect(const InspectOptions& options) {
  const bool is_set = fs::is_directory(options.path);
  const fs::path folder = is_set ? options.path : fs::absolute(options.path).parent_path();
  std::unique_ptr<PackedSet> set;
  if (is_set || fs::exists(folder / kSetFileName)) set = std::make_unique<PackedSet>(OpenSet(folder));
  std::string kind = options.tokenizer;
  if (kind.empty() && set != nullptr && set->tokenizer && options.blocks > 0) {
    const bool bytes = set->tokenizer->name == kBytesTokenizer;
    kind = bytes ? kBytesTokenizer : (folder / fs::path(set->tokenizer->name).filename()).string();
  }
  const std::unique_ptr<Tokenizer> tokenizer = kind.empty() ? nullptr : OpenTokenizer(kind);
  if (is_set) {
    InspectSet(options, *set, tokenizer.get());
  } else {
    InspectFile(options, set.get(), tokenizer.get());
  }
}

}  // namespace

void AddInspectCommand(args::Command program) {
  args::Command command = program.AddCommand("inspect", "Show what a packed file or set holds");
  auto options = std::make_shared<InspectOptions>();
  command.AddOption("path", options->path, "A packed file, or a set's folder").Required();
  command.AddOption("--blocks", options->blocks, "Print the first blocks, decoded where the tokenizer is known")
      .Within(0, kMaxPackedTokens);
  command.AddOption("--block", options->block, "Tokens of a block, for a file without set.json beside it")
      .Within(2, kMaxPackedTokens);
  command.AddOption("--tokenizer", options->tokenizer, "\"bytes\" or the path of a tokenizer.json");
  command.SetFooter(
      "Examples:\n"
      "  sink-data inspect data/sample-bytes\n"
      "  sink-data inspect data/sample-bytes/valid_bible_0_0000000000.bin --blocks 1");
  command.OnParsed([options] { Inspect(*options); });
}

}  // namespace sink::data
