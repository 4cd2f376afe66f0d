// sink-data pack: see packer.h.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>

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
  for (const SetSource& source : set.sources) {
    std::printf("  %-24s %9lld documents %12lld tokens %6lld bad lines\n", source.path.c_str(),
                static_cast<long long>(source.documents), static_cast<long long>(source.tokens),
                static_cast<long long>(source.bad_lines));
  }
}

}  // namespace

void AddPackCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("pack", "Tokenise a JSON-lines corpus into a packed set (LITPKDS files)");
  auto options = std::make_shared<PackOptions>();
  auto json = std::make_shared<bool>(false);
  options->threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  command->add_option("--in", options->in, "Folder with train/ and valid/, each *.jsonl, *.jsonl.gz or *.jsonl.zst")
      ->required();
  command->add_option("--out", options->out, "The set to make")->required();
  command
      ->add_option("--tokenizer", options->tokenizer, "\"bytes\", or the path of a tokenizer.json or tokenizer.model")
      ->capture_default_str();
  command->add_option("--block", options->block, "Tokens of a block: the longest context and one")
      ->capture_default_str();
  command->add_option("--chunk-blocks", options->chunk_blocks, "Blocks in a file of train")->capture_default_str();
  command->add_option("--valid-chunk-blocks", options->valid_chunk_blocks, "Blocks in a file of valid")
      ->capture_default_str();
  command->add_option("--max-bad-lines", options->max_bad_lines, "Malformed lines to skip before giving up")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads that tokenise (the output does not depend on it)")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--json", *json, "Print the set's description as JSON");
  command->footer(
      "Examples:\n"
      "  sink-data pack --in corpus --out data/sample-bytes\n"
      "  sink-data pack --in corpus --out data/sample-bpe --tokenizer tokenizer.json --block 1025");
  command->callback([options, json] { Run(*options, *json); });
}

}  // namespace sink::data
