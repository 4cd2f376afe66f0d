// sink-data tokenize: the ids of texts, a line each, for looking at a tokenizer and for holding it to another's.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "model/base/data_error.h"
#include "model/data/commands/data_commands.h"
#include "model/data/corpus/json_lines.h"
#include "model/data/corpus/line_reader.h"
#include "model/data/tokenizer/tokenizer.h"

namespace sink::data {
namespace {

struct TokenizeOptions {
  std::string tokenizer;
  std::string file = "/dev/stdin";
  bool bos = false;
};

void Tokenize(const TokenizeOptions& options) {
  const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(options.tokenizer);
  LineReader reader(options.file);
  std::vector<int32_t> ids;
  std::string out;
  for (std::string line; reader.Next(&line);) {
    const TextResult parsed = ParseTextLine(line);
    if (!parsed.text) {
      throw DataError(options.file + ":" + std::to_string(reader.line_number()) + ": " + parsed.error);
    }
    ids.clear();
    if (options.bos && tokenizer->bos_id()) ids.push_back(*tokenizer->bos_id());
    tokenizer->Encode(*parsed.text, &ids);
    out = "[";
    for (const int32_t id : ids) out.append(out.size() > 1 ? "," : "").append(std::to_string(id));
    out += "]\n";
    std::fwrite(out.data(), 1, out.size(), stdout);
  }
}

}  // namespace

void AddTokenizeCommand(args::Command program) {
  args::Command command = program.AddCommand("tokenize", "Print the token ids of texts, a JSON list a line");
  auto options = std::make_shared<TokenizeOptions>();
  command.AddOption("file", options->file, "JSON lines with a field \"text\"").ShowDefault();
  command.AddOption("--tokenizer", options->tokenizer, "\"bytes\", or the path of a tokenizer.json or tokenizer.model")
      .Required();
  command.AddFlag("--bos", options->bos, "Begin with what the tokenizer's family puts before a text");
  command.SetFooter("Example: echo '{\"text\": \"Hello\"}' | sink-data tokenize --tokenizer tokenizer.json");
  command.OnParsed([options] { Tokenize(*options); });
}

}  // namespace sink::data
