// Our side of bench_trainer.py and of tests/gpu. Usage: trainer_bench CONFIG.json MODEL_DIR TOKENS.bin [DEVICE]
// Writes the initial model to MODEL_DIR ("-": nowhere) and prints "ready". Then for every number n on stdin trains n
// steps on the next batches of TOKENS.bin (int32 [batches, micro_batch_size, sequence_length + 1]) and prints
// {"seconds", "losses", "peak_bytes", "reserved_bytes", "warnings"}; for the word "checkpoint" does what training waits
// for when a checkpoint is taken, and prints {"seconds"}. Peaks: of the process; on a GPU of what LibTorch's allocator
// gave out, and of what it held, which has all that a recorded micro-batch keeps.
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_file.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "model/backend/device.h"
#include "model/backend/device_queue.h"
#include "model/base/or_throw.h"
#include "model/storage/model_directory.h"
#include "model/train/learning/learner.h"
#include "model/train/run/checkpoint.h"
#include "proto/files/files.h"

namespace sink::train {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Peaks {
  int64_t given_out = 0, held = 0;
};

Peaks PeakBytes(at::Device device) {
  if (!device.is_cpu()) {
    const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    return {stats.allocated_bytes[0].peak, stats.reserved_bytes[0].peak};
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {usage.ru_maxrss * 1024, usage.ru_maxrss * 1024};
}

// All batches, on the device.
at::Tensor ReadTokens(const std::string& path, const TrainConfig& config, at::Device device) {
  const auto count = static_cast<int64_t>(std::filesystem::file_size(path) / sizeof(int32_t));
  return at::from_file(path, /*shared=*/false, count, at::kInt)
      .view({-1, config.micro_batch_size, config.sequence_length + 1})
      .to(device, /*dtype=*/at::kInt, /*non_blocking=*/false, /*copy=*/true);
}

class Bench {
 public:
  Bench(const JobConfig& config, const std::string& model_dir, const std::string& tokens, at::Device device)
      : config_(config), device_(device), tokens_(ReadTokens(tokens, config.train, device)), learner_(config, device) {
    if (model_dir == "-") return;
    std::filesystem::create_directories(model_dir);
    SaveModel(model_dir, learner_.model());
  }

  // As a run does: a step is begun before the last one's numbers are known.
  nlohmann::json Train(int64_t steps) {
    nlohmann::json losses = nlohmann::json::array();
    std::optional<BegunStep> last;
    const auto finish = [&] {
      if (last) losses.push_back(learner_.Finish(*last).loss);
    };
    const auto start = Clock::now();
    for (int64_t i = 0; i < steps; ++i) {
      std::optional<BegunStep> begun = learner_.Begin(
          step_++, [this] { return std::optional(tokens_[next_++].to(at::kLong)); },
          std::numeric_limits<double>::infinity());
      finish();
      last.emplace(*std::move(begun));
    }
    finish();
    AwaitDevice();  // the numbers of a step are known before its update is done
    const double seconds = SecondsSince(start);
    const Peaks peaks = PeakBytes(device_);
    return {{"seconds", seconds},
            {"losses", losses},
            {"peak_bytes", peaks.given_out},
            {"reserved_bytes", peaks.held},
            {"warnings", learner_.TakeWarnings()}};
  }

  nlohmann::json Checkpoint() {
    const auto start = Clock::now();
    const CheckpointContent copy = Snapshot(ContentOf(config_, learner_.model(), *learner_.WholeOptimizer(), {}, {}));
    AwaitDevice();
    return {{"seconds", SecondsSince(start)}};
  }

 private:
  void AwaitDevice() const {
    Milestone now(device_);
    now.Set();
    now.Await();
  }

  const JobConfig config_;
  const at::Device device_;
  const at::Tensor tokens_;
  Learner learner_;
  int64_t step_ = 0, next_ = 0;
};

}  // namespace
}  // namespace sink::train

int main(int argc, char** argv) {
  using namespace sink;
  if (argc != 4 && argc != 5) {
    std::cerr << "usage: trainer_bench CONFIG.json MODEL_DIR TOKENS.bin [DEVICE]\n";
    return 64;
  }
  const JobConfigResult parsed = ParseJobConfig(OrThrow<std::runtime_error>(files::ReadFile(argv[1], 1 << 16)));
  if (!parsed.config) {
    std::cerr << argv[1] << ": " << parsed.path << " " << parsed.error << "\n";
    return 64;
  }
  train::PrepareProcess(static_cast<int>(parsed.config->train.threads));
  train::ComputeTheSameEveryTime();
  train::Bench bench(*parsed.config, argv[2], argv[3], OpenDevice(argc == 5 ? argv[4] : "cpu"));
  std::cout << "ready" << std::endl;
  for (std::string word; std::cin >> word;)
    std::cout << (word == "checkpoint" ? bench.Checkpoint() : bench.Train(std::stoll(word))).dump() << std::endl;
  return 0;
}
