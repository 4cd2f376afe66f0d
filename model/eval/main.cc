// sink-eval: measures attention sinks in a model directory. This file reads the command line; evaluate.h does the work.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "model/data/error.h"
#include "model/error.h"
#include "model/eval/evaluate.h"
#include "proto/config/job_config.h"

namespace {

constexpr int kExitOk = 0;
constexpr int kExitData = 1;      // the model or the probe cannot be used
constexpr int kExitUsage = 2;     // bad command line
constexpr int kExitInternal = 3;  // a defect, or no memory

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures attention sinks, loss and norms of a model directory on a probe.", "sink-eval");
  app.footer(
      "Exit codes: 0 done, 1 bad model or probe, 2 bad command line, 3 internal error.\n"
      "Example: sink-eval checkpoints/step-1000 --probe probe.safetensors --json");
  sink::EvaluateOptions options;
  std::string dump;
  bool json = false;
  int threads = 1;
  app.add_option("MODEL_DIR", options.model, "config.json and model.safetensors")->required();
  app.add_option("--probe", options.probe, "safetensors with `probe` [N, T + 1], or a packed .bin file")->required();
  app.add_option("--epsilon", options.sink_options.epsilon, "thresholds of the sink rate (default 0.3)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--tokens", options.probe_options.tokens, "T (default 64)")->check(CLI::Range(2, 1 << 20));
  app.add_option("--sequences", options.probe_options.sequences, "at most this many (default 100)")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--bos", options.probe_options.bos, "put this token id before every sequence");
  app.add_option("--positions", options.sink_options.positions, "positions 1..n of the sink rate (default 10)")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--metrics", options.sink_options.metrics, "more to measure: name,name or all (model/eval/README.md)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(sink::EvalMetrics()) | CLI::IsMember({"all"}));
  app.add_option("--threads", threads, "CPU threads (default 1)")->check(CLI::Range(1, 1024));
  app.add_flag("--json", json, "print one JSON object");
  app.add_option("--dump", dump, "write logits, importance and norms to this safetensors file");
  try {
    app.parse(argc, argv);
    at::set_num_threads(threads);
    if (std::ranges::count(options.sink_options.metrics, "all") > 0) options.sink_options.metrics = sink::EvalMetrics();
    options.keep_logits = !dump.empty();
    const sink::Evaluation evaluation = sink::Evaluate(options);
    if (!dump.empty()) sink::Dump(evaluation, dump);
    const std::string text = json ? sink::PrintJson(evaluation) : sink::PrintText(evaluation);
    if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0)
      throw sink::ModelError("cannot write the output");
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  } catch (const sink::ModelError& error) {
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
