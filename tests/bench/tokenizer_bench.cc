// Tokenising one text in memory with a tokenizer of ours. Driven by bench_tokenizer.py: prints "ready", then for every
// line on stdin tokenises all documents once and answers {"seconds": ..., "tokens": ...}.
// Usage: tokenizer_bench TOKENIZER JSON_LINES
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "model/base/data_error.h"
#include "model/data/corpus/json_lines.h"
#include "model/data/corpus/line_reader.h"
#include "model/data/tokenizer/tokenizer.h"

int main(int argc, char** argv) {
  using namespace sink::data;
  if (argc != 3) {
    std::fprintf(stderr, "usage: tokenizer_bench TOKENIZER JSON_LINES\n");
    return 2;
  }
  try {
    const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(argv[1]);
    std::vector<std::string> documents;
    LineReader reader(argv[2]);
    for (std::string line; reader.Next(&line);) {
      TextResult parsed = ParseTextLine(line);
      if (!parsed.text) throw DataError(parsed.error);
      documents.push_back(*std::move(parsed.text));
    }
    std::printf("ready\n");
    std::fflush(stdout);
    std::vector<int32_t> ids;
    while (std::getchar() != EOF) {
      size_t tokens = 0;
      const auto start = std::chrono::steady_clock::now();
      for (const std::string& document : documents) {
        ids.clear();
        tokenizer->Encode(document, &ids);
        tokens += ids.size();
      }
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      std::printf("{\"seconds\": %.6f, \"tokens\": %zu}\n", seconds.count(), tokens);
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenizer_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
