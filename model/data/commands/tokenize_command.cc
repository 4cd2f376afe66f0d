// sink-data tokenize: the ids of texts, a line each, for looking at a tokenizer and for holding it to another's.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
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

void AddTokenizeCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tokenize", "Print the token ids of texts, a JSON list a line");
  auto options = std::make_shared<TokenizeOptions>();
  command->add_option("file", options->file, "JSON lines with a field \"text\"")->capture_default_str();
  command
      ->add_option("--tokenizer", options->tokenizer, "\"bytes\", or the path of a tokenizer.json or tokenizer.model")
      ->required();
  command->add_flag("--bos", options->bos, "Begin with what the tokenizer's family puts before a text");
  command->footer("Example: echo '{\"text\": \"Hello\"}' | sink-data tokenize --tokenizer tokenizer.json");
  command->callback([options] { Tokenize(*options); });
}

}  // namespace sink::data
