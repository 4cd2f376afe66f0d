// sink-data pack: see packer.h.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>

#include "model/data/commands/corpus_options.h"
#include "model/data/commands/data_commands.h"
#include "model/data/commands/progress_line.h"
#include "model/data/packed/packer.h"

namespace sink::data {
namespace {

void Run(PackOptions options, bool json) {
  PackResult result;
  {
    ProgressLine progress("packing");
    options.progress = [&](const PackProgress& now) {
      char detail[64];
      std::snprintf(detail, sizeof detail, "%zu/%zu files  %.1fM tokens", now.files_done, now.files,
                    static_cast<double>(now.tokens) / 1e6);
      progress.Update(now.bytes_done, now.bytes, detail);
    };
    options.warn = [&](const std::string& sentence) { progress.Note(sentence); };
    result = Pack(options);
  }
  const PackedSet& set = result.set;
  if (json) {
    std::fputs(PrintSet(set).c_str(), stdout);
    return;
  }
  std::printf("%s: %s, %zu files, tokenizer %s with %lld ids\n", set.folder.c_str(),
              result.already_complete ? "already complete" : "packed", set.files.size(), set.tokenizer->name.c_str(),
              static_cast<long long>(set.tokenizer->vocab_size));
  int64_t read = 0, packed = 0;  // tokens
  for (const SetSource& source : set.sources) {
    read += source.tokens;
    std::printf("  %-24s %9lld documents %12lld tokens %6lld bad lines\n", source.path.c_str(),
                static_cast<long long>(source.documents), static_cast<long long>(source.tokens),
                static_cast<long long>(source.bad_lines));
  }
  for (const SetFile& file : set.files) packed += file.blocks * set.block;
  std::printf("  %lld of %lld tokens are in whole blocks%s\n", static_cast<long long>(packed),
              static_cast<long long>(read), set.drop_tail ? " and chunks" : "");
}

}  // namespace

void AddPackCommand(args::Command program) {
  args::Command command = program.AddCommand("pack", "Tokenise a JSON-lines corpus into a packed set (LITPKDS files)");
  auto options = std::make_shared<PackOptions>();
  auto json = std::make_shared<bool>(false);
  options->threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  command.AddOption("--in", options->in, "Folder with train/ and valid/: *.jsonl, *.ndjson, *.json; plain, .gz, .zst")
      .Required();
  command.AddOption("--out", options->out, "The set to make").Required();
  command.AddOption("--tokenizer", options->tokenizer, "\"bytes\", or the path of a tokenizer.json or tokenizer.model")
      .ShowDefault();
  command.AddOption("--block", options->block, "Tokens of a block: the longest context and one").ShowDefault();
  command.AddOption("--chunk-blocks", options->chunk_blocks, "Blocks in a file of train").ShowDefault();
  command.AddOption("--valid-chunk-blocks", options->valid_chunk_blocks, "Blocks in a file of valid").ShowDefault();
  command.AddFlag("--drop-tail", options->drop_tail,
                  "Write full files only: TinyLlama's and the study's reader take what fills a file up for text");
  command.AddOption("--short-name", options->short_name,
                    "Put before each domain in the files' names, as the study's script does (the_pile)");
  AddCorpusOptions(command, options->corpus);
  command.AddOption("--max-bad-lines", options->max_bad_lines, "Malformed lines to skip before giving up")
      .ShowDefault();
  command.AddOption("--threads", options->threads, "Threads that tokenise (the output does not depend on it)")
      .Within(1, 256)
      .ShowDefault();
  command.AddFlag("--json", *json, "Print the set's description as JSON");
  command.SetFooter(
      "Examples:\n"
      "  sink-data pack --in corpus --out data/sample-bytes\n"
      "  sink-data pack --in corpus --out data/sample-bpe --tokenizer tokenizer.json --block 1025\n"
      "  sink-data pack --in regmix-data-sample --out pile --tokenizer neox.json --drop-tail --short-name the_pile");
  command.OnParsed([options, json] { Run(*options, *json); });
}

}  // namespace sink::data
