#include "model/eval/command_line.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "model/backend/device.h"
#include "proto/config/job_config.h"
#include "proto/files/files.h"

namespace sink {
namespace {

// What --activations adds to --metrics.
constexpr const char* kActivationMetrics[] = {
    "max_activation", "massive_activations", "massive_channels", "top_median_ratio",
    "kurtosis",       "key_norm_ratio",      "value_norm_ratio"};

// The names of a closed set, as a command line takes them.
template <NamedEnum Enum>
std::map<std::string, Enum> ByName() {
  std::map<std::string, Enum> values;
  for (const EnumName<Enum>& entry : EnumNames<Enum>::kTable) values.emplace(entry.name, entry.value);
  return values;
}

// Returns what is wrong with --bos, or nothing.
std::string SetBos(const std::string& text, InputOptions& inputs) {
  inputs.text_bos = text == "yes" ? TextBos::kYes : text == "no" ? TextBos::kNo : TextBos::kAuto;
  if (text == "yes" || text == "no" || text == "auto") return "";
  int32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0)
    return "--bos: must be a token id, yes, no or auto";
  inputs.probe_options.bos = id;
  return "";
}

// Returns what is wrong with the options together, or nothing.
std::string Finish(CommandLine& line) {
  EvaluateOptions& e = line.evaluate;
  const bool natural = e.inputs.kind == InputKind::kNatural;
  const int sources = (e.inputs.probe.empty() ? 0 : 1) + (e.inputs.texts.empty() ? 0 : 1);
  if (natural && sources != 1) return "give one of --probe, --texts, --inputs random|repeat";
  if (!natural && sources != 0) return "--inputs random|repeat reads no --probe and no --texts";
  if (const std::string wrong = SetBos(line.bos, e.inputs); !wrong.empty()) return wrong;
  if (files::IsStandardOutput(line.dump) && files::IsStandardOutput(line.heat_map))
    return "--dump and --heatmap cannot both go to standard output";
  if (e.inputs.text_bos == TextBos::kYes && e.inputs.texts.empty())
    return "--bos yes is for --texts, which a tokenizer reads; give an id";
  std::vector<std::string>& metrics = e.sink_options.metrics;
  if (std::ranges::count(metrics, "all") > 0) metrics = EvalMetrics();
  if (e.activations) metrics.insert(metrics.end(), std::begin(kActivationMetrics), std::end(kActivationMetrics));
  e.sink_options.positions = std::min(e.sink_options.positions, e.inputs.probe_options.tokens);
  e.sink_options.largest = e.activations;
  e.keep_logits = !line.dump.empty();
  return "";
}

}  // namespace

void AddOptions(args::Command root, CommandLine& line) {
  EvaluateOptions& e = line.evaluate;
  ProbeOptions& probe = e.inputs.probe_options;
  root.AddOption("MODEL_DIR", e.model,
                 "a folder of ours or of Hugging Face (config.json and safetensors), or a .gguf file")
      .Required();
  root.AddOption("--texts", e.inputs.texts,
                 "JSON lines, plain, gzip or zstd, read with the folder's tokenizer; - is standard input");
  root.AddOption("--text-key", e.inputs.text_key, "the field of a line that holds its text (default text)");
  root.AddOption("--probe", e.inputs.probe, "safetensors with `probe` [N, T + 1], or a packed .bin file");
  root.AddOption("--inputs", e.inputs.kind, ByName<InputKind>(),
                 "natural (default), random ids, or one id repeated: no file is read");
  root.AddOption("--seed", e.inputs.seed, "of random and repeat (default 0)");
  root.AddOption("--epsilon", e.sink_options.epsilon, "thresholds of the sink rate (default 0.3)").Fraction();
  root.AddOption("--tokens", probe.tokens, "T (default 64)").Within(2, 1 << 20);
  root.AddOption("--sequences", probe.sequences, "at most this many (default 100)").Within(1, 1 << 20);
  root.AddOption(
          "--bos", line.bos,
          "before every sequence: a token id; of texts also yes, no or auto (default: as the folder's files say)")
      .ValueText("ID|yes|no|auto");
  root.AddOption("--positions", e.sink_options.positions, "positions 1..n of the sink rate (default 10)")
      .Within(1, 1 << 20);
  root.AddOption("--metrics", e.sink_options.metrics, "more to measure: name,name or all (model/eval/README.md)")
      .CutAt(',')
      .OneValueEach()
      .OneOf(EvalMetrics(), {"all"});
  root.AddFlag("--activations", e.activations, "massive activations, and norms by layer and position");
  const args::Option no_loss =
      root.AddFlag("!--no-loss", e.loss, "leave out the loss and with it the head, which sinks do not need");
  root.AddOption("--device", e.device, "cpu (default) or cuda:N").Check([](const std::string& name) {
    return IsDeviceName(name) ? std::string() : "must be cpu or cuda:N, such as cuda:0";
  });
  root.AddOption("--precision", e.precision, "of an open model's products: fp32 (default) or bf16")
      .OneOf({"fp32", "bf16"});
  root.AddOption("--threads", line.threads, "CPU threads (default 1)").Within(1, 1024);
  const args::Option json = root.AddFlag("--json", line.json, "print one JSON object");
  root.AddFlag("--csv", line.csv, "print a line for each number").Excludes(json);
  root.AddOption("--heatmap", line.heat_map,
                 "draw mean alpha_1 by layer and head into this SVG file; - is standard output, as for --dump");
  root.AddOption("--dump", line.dump, "write logits, importance and norms to this safetensors file").Excludes(no_loss);
  root.CheckTogether([&line] { return Finish(line); });
}

}  // namespace sink
