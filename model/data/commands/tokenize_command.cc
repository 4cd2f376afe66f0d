// sink-data tokenize: the ids of texts, a line each, for looking at a tokenizer and for holding it to another's.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "model/base/data_error.h"
#include "model/data/commands/corpus_options.h"
#include "model/data/commands/data_commands.h"
#include "model/data/corpus/text_reader.h"
#include "model/data/tokenizer/tokenizer.h"

namespace sink::data {
namespace {

struct TokenizeOptions {
  std::string tokenizer;
  std::string file = "/dev/stdin";
  std::string text_key = kTextKey;
  bool bos = false;
};

void Tokenize(const TokenizeOptions& options) {
  const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(options.tokenizer);
  TextReader reader(options.file, options.text_key);
  std::vector<int32_t> ids;
  std::string out;
  for (std::string text; reader.Next(&text);) {
    ids.clear();
    if (options.bos && tokenizer->bos_id()) ids.push_back(*tokenizer->bos_id());
    tokenizer->Encode(text, &ids);
    out = "[";
    for (const int32_t id : ids) out.append(out.size() > 1 ? "," : "").append(std::to_string(id));
    out += "]\n";
    if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) {
      throw DataError(std::string("cannot write standard output: ") + std::strerror(errno));
    }
  }
}

}  // namespace

void AddTokenizeCommand(args::Command program) {
  args::Command command = program.AddCommand("tokenize", "Print the token ids of texts, a JSON list a line");
  auto options = std::make_shared<TokenizeOptions>();
  command.AddOption("file", options->file, "JSON lines, plain, gzip or zstd; - is standard input").ShowDefault();
  command.AddOption("--tokenizer", options->tokenizer, "\"bytes\", or the path of a tokenizer.json or tokenizer.model")
      .Required();
  AddTextKeyOption(command, options->text_key);
  command.AddFlag("--bos", options->bos, "Begin with what the tokenizer's family puts before a text");
  command.SetFooter("Example: echo '{\"text\": \"Hello\"}' | sink-data tokenize --tokenizer tokenizer.json");
  command.OnParsed([options] { Tokenize(*options); });
}

}  // namespace sink::data
