#include "model/backend/cuda/cudnn/graphs.h"

#include <cmath>
#include <utility>

namespace sink::cuda::cudnn {
namespace {

namespace fe = cudnn_frontend;
using kernels::cuda::AttentionShape;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

Graph NewGraph() {
  auto graph = std::make_shared<fe::graph::Graph>();
  graph->set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  return graph;
}

// Heads of rows that are `width` values long, where they lie: [batch, heads, length, head_dim].
void LayOut(const AttentionShape& s, int64_t heads, int64_t width, fe::graph::Tensor_attributes* tensor) {
  tensor->set_dim({s.batch, heads, s.length, s.head_dim}).set_stride({s.length * width, s.head_dim, width, 1});
}
void LayOutLogSum(const AttentionShape& s, fe::graph::Tensor_attributes* tensor) {
  tensor->set_dim({s.batch, s.heads, s.length, 1}).set_stride({s.heads * s.length, s.length, 1, 1});
  tensor->set_data_type(fe::DataType_t::FLOAT);
}

Tensor Input(const Graph& graph, Slot slot, const AttentionShape& s, int64_t heads, int64_t width) {
  fe::graph::Tensor_attributes tensor;
  LayOut(s, heads, width, &tensor);
  return graph->tensor(tensor.set_uid(slot));
}
void Output(const Tensor& tensor, Slot slot, const AttentionShape& s, int64_t heads, int64_t width) {
  LayOut(s, heads, width, tensor.get());
  tensor->set_output(true).set_uid(slot);
}

struct Operands {
  Tensor query, key, value;
};
Operands MergedRows(const Graph& graph, const AttentionShape& s) {
  return {Input(graph, kQuery, s, s.heads, s.width()), Input(graph, kKey, s, s.key_value_heads, s.width()),
          Input(graph, kValue, s, s.key_value_heads, s.width())};
}

// Query i sees keys i - window + 1 .. i, or 0 .. i; scores are divided by sqrt(head_dim).
template <typename Attributes>
Attributes Causal(const AttentionShape& s, int64_t window) {
  Attributes attributes;
  attributes.set_attn_scale(1.0f / std::sqrt(static_cast<float>(s.head_dim)))
      .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
      .set_diagonal_band_right_bound(0);
  if (window > 0 && window < s.length) attributes.set_diagonal_band_left_bound(static_cast<int>(window));
  return attributes;
}

}  // namespace

Graph ForwardGraph(const AttentionShape& shape, int64_t window) {
  const Graph graph = NewGraph();
  const Operands x = MergedRows(graph, shape);
  auto attributes = Causal<fe::graph::SDPA_attributes>(shape, window);
  attributes.set_name("attention").set_generate_stats(true);
  const auto [output, log_sum] = graph->sdpa(x.query, x.key, x.value, std::move(attributes));
  Output(output, kOutput, shape, shape.heads, shape.heads * shape.head_dim);
  LayOutLogSum(shape, log_sum.get());
  log_sum->set_output(true).set_uid(kLogSum);
  return graph;
}

Graph BackwardGraph(const AttentionShape& shape, int64_t window, bool deterministic) {
  const Graph graph = NewGraph();
  const Operands x = MergedRows(graph, shape);
  const int64_t width = shape.heads * shape.head_dim;
  const Tensor output = Input(graph, kOutput, shape, shape.heads, width);
  const Tensor gradient = Input(graph, kGradient, shape, shape.heads, width);
  fe::graph::Tensor_attributes statistics;
  LayOutLogSum(shape, &statistics);
  const Tensor log_sum = graph->tensor(statistics.set_uid(kLogSum));
  auto attributes = Causal<fe::graph::SDPA_backward_attributes>(shape, window);
  attributes.set_name("attention_backward").set_deterministic_algorithm(deterministic);
  const auto [query, key, value] =
      graph->sdpa_backward(x.query, x.key, x.value, output, gradient, log_sum, std::move(attributes));
  Output(query, kQueryGradient, shape, shape.heads, shape.width());
  Output(key, kKeyGradient, shape, shape.key_value_heads, shape.width());
  Output(value, kValueGradient, shape, shape.key_value_heads, shape.width());
  return graph;
}

}  // namespace sink::cuda::cudnn
