// Tokens a second from a packed set in the page cache, one thread: the files as they come, and a mix of two domains.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/data/loader/loader.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"
#include "tests/testing/temp_dir.h"

namespace {

using namespace sink::data;

constexpr int64_t kRows = 64;

// 32 files of TinyLlama's size, 16.8 million tokens.
const std::string& SetFolder() {
  static const sink::testing::TempDir* const folder = [] {
    auto* dir = new sink::testing::TempDir;
    for (int i = 0; i < 32; ++i) {
      std::vector<int32_t> tokens(kDefaultBlock * 256);
      for (size_t j = 0; j < tokens.size(); ++j) tokens[j] = static_cast<int32_t>((j * 31 + i) % 50000);
      WritePackedFile(dir->path() / SetFileName("train", i % 2 == 0 ? "even" : "odd", 0, i), TokenType::kUint16,
                      tokens);
    }
    return dir;
  }();
  static const std::string path = folder->path().string();
  return path;
}

void Read(benchmark::State& state, const LoaderOptions& options) {
  Loader loader(options);
  std::vector<int32_t> rows(kRows * (options.sequence_length + 1));
  for (auto _ : state) {
    loader.Next(kRows, rows.data());
    benchmark::DoNotOptimize(rows.data());
  }
  state.counters["tokens/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * kRows * options.sequence_length), benchmark::Counter::kIsRate);
}

void BM_Files(benchmark::State& state) {
  Read(state, {.folder = SetFolder(), .sequence_length = state.range(0), .vocab_size = 50432});
}
BENCHMARK(BM_Files)->Arg(256)->Arg(2048);

void BM_Mix(benchmark::State& state) {
  Read(state, {.folder = SetFolder(),
               .domains = {"even", "odd"},
               .weights = {0.9, 0.1},
               .sequence_length = state.range(0),
               .vocab_size = 50432});
}
BENCHMARK(BM_Mix)->Arg(256)->Arg(2048);

}  // namespace

BENCHMARK_MAIN();
