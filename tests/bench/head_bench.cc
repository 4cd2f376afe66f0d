// Our side of bench_head.py. Usage: head_bench ROWS HIDDEN VOCABULARY THREADS
// Prints "ready", then for every line on stdin computes the loss of the output head with both gradients once, and
// prints {"seconds", "loss", "peak_bytes"}; peak_bytes is what the computation added to the process.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "model/network/operations.h"

namespace {

int64_t PeakBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: head_bench ROWS HIDDEN VOCABULARY THREADS\n";
    return 64;
  }
  const int64_t rows = std::atoll(argv[1]), hidden = std::atoll(argv[2]), vocabulary = std::atoll(argv[3]);
  at::set_num_threads(std::atoi(argv[4]));
  at::manual_seed(1);
  const at::Tensor x = at::randn({rows, hidden});
  const at::Tensor targets = at::randint(vocabulary, {rows}, at::TensorOptions().dtype(at::kLong));
  const at::Tensor values = at::randn({vocabulary, hidden}).mul_(0.02);
  const sink::Weight head{values, at::zeros_like(values)};
  const int64_t before = PeakBytes();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    head.gradient.zero_();
    at::Tensor gradient;
    const auto start = std::chrono::steady_clock::now();
    const double loss = sink::HeadLoss(x, head, targets, 1.0, &gradient).item<double>();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::cout << nlohmann::json{{"seconds", seconds}, {"loss", loss}, {"peak_bytes", PeakBytes() - before}}.dump()
              << std::endl;
  }
  return 0;
}
