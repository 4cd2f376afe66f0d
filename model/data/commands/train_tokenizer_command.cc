// sink-data train-tokenizer: see bpe_trainer.h.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "model/base/data_error.h"
#include "model/base/or_throw.h"
#include "model/data/commands/corpus_options.h"
#include "model/data/commands/data_commands.h"
#include "model/data/commands/progress_line.h"
#include "model/data/corpus/corpus.h"
#include "model/data/corpus/text_reader.h"
#include "model/data/tokenizer/bpe_trainer.h"
#include "proto/files/files.h"

namespace sink::data {
namespace {

struct TrainOptions {
  std::filesystem::path in, out;
  CorpusOptions corpus;
  int64_t vocab_size = 4096;
  int64_t min_frequency = 2;
};

void Train(const TrainOptions& options) {
  const std::vector<CorpusFile> files = ListCorpus(options.in, "train", options.corpus);
  uint64_t total = 0, done = 0;
  for (const CorpusFile& file : files) total += file.bytes;
  BpeTrainer trainer;
  {
    ProgressLine progress("counting words");
    for (const CorpusFile& file : files) {
      TextReader reader(file.path, options.corpus.text_key);
      for (std::string text; reader.Next(&text); progress.Update(done + reader.consumed(), total)) trainer.Add(text);
      done += file.bytes;
    }
  }
  const BpeSpec spec = trainer.Train(options.vocab_size, options.min_frequency);
  OrThrow<DataError>(files::WriteOutput(options.out, PrintTokenizerJson(spec)));
  std::fprintf(files::IsStandardOutput(options.out.string()) ? stderr : stdout, "%s: %zu tokens\n", options.out.c_str(),
               spec.vocab.size());
}

}  // namespace

void AddTrainTokenizerCommand(args::Command program) {
  args::Command command = program.AddCommand("train-tokenizer", "Learn a byte-level BPE tokenizer.json from a corpus");
  auto options = std::make_shared<TrainOptions>();
  command.AddOption("--in", options->in, "A corpus; its train/ is read").Required();
  command.AddOption("--out", options->out, "The tokenizer.json to write; - is standard output").Required();
  command.AddOption("--vocab-size", options->vocab_size, "Tokens, with 256 bytes and <|endoftext|>")
      .Within(257, 1 << 20)
      .ShowDefault();
  command.AddOption("--min-frequency", options->min_frequency, "Rarer pairs are not merged").ShowDefault();
  AddCorpusOptions(command, options->corpus);
  command.SetFooter("Example: sink-data train-tokenizer --in corpus --out tokenizer.json --vocab-size 4096");
  command.OnParsed([options] { Train(*options); });
}

}  // namespace sink::data
