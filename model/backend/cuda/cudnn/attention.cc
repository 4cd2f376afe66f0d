// cuDNN's attention: a plan a shape, made when the shape is first met. A plan that cannot be made is not tried again.
#include <ATen/Context.h>
#include <ATen/cudnn/Handle.h>
#include <ATen/ops/empty.h>

#include <map>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "model/backend/cuda/cudnn/graphs.h"
#include "model/backend/cuda/library_attention.h"
#include "model/backend/cuda/queue.h"

namespace sink::cuda {
namespace cudnn {
namespace {

using kernels::cuda::AttentionShape;
using kernels::cuda::Bfloat16;

enum class Pass { kForward, kBackward, kDeterministicBackward };

struct Plan {
  Graph graph;
  int64_t workspace = 0;  // bytes
};

// Null where cuDNN refuses. The caller's device is the current one.
std::shared_ptr<const Plan> MakePlan(Pass pass, const AttentionShape& shape, int64_t window) {
  const Graph graph = pass == Pass::kForward ? ForwardGraph(shape, window)
                                             : BackwardGraph(shape, window, pass == Pass::kDeterministicBackward);
  Plan plan{graph};
  if (graph->build(at::native::getCudnnHandle(), {cudnn_frontend::HeurMode_t::A}).is_bad() ||
      graph->get_workspace_size(plan.workspace).is_bad())
    return nullptr;
  return std::make_shared<const Plan>(std::move(plan));
}

std::shared_ptr<const Plan> PlanFor(Pass pass, at::Device device, const AttentionShape& s, int64_t window) {
  using Key = std::tuple<Pass, at::DeviceIndex, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;
  static std::mutex mutex;
  static auto& plans = *new std::map<Key, std::shared_ptr<const Plan>>;  // cuDNN may be gone when statics are destroyed
  const std::lock_guard lock(mutex);
  const Key key{pass, device.index(), s.batch, s.length, s.heads, s.key_value_heads, s.head_dim, window};
  const auto [place, is_new] = plans.try_emplace(key);
  if (is_new) place->second = MakePlan(pass, s, window);
  return place->second;
}

using Slots = std::unordered_map<int64_t, void*>;

// Heads of merged rows: their first queries, keys and values.
void AddMergedRows(const AttentionShape& s, Bfloat16* rows, Slot query, Slot key, Slot value, Slots* slots) {
  (*slots)[query] = rows;
  (*slots)[key] = rows + s.heads * s.head_dim;
  (*slots)[value] = rows + (s.heads + s.key_value_heads) * s.head_dim;
}
template <typename T>
T* Pointer(const at::Tensor& x) {
  return const_cast<T*>(In<T>(x));  // cuDNN takes what it only reads without const
}

bool Run(const Plan& plan, const at::Tensor& of, Slots slots) {
  const at::Tensor workspace = at::empty({plan.workspace}, of.options().dtype(at::kByte));
  return plan.graph->execute(at::native::getCudnnHandle(), slots, workspace.mutable_data_ptr()).is_good();
}

bool Forward(const at::Tensor& qkv, const AttentionShape& shape, int64_t window, const at::Tensor& output,
             const at::Tensor& log_sum) {
  const auto plan = PlanFor(Pass::kForward, qkv.device(), shape, window);
  if (plan == nullptr) return false;
  Slots slots{{kOutput, Out<Bfloat16>(output)}, {kLogSum, Out<float>(log_sum)}};
  AddMergedRows(shape, Pointer<Bfloat16>(qkv), kQuery, kKey, kValue, &slots);
  return Run(*plan, qkv, std::move(slots));
}

bool Backward(const at::Tensor& gradient, const at::Tensor& qkv, const at::Tensor& output, const at::Tensor& log_sum,
              const AttentionShape& shape, int64_t window, const at::Tensor& dqkv) {
  const Pass pass = at::globalContext().deterministicAlgorithms() ? Pass::kDeterministicBackward : Pass::kBackward;
  const auto plan = PlanFor(pass, qkv.device(), shape, window);
  if (plan == nullptr) return false;
  Slots slots{{kOutput, Pointer<Bfloat16>(output)},
              {kLogSum, Pointer<float>(log_sum)},
              {kGradient, Pointer<Bfloat16>(gradient)}};
  AddMergedRows(shape, Pointer<Bfloat16>(qkv), kQuery, kKey, kValue, &slots);
  AddMergedRows(shape, Out<Bfloat16>(dqkv), kQueryGradient, kKeyGradient, kValueGradient, &slots);
  return Run(*plan, qkv, std::move(slots));
}

std::string Name() { return "cuDNN " + std::to_string(cudnnGetVersion()); }

}  // namespace
}  // namespace cudnn

const LibraryAttention* FindLibraryAttention() {
  static const LibraryAttention library{cudnn::Name(), cudnn::Forward, cudnn::Backward};
  return &library;
}

}  // namespace sink::cuda
