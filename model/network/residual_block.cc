// Nodes of autograd made by hand: a torch::autograd::Function would keep the shape, the rule and the rest in a map of
// names. Weights are no inputs of theirs, because the gradients of weights go straight into the model's buffer.
#include "model/network/residual_block.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <memory>
#include <utility>

#include "model/backend/backend.h"
#include "model/network/attention_terms.h"

namespace sink {
namespace {

using torch::autograd::Node;
using torch::autograd::variable_list;

// What both blocks keep of their first half, for the backward pass.
struct NormedInput {
  at::Tensor x_NC;
  RmsNormOutput norm;
};

NormedInput NormOf(const at::Tensor& x_NC, const Weight& norm_C, double epsilon) {
  return {x_NC, KernelsFor(x_NC).rms_norm(x_NC, norm_C.compute, epsilon)};
}

// The gradient of x, from those of what the norm left and of the block's sum.
at::Tensor NormBackward(const at::Tensor& dnormed_NC, const at::Tensor& dsum_NC, const NormedInput& input,
                        const Weight& norm_C) {
  return KernelsFor(dsum_NC).add_rms_norm_backward(dnormed_NC, dsum_NC, input.x_NC, norm_C.compute,
                                                   input.norm.inverse_rms_N, norm_C.gradient);
}

// x W^T.
at::Tensor LinearForward(const at::Tensor& x_NC, const Weight& weight_OC) {
  const at::Tensor y_NO = at::empty({x_NC.size(0), weight_OC.compute.size(0)}, x_NC.options());
  KernelsFor(x_NC).product(x_NC, weight_OC.compute, /*transpose_b=*/true, /*add=*/false, y_NO);
  return y_NO;
}

// residual + x W^T.
at::Tensor AddLinear(const at::Tensor& residual_NO, const at::Tensor& x_NC, const Weight& weight_OC) {
  const at::Tensor y_NO = residual_NO.clone();
  KernelsFor(x_NC).product(x_NC, weight_OC.compute, /*transpose_b=*/true, /*add=*/true, y_NO);
  return y_NO;
}

// Of y = x W^T: the gradient of x, that of W being added where it belongs.
at::Tensor LinearBackward(const at::Tensor& dy_NO, const at::Tensor& x_NC, const Weight& weight_OC) {
  if (weight_OC.gradient.defined()) KernelsFor(dy_NO).add_product(dy_NO, x_NC, weight_OC.gradient);
  const at::Tensor dx_NC = at::empty({dy_NO.size(0), weight_OC.compute.size(1)}, dy_NO.options());
  KernelsFor(dy_NO).product(dy_NO, weight_OC.compute, /*transpose_b=*/false, /*add=*/false, dx_NC);
  return dx_NC;
}

struct AttentionParts {
  Weight norm_C, qkv_WC, output_CO;
  double epsilon = 0;
  at::Tensor rope_TD;  // undefined: nothing turns
  AttentionShape shape;
  AttentionRule rule;
  AttentionTerms terms;
};

struct AttentionNode : Node {
  explicit AttentionNode(AttentionParts parts) : block(std::move(parts)) {}

  at::Tensor Forward(const at::Tensor& x_NC) {
    const Kernels& kernels = KernelsFor(x_NC);
    input = NormOf(x_NC, block.norm_C, block.epsilon);
    qkv_NW = LinearForward(input.norm.y_NC, block.qkv_WC);
    Turn(/*inverse=*/false, qkv_NW);
    out = kernels.attention(qkv_NW, block.shape, block.rule, block.terms);
    return AddLinear(x_NC, out.output_NC, block.output_CO);
  }

  variable_list apply(variable_list&& gradients) override {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    const at::Tensor dy_NC = gradients[0].contiguous();
    const at::Tensor dout_NC = LinearBackward(dy_NC, out.output_NC, block.output_CO);
    const AttentionGradients g =
        KernelsFor(dy_NC).attention_backward(dout_NC, qkv_NW, out, block.shape, block.rule, block.terms);
    Turn(/*inverse=*/true, g.qkv_NW);
    const at::Tensor dnormed_NC = LinearBackward(g.qkv_NW, input.norm.y_NC, block.qkv_WC);
    return {NormBackward(dnormed_NC, dy_NC, input, block.norm_C), g.terms.offset_bias_HS, g.terms.column_key_HD,
            g.terms.column_value_HD, g.terms.column_logit_H};
  }

  void release_variables() override {
    input = {};
    qkv_NW.reset();
    out = {};
    block = {};
  }

  // RoPE, in place.
  void Turn(bool inverse, const at::Tensor& x_NW) const {
    if (!block.rope_TD.defined()) return;
    const AttentionShape& s = block.shape;
    KernelsFor(x_NW).rope(x_NW, block.rope_TD, s.length, s.heads + s.key_value_heads, s.head_dim, inverse, x_NW);
  }

  AttentionParts block;
  NormedInput input;
  at::Tensor qkv_NW;
  AttentionOutput out;
};

struct FeedForwardParts {
  Weight norm_C, gate_up, down_CF;  // gate over up, or up alone
  double epsilon = 0;
  kernels::Activation activation = kernels::Activation::kSilu;
  bool gated = true;
};

struct FeedForwardNode : Node {
  explicit FeedForwardNode(FeedForwardParts parts) : block(std::move(parts)) {}

  at::Tensor Forward(const at::Tensor& x_NC) {
    input = NormOf(x_NC, block.norm_C, block.epsilon);
    gate_up = LinearForward(input.norm.y_NC, block.gate_up);
    active_NF = KernelsFor(x_NC).feed_forward(gate_up, block.activation, block.gated);
    return AddLinear(x_NC, active_NF, block.down_CF);
  }

  variable_list apply(variable_list&& gradients) override {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    const at::Tensor dy_NC = gradients[0].contiguous();
    at::Tensor gradient = LinearBackward(dy_NC, std::exchange(active_NF, {}), block.down_CF);
    gradient =
        KernelsFor(dy_NC).feed_forward_backward(gradient, std::exchange(gate_up, {}), block.activation, block.gated);
    gradient = LinearBackward(gradient, input.norm.y_NC, block.gate_up);
    return {NormBackward(gradient, dy_NC, input, block.norm_C)};
  }

  void release_variables() override {
    input = {};
    gate_up.reset();
    active_NF.reset();
    block = {};
  }

  FeedForwardParts block;
  NormedInput input;
  at::Tensor gate_up, active_NF;
};

// Runs the node's forward pass and, where gradients are wanted, makes it that of the result; `inputs` in the order of
// the gradients that it returns, undefined ones left out of the graph.
template <typename BlockNode, typename... Inputs>
at::Tensor Run(const std::shared_ptr<BlockNode>& node, const at::Tensor& x_NC, const Inputs&... inputs) {
  at::Tensor y_NC;
  {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;
    y_NC = node->Forward(x_NC);
  }
  if (!at::GradMode::is_enabled() || !x_NC.requires_grad()) return y_NC;
  node->set_next_edges(torch::autograd::collect_next_edges(x_NC, inputs...));
  torch::autograd::set_history(y_NC, node);
  return y_NC;
}

template <typename BlockNode, typename Parts>
std::shared_ptr<BlockNode> NodeOf(Parts parts) {
  return {new BlockNode(std::move(parts)), torch::autograd::deleteNode};
}

}  // namespace

bool HasWholeBlocks(const ModelConfig& c) {
  const VariantConfig& v = c.variant;
  const bool has_column = v.key_bias != KeyBias::kNone || v.sink_logit != SinkLogit::kNone;
  return v.norm_placement == NormPlacement::kPre && !v.qk_norm && v.feature_map == FeatureMap::kIdentity &&
         v.attention_gate == AttentionGate::kNone && v.attention_sum == 1 &&
         (v.value_bias == ValueBias::kNone || has_column);
}

at::Tensor AttentionBlock(const AttentionContext& context, const LayerParameters& weights, const at::Tensor& x_NC,
                          const at::Tensor& offset_bias, int64_t batch, int64_t length) {
  const ModelConfig& c = context.config();
  const AttentionTerms terms = TermsOf(c, weights, offset_bias, context.term_options());
  return Run(NodeOf<AttentionNode>(AttentionParts{.norm_C = weights.input_norm,
                                                  .qkv_WC = weights.qkv,
                                                  .output_CO = weights.attention_output,
                                                  .epsilon = c.rms_norm_eps,
                                                  .rope_TD = context.rope_TD(),
                                                  .shape = ShapeOf(c, batch, length),
                                                  .rule = context.rule(),
                                                  .terms = terms}),
             x_NC, terms.offset_bias_HS, terms.column_key_HD, terms.column_value_HD, terms.column_logit_H);
}

at::Tensor FeedForwardBlock(const ModelConfig& config, kernels::Activation activation, const LayerParameters& weights,
                            const at::Tensor& x_NC) {
  return Run(NodeOf<FeedForwardNode>(FeedForwardParts{.norm_C = weights.feed_forward_norm,
                                                      .gate_up = weights.gate_up,
                                                      .down_CF = weights.down,
                                                      .epsilon = config.rms_norm_eps,
                                                      .activation = activation,
                                                      .gated = IsGated(config.variant.ffn)}),
             x_NC);
}

}  // namespace sink
