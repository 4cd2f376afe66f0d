// sink-data probe: held-out sequences on which sink-eval measures, as a file.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/base/data_error.h"
#include "model/base/or_throw.h"
#include "model/data/commands/corpus_options.h"
#include "model/data/commands/data_commands.h"
#include "model/data/commands/safetensors_file.h"
#include "model/data/corpus/corpus.h"
#include "model/data/corpus/text_reader.h"
#include "model/data/loader/loader.h"
#include "model/data/loader/random_order.h"
#include "model/data/tokenizer/tokenizer.h"
#include "proto/files/files.h"

namespace sink::data {
namespace fs = std::filesystem;
namespace {

struct MakeProbeOptions {
  fs::path in, out;
  std::string tokenizer;  // of a corpus, as the next
  CorpusOptions corpus;
  int64_t sequences = 100;
  int64_t tokens = 64;
};

// The first tokens + 1 ids of documents of valid/ that have so many, each as likely as any other; which, depends on the
// corpus alone. One pass; what is kept is the probe. Lines without a text are named and passed over.
std::vector<int32_t> ProbeFromCorpus(const MakeProbeOptions& options) {
  const std::unique_ptr<Tokenizer> tokenizer = OpenTokenizer(options.tokenizer);
  const int64_t length = options.tokens + 1;
  const auto note = [](const std::string& why) { std::fprintf(stderr, "sink-data: %s; line skipped\n", why.c_str()); };
  std::vector<int32_t> probe, ids;
  int64_t seen = 0;
  for (const CorpusFile& file : ListCorpus(options.in, "valid", options.corpus)) {
    TextReader reader(file.path, options.corpus.text_key);
    for (std::string text; reader.Next(&text, note);) {
      ids.clear();
      tokenizer->Encode(text, &ids);
      if (static_cast<int64_t>(ids.size()) < length) continue;
      // Reservoir sampling: the n-th document takes the place of another with probability sequences / n.
      const auto number = static_cast<uint64_t>(seen++);
      const auto place = static_cast<int64_t>(
          seen <= options.sequences ? number : UniformOf({static_cast<uint64_t>(length), number}, seen));
      if (place >= options.sequences) continue;
      if (seen <= options.sequences) probe.resize(seen * length);
      std::copy_n(ids.begin(), length, probe.begin() + place * length);
    }
  }
  if (seen < options.sequences) {
    throw DataError((options.in / "valid").string() + ": only " + std::to_string(seen) + " documents of " +
                    std::to_string(length) + " tokens for " + std::to_string(options.sequences) +
                    " sequences; lower --sequences or --tokens, or add text");
  }
  return probe;
}

void Probe(const MakeProbeOptions& options) {
  const bool is_corpus = fs::is_directory(options.in / "valid");
  if (is_corpus && options.tokenizer.empty()) {
    throw DataError(options.in.string() + " is a corpus; say with which --tokenizer to read it");
  }
  if (!is_corpus && !options.tokenizer.empty()) {
    throw DataError(options.in.string() + " is not a corpus (no valid/); a packed set needs no --tokenizer");
  }
  LoaderOptions loader = {.folder = options.in.string(), .sequence_length = options.tokens, .vocab_size = INT32_MAX};
  const std::vector<int32_t> probe =
      is_corpus ? ProbeFromCorpus(options) : LoadProbe(loader, options.sequences, options.tokens);
  OrThrow<DataError>(files::WriteOutput(options.out, EncodeSafetensors("probe", options.sequences, probe)));
  std::fprintf(files::IsStandardOutput(options.out.string()) ? stderr : stdout, "%s: probe [%lld, %lld]\n",
               options.out.c_str(), static_cast<long long>(options.sequences),
               static_cast<long long>(options.tokens + 1));
}

}  // namespace

void AddProbeCommand(args::Command program) {
  args::Command command =
      program.AddCommand("probe", "Write held-out sequences as a safetensors file that sink-eval --probe reads");
  auto options = std::make_shared<MakeProbeOptions>();
  command.AddOption("--in", options->in, "A packed set, or a corpus with valid/").Required();
  command
      .AddOption("--out", options->out,
                 "The file to write (- is standard output): probe [sequences, tokens + 1], int64")
      .Required();
  command.AddOption("--tokenizer", options->tokenizer, "For a corpus: \"bytes\", a tokenizer.json or tokenizer.model");
  AddCorpusOptions(command, options->corpus);
  command.AddOption("--sequences", options->sequences, "How many").Within(1, 100'000).ShowDefault();
  command.AddOption("--tokens", options->tokens, "Inputs of each; one target more is written")
      .Within(1, 1'048'576)
      .ShowDefault();
  command.SetFooter(
      "Examples:\n"
      "  sink-data probe --in data/sample-bytes --out probe.safetensors\n"
      "  sink-data probe --in corpus --tokenizer tokenizer.json --out probe.safetensors --sequences 100 --tokens 64");
  command.OnParsed([options] { Probe(*options); });
}

}  // namespace sink::data
