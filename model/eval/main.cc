// sink-eval: measures attention sinks in a model directory. command_line.h reads the options, evaluate.h does the work.
#include <ATen/Parallel.h>

#include <cstdio>
#include <exception>
#include <string>

#include "model/base/data_error.h"
#include "model/base/model_error.h"
#include "model/eval/command_line.h"
#include "model/eval/layer_progress.h"
#include "proto/files/files.h"

namespace {

constexpr int kExitOk = 0;
constexpr int kExitData = 1;      // the model or the inputs cannot be used
constexpr int kExitUsage = 2;     // bad command line
constexpr int kExitInternal = 3;  // a defect, or no memory

sink::Evaluation EvaluateWithProgress(sink::EvaluateOptions options) {
  sink::LayerProgress progress;
  options.on_layer = [&progress](int64_t done, int64_t all) { progress.Update(done, all); };
  return sink::Evaluate(options);
}

void Run(const sink::CommandLine& line) {
  at::set_num_threads(line.threads);
  const sink::Evaluation evaluation = EvaluateWithProgress(line.evaluate);
  if (!line.dump.empty()) sink::Dump(evaluation, line.dump);
  if (!line.heat_map.empty()) sink::DrawHeatMap(evaluation, line.heat_map);
  for (const std::string& note : evaluation.notes) std::fprintf(stderr, "sink-eval: note: %s\n", note.c_str());
  const std::string text = line.json  ? sink::PrintJson(evaluation)
                           : line.csv ? sink::PrintCsv(evaluation)
                                      : sink::PrintText(evaluation);
  const bool taken = sink::files::IsStandardOutput(line.dump) || sink::files::IsStandardOutput(line.heat_map);
  if (std::FILE* out = taken ? stderr : stdout; std::fputs(text.c_str(), out) < 0 || std::fflush(out) != 0)
    throw sink::ModelError("cannot write the output");
}

}  // namespace

int main(int argc, char** argv) {
  sink::args::CommandLine program("Measures attention sinks, loss and norms of a model directory.", "sink-eval");
  program.SetVersion("sink-eval " SINK_VERSION);
  program.root().SetFooter(
      "Exit codes: 0 done, 1 bad model or inputs, 2 bad command line, 3 internal error.\n"
      "Examples:\n"
      "  sink-eval checkpoints/step-1000 --probe probe.safetensors --json\n"
      "  sink-eval gpt2-xl --texts probe_valid.jsonl --tokens 64 --sequences 100 --activations --heatmap alpha.svg\n"
      "  sink-eval llama-2-7b --inputs repeat");
  sink::CommandLine line;
  sink::AddOptions(program.root(), line);
  try {
    if (const auto status = program.Parse(argc, argv, kExitUsage)) return *status;
    Run(line);
    return kExitOk;
  } catch (const sink::ModelError& error) {
    std::fprintf(stderr, "sink-eval: %s\n", error.what());
    return kExitData;
  } catch (const sink::DeviceError& error) {
    std::fprintf(stderr, "sink-eval: %s\n", error.what());
    return kExitData;
  } catch (const sink::data::DataError& error) {
    std::fprintf(stderr, "sink-eval: %s\n", error.what());
    return kExitData;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sink-eval: internal error: %s\n", error.what());
    return kExitInternal;
  }
}
