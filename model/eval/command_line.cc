#include "model/eval/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "model/backend/device.h"
#include "proto/config/job_config.h"

namespace sink {
namespace {

// What --activations adds to --metrics.
constexpr const char* kActivationMetrics[] = {
    "max_activation", "massive_activations", "massive_channels", "top_median_ratio",
    "kurtosis",       "key_norm_ratio",      "value_norm_ratio"};

void SetBos(const std::string& text, InputOptions& inputs) {
  inputs.probe_options.bos.reset();
  inputs.text_bos = text == "yes" ? TextBos::kYes : text == "no" ? TextBos::kNo : TextBos::kAuto;
  if (text == "yes" || text == "no" || text == "auto") return;
  int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0)
    throw CLI::ValidationError("--bos", "must be a token id, yes, no or auto");
  inputs.probe_options.bos = id;
}

void Finish(CommandLine& line) {
  EvaluateOptions& e = line.evaluate;
  const bool natural = e.inputs.kind == InputKind::kNatural;
  const int sources = (e.inputs.probe.empty() ? 0 : 1) + (e.inputs.texts.empty() ? 0 : 1);
  if (natural && sources != 1) throw CLI::ValidationError("give one of --probe, --texts, --inputs random|repeat");
  if (!natural && sources != 0) throw CLI::ValidationError("--inputs random|repeat reads no --probe and no --texts");
  if (e.inputs.text_bos == TextBos::kYes && e.inputs.texts.empty())
    throw CLI::ValidationError("--bos yes is for --texts, which a tokenizer reads; give an id");
  std::vector<std::string>& metrics = e.sink_options.metrics;
  if (std::ranges::count(metrics, "all") > 0) metrics = EvalMetrics();
  if (e.activations) metrics.insert(metrics.end(), std::begin(kActivationMetrics), std::end(kActivationMetrics));
  e.sink_options.positions = std::min(e.sink_options.positions, e.inputs.probe_options.tokens);
  e.sink_options.largest = e.activations;
  e.keep_logits = !line.dump.empty();
}

}  // namespace

void AddOptions(CLI::App& app, CommandLine& line) {
  EvaluateOptions& e = line.evaluate;
  ProbeOptions& probe = e.inputs.probe_options;
  app.add_option("MODEL_DIR", e.model,
                 "a folder of ours or of Hugging Face (config.json and safetensors), or a .gguf file")
      ->required();
  app.add_option("--texts", e.inputs.texts, "JSON lines with a `text`, read with the folder's tokenizer");
  app.add_option("--probe", e.inputs.probe, "safetensors with `probe` [N, T + 1], or a packed .bin file");
  app.add_option("--inputs", e.inputs.kind, "natural (default), random ids, or one id repeated: no file is read")
      ->transform(CLI::CheckedTransformer(InputKinds(), CLI::ignore_case));
  app.add_option("--seed", e.inputs.seed, "of random and repeat (default 0)");
  app.add_option("--epsilon", e.sink_options.epsilon, "thresholds of the sink rate (default 0.3)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--tokens", probe.tokens, "T (default 64)")->check(CLI::Range(2, 1 << 20));
  app.add_option("--sequences", probe.sequences, "at most this many (default 100)")->check(CLI::Range(1, 1 << 20));
  app.add_option_function<std::string>(
         "--bos", [&e](const std::string& text) { SetBos(text, e.inputs); },
         "before every sequence: a token id; of texts also yes, no or auto (default: as the folder's files say)")
      ->type_name("ID|yes|no|auto");
  app.add_option("--positions", e.sink_options.positions, "positions 1..n of the sink rate (default 10)")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--metrics", e.sink_options.metrics, "more to measure: name,name or all (model/eval/README.md)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(EvalMetrics()) | CLI::IsMember({"all"}));
  app.add_flag("--activations", e.activations, "massive activations, and norms by layer and position");
  auto* no_loss =
      app.add_flag("!--no-loss", e.loss, "leave out the loss and with it the head, which sinks do not need");
  app.add_option("--device", e.device, "cpu (default) or cuda:N")->check([](const std::string& name) {
    return IsDeviceName(name) ? std::string() : "must be cpu or cuda:N, such as cuda:0";
  });
  app.add_option("--threads", line.threads, "CPU threads (default 1)")->check(CLI::Range(1, 1024));
  app.add_flag("--json", line.json, "print one JSON object");
  app.add_flag("--csv", line.csv, "print a line for each number")->excludes("--json");
  app.add_option("--heatmap", line.heat_map, "draw mean alpha_1 by layer and head into this SVG file");
  app.add_option("--dump", line.dump, "write logits, importance and norms to this safetensors file")->excludes(no_loss);
  app.parse_complete_callback([&line] { Finish(line); });
}

}  // namespace sink
