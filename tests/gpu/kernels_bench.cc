// Times each kernel of a device's table alone, at the sizes of a model's micro-batch: parts.py prints it beside
// PyTorch's and the bounds of kernels/README.md. Usage: kernels_bench [DEVICE [60M|1B|tiny]]. A line of JSON a kernel:
// "kernel", "milliseconds", "GB" that must move, "TFLOP" that must be multiplied; what the table leaves to ATen is not
// in it. In bfloat16 on a GPU, in float on a CPU. SINK_ATTENTION chooses the attention, as everywhere; "--attention" as
// a third argument times nothing else.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "model/backend/backend.h"
#include "model/backend/device.h"
#include "model/backend/device_queue.h"
#include "model/train/learning/learner.h"
#include "tests/model/backend/parity/parity.h"

namespace sink {
namespace {

using Clock = std::chrono::steady_clock;

struct Sizes {
  int64_t sequences, length, hidden, feed_forward, heads, vocabulary, parameters;

  int64_t rows() const { return sequences * length; }
  // Of queries and keys under the causal mask.
  double pairs() const {
    return 0.5 * static_cast<double>(sequences * heads * length) * static_cast<double>(length + 1);
  }
};

const std::map<std::string, Sizes> kSizes = {{"tiny", {2, 64, 64, 128, 4, 320, 100'000}},
                                             {"60M", {16, 2048, 768, 1536, 8, 50432, 136'500'000}},
                                             {"1B", {8, 2048, 2048, 5632, 16, 50432, 1'337'000'000}}};

class KernelsBench {
 public:
  KernelsBench(const Sizes& sizes, at::Device device, at::ScalarType type)
      : s_(sizes),
        device_(device),
        type_(type),
        bytes_(static_cast<double>(c10::elementSize(type))),
        k_(KernelsFor(device, type)) {}

  void Rows() {
    const int64_t n = s_.rows(), c = s_.hidden, f = s_.feed_forward;
    const double values = static_cast<double>(n * c);
    const at::Tensor x = Random({n, c}), y = Random({n, c}), weight = at::ones({c}, Floats()),
                     weight_gradient = at::zeros({c}, Floats());
    if (k_.add_rms_norm != nullptr) {
      const AddedRmsNorm out = k_.add_rms_norm(x, y, weight, 1e-5);
      Time("RMSNorm with residual, forward", 4 * values, 0, [&] { k_.add_rms_norm(x, y, weight, 1e-5); });
      Time("RMSNorm with residual, backward", 4 * values, 0,
           [&] { k_.add_rms_norm_backward(x, y, out.sum_NC, weight, out.inverse_rms_N, weight_gradient); });
    }
    if (k_.rope != nullptr) {
      const at::Tensor qkv = Random({n, 3 * c}), table = at::ones({s_.length, c / s_.heads}, Floats());
      Time("RoPE on q and k", 4 * values, 0,
           [&] { k_.rope(qkv, table, s_.length, 2 * s_.heads, c / s_.heads, /*inverse=*/false, qkv); });
    }
    if (k_.feed_forward != nullptr) {
      const double inner = static_cast<double>(n * f);
      const at::Tensor wide = Random({n, 2 * f}), gradient = Random({n, f});
      Time("gated activation, forward", 3 * inner, 0, [&] { k_.feed_forward(wide, kernels::Activation::kSilu, true); });
      Time("gated activation, backward", 5 * inner, 0,
           [&] { k_.feed_forward_backward(gradient, wide, kernels::Activation::kSilu, true); });
    }
    if (k_.add_product != nullptr) {
      const at::Tensor dy = Random({n, 3 * c}), sum = at::zeros({3 * c, c}, Floats());
      Time("gradient of qkv's weight", 4 * values, 2 * static_cast<double>(n * c) * static_cast<double>(3 * c),
           [&] { k_.add_product(dy, x, sum); });
    }
    const at::Tensor ids = at::randint(s_.vocabulary, {n}, at::TensorOptions(device_).dtype(at::kLong));
    if (k_.embedding_backward != nullptr) {
      const at::Tensor table = at::zeros({s_.vocabulary, c}, Floats());
      const double touched = static_cast<double>(std::min(n, s_.vocabulary) * c);
      Time("embedding, backward", values + 2 * touched * sizeof(float) / bytes_, 0,
           [&] { k_.embedding_backward(x, ids, table); });
    }
    if (k_.cross_entropy != nullptr) {
      const int64_t rows = std::min<int64_t>(n, 8192);
      at::Tensor logits = Random({rows, s_.vocabulary});
      const at::Tensor targets = ids.narrow(0, 0, rows);
      Time("loss and gradient of " + std::to_string(rows) + " rows in place",
           2 * static_cast<double>(rows * s_.vocabulary), 0, [&] { k_.cross_entropy(logits, targets, 1e-3, true); });
    }
  }

  void Attention() {
    if (k_.attention == nullptr) return;
    const int64_t n = s_.rows(), c = s_.hidden, head_dim = c / s_.heads;
    const AttentionShape shape{s_.sequences, s_.length, s_.heads, s_.heads, head_dim};
    const at::Tensor qkv = Random({n, 3 * c}), gradient = Random({n, c});
    const double values = static_cast<double>(n * c);
    for (const testing::AttentionKind& kind : testing::AttentionKinds()) {
      const auto term = [&](bool wanted, at::IntArrayRef sizes) {
        return wanted ? at::randn(sizes, Floats()) : at::Tensor();
      };
      const AttentionTerms terms{term(kind.bias, {s_.heads, 2 * s_.length - 1}),
                                 term(kind.column_key, {s_.heads, head_dim}),
                                 term(kind.column_value, {s_.heads, head_dim}), term(kind.column_logit, {s_.heads})};
      if (kind.learned_bias) terms.offset_bias_HS.requires_grad_();
      if (k_.takes_attention != nullptr && !k_.takes_attention(shape, kind.rule, terms)) continue;
      // A window sees fewer pairs, and how many the tiles save is what one wants to know.
      const double product = kind.rule.window > 0 ? 0 : 2 * static_cast<double>(head_dim) * s_.pairs();
      const AttentionOutput out = k_.attention(qkv, shape, kind.rule, terms);
      Time("attention " + kind.name + ", forward", 4 * values, 2 * product,
           [&] { k_.attention(qkv, shape, kind.rule, terms); });
      Time("attention " + kind.name + ", backward", 8 * values, 5 * product,
           [&] { k_.attention_backward(gradient, qkv, out, shape, kind.rule, terms); });
      if (k_.attention_sums != nullptr)
        Time("attention " + kind.name + ", column sums", 2 * values, product,
             [&] { k_.attention_sums(qkv, out, shape, kind.rule, terms); });
    }
  }

  void Update() {
    const Kernels& floats = KernelsFor(device_, at::kFloat);
    const auto p = static_cast<double>(s_.parameters) * sizeof(float) / bytes_;
    const at::Tensor gradient = at::randn({s_.parameters}, Floats());
    if (floats.clipping != nullptr) Time("global norm", p, 0, [&] { floats.clipping(gradient, 1.0); });
    if (floats.adamw == nullptr) return;
    const AdamWBuffers buffers{gradient, at::randn({s_.parameters}, Floats()), at::zeros({s_.parameters}, Floats()),
                               at::zeros({s_.parameters}, Floats()),
                               at::empty({s_.parameters}, Floats().dtype(at::kBFloat16))};
    Time("AdamW with the bf16 copy", 7.5 * p, 0,
         [&] { floats.adamw({.learning_rate = 1e-4, .weight_decay = 0.1}, buffers, {}); });
  }

 private:
  at::TensorOptions Floats() const { return at::TensorOptions(device_).dtype(at::kFloat); }
  at::Tensor Random(at::IntArrayRef shape) const { return at::randn(shape, Floats()).to(type_); }

  // `values` of the table's type move. Calls are queued one behind the other, so that the host's share of one is hidden
  // where the device's is longer, as in a step.
  void Time(const std::string& kernel, double values, double operations, const std::function<void()>& call) const {
    const int rounds = device_.is_cpu() ? 2 : 20;
    for (int i = 0; i < 3; ++i) call();
    AwaitDevice();
    const auto start = Clock::now();
    for (int i = 0; i < rounds; ++i) call();
    AwaitDevice();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count() / rounds;
    std::cout << nlohmann::json{{"kernel", kernel},
                                {"milliseconds", seconds * 1e3},
                                {"GB", values * bytes_ / 1e9},
                                {"TFLOP", operations / 1e12}}
                     .dump()
              << std::endl;
  }
  void AwaitDevice() const {
    Milestone now(device_);
    now.Set();
    now.Await();
  }

  const Sizes s_;
  const at::Device device_;
  const at::ScalarType type_;
  const double bytes_;  // of a value
  const Kernels& k_;
};

}  // namespace
}  // namespace sink

int main(int argc, char** argv) {
  using namespace sink;
  const std::string name = argc > 1 ? argv[1] : "cpu", size = argc > 2 ? argv[2] : "tiny";
  const auto sizes = kSizes.find(size);
  if (!IsDeviceName(name) || sizes == kSizes.end()) {
    std::cerr << "usage: kernels_bench [DEVICE [60M|1B|tiny [--attention]]]\n";
    return 64;
  }
  train::PrepareProcess(2);
  train::ComputeTheSameEveryTime();
  const at::Device device = OpenDevice(name);
  KernelsBench bench(sizes->second, device, FastType(device));
  bench.Attention();
  if (argc > 3) return 0;
  bench.Rows();
  bench.Update();
  return 0;
}
