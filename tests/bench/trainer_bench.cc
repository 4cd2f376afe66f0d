// Our side of bench_trainer.py. Usage: trainer_bench CONFIG.json MODEL_DIR TOKENS.bin
// Writes the initial model to MODEL_DIR, prints "ready", then for every number n on stdin trains n steps on the next
// batches of TOKENS.bin (int32 [batches, micro_batch_size, sequence_length + 1]) and prints {"seconds", "losses",
// "peak_bytes"}.
#include <ATen/ops/empty.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "model/base/or_throw.h"
#include "model/storage/model_directory.h"
#include "model/train/learning/learner.h"
#include "proto/files/files.h"

int main(int argc, char** argv) {
  using namespace sink;
  if (argc != 4) {
    std::cerr << "usage: trainer_bench CONFIG.json MODEL_DIR TOKENS.bin\n";
    return 64;
  }
  const JobConfigResult parsed = ParseJobConfig(OrThrow<std::runtime_error>(files::ReadFile(argv[1], 1 << 16)));
  if (!parsed.config) {
    std::cerr << argv[1] << ": " << parsed.path << " " << parsed.error << "\n";
    return 64;
  }
  const JobConfig& config = *parsed.config;
  train::PrepareProcess(static_cast<int>(config.train.threads));
  train::Learner learner(config, at::kCPU);
  std::filesystem::create_directories(argv[2]);
  SaveModel(argv[2], learner.model(), /*sync=*/false);

  std::ifstream tokens(argv[3], std::ios::binary);
  const auto next_batch = [&]() -> std::optional<at::Tensor> {
    at::Tensor batch = at::empty({config.train.micro_batch_size, config.train.sequence_length + 1}, at::kInt);
    tokens.read(static_cast<char*>(batch.mutable_data_ptr()), static_cast<std::streamsize>(batch.nbytes()));
    if (!tokens) return std::nullopt;
    return batch.to(at::kLong);
  };

  std::cout << "ready" << std::endl;
  int64_t step = 0;
  for (int64_t count; std::cin >> count;) {
    nlohmann::json losses = nlohmann::json::array();
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < count; ++i) {
      const auto result = learner.Step(step++, next_batch);
      if (!result) {
        std::cerr << argv[3] << ": no more batches\n";
        return 64;
      }
      losses.push_back(result->loss);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::cout << nlohmann::json{{"seconds", seconds}, {"losses", losses}, {"peak_bytes", usage.ru_maxrss * 1024}}.dump()
              << std::endl;
  }
  return 0;
}
