// The closed sets of a job's configuration: what a field that is not a number, a switch or a free name may be, and how
// it is written. model/README.md has the formulas and sources of the model's. Neutral; constants and pure functions;
// any thread.
#pragma once

#include "proto/base/enum_names.h"

namespace sink {

// What a job does: train a model, or measure one that is there already.
enum class JobKind { kTrain, kEvaluate };
template <>
struct EnumNames<JobKind> {
  static constexpr EnumName<JobKind> kTable[] = {{JobKind::kTrain, "train"}, {JobKind::kEvaluate, "evaluate"}};
};

enum class PositionEmbedding { kRope, kNope, kSinusoidal, kLearnable, kAlibi, kRelative, kT5 };
template <>
struct EnumNames<PositionEmbedding> {
  using enum PositionEmbedding;
  static constexpr EnumName<PositionEmbedding> kTable[] = {{kRope, "rope"},
                                                           {kNope, "nope"},
                                                           {kSinusoidal, "sinusoidal"},
                                                           {kLearnable, "learnable"},
                                                           {kAlibi, "alibi"},
                                                           {kRelative, "relative"},
                                                           {kT5, "t5"}};
};

// The feed-forward block: three with a gate, three without one, and layers that are attention alone.
enum class Ffn { kSwiglu, kGeglu, kReglu, kGelu, kRelu, kSwish, kNone };
template <>
struct EnumNames<Ffn> {
  using enum Ffn;
  static constexpr EnumName<Ffn> kTable[] = {{kSwiglu, "swiglu"}, {kGeglu, "geglu"}, {kReglu, "reglu"}, {kGelu, "gelu"},
                                             {kRelu, "relu"},     {kSwish, "swish"}, {kNone, "none"}};
};
constexpr bool IsGated(Ffn ffn) {
  switch (ffn) {
    case Ffn::kSwiglu:
    case Ffn::kGeglu:
    case Ffn::kReglu:
      return true;
    case Ffn::kGelu:
    case Ffn::kRelu:
    case Ffn::kSwish:
    case Ffn::kNone:
      break;
  }
  return false;
}

enum class NormPlacement { kPre, kPost, kSandwich };
template <>
struct EnumNames<NormPlacement> {
  using enum NormPlacement;
  static constexpr EnumName<NormPlacement> kTable[] = {{kPre, "pre"}, {kPost, "post"}, {kSandwich, "sandwich"}};
};
// Whether a block's input is normed on its way into the block; else the sum of input and output is, after it.
constexpr bool NormsInput(NormPlacement placement) {
  switch (placement) {
    case NormPlacement::kPre:
    case NormPlacement::kSandwich:
      return true;
    case NormPlacement::kPost:
      break;
  }
  return false;
}
// Whether a norm follows the block: of its output, or of the sum.
constexpr bool NormsOutput(NormPlacement placement) {
  switch (placement) {
    case NormPlacement::kPost:
    case NormPlacement::kSandwich:
      return true;
    case NormPlacement::kPre:
      break;
  }
  return false;
}

// What makes an attention weight of a query's and a key's product.
enum class SimilarityFunction { kSoftmax, kSigmoid, kEluPlusOne, kIdentity, kSoftpick };
template <>
struct EnumNames<SimilarityFunction> {
  using enum SimilarityFunction;
  static constexpr EnumName<SimilarityFunction> kTable[] = {{kSoftmax, "softmax"},
                                                            {kSigmoid, "sigmoid"},
                                                            {kEluPlusOne, "elu_plus_one"},
                                                            {kIdentity, "identity"},
                                                            {kSoftpick, "softpick"}};
};

// What queries and keys go through before a linear kernel (similarity identity).
enum class FeatureMap { kIdentity, kEluPlusOne, kMlp };
template <>
struct EnumNames<FeatureMap> {
  using enum FeatureMap;
  static constexpr EnumName<FeatureMap> kTable[] = {
      {kIdentity, "identity"}, {kEluPlusOne, "elu_plus_one"}, {kMlp, "mlp"}};
};

// One more key that every query sees: one learned key for all heads, or one for each.
enum class KeyBias { kNone, kShared, kPerHead };
template <>
struct EnumNames<KeyBias> {
  using enum KeyBias;
  static constexpr EnumName<KeyBias> kTable[] = {{kNone, "none"}, {kShared, "shared"}, {kPerHead, "per_head"}};
};

// The value of that key: 0, learned, or fixed (the first unit vector, or alike in every dimension).
enum class ValueBias { kNone, kShared, kPerHead, kUnit, kUniform };
template <>
struct EnumNames<ValueBias> {
  using enum ValueBias;
  static constexpr EnumName<ValueBias> kTable[] = {
      {kNone, "none"}, {kShared, "shared"}, {kPerHead, "per_head"}, {kUnit, "unit"}, {kUniform, "uniform"}};
};
constexpr bool IsFixed(ValueBias bias) {
  switch (bias) {
    case ValueBias::kUnit:
    case ValueBias::kUniform:
      return true;
    case ValueBias::kNone:
    case ValueBias::kShared:
    case ValueBias::kPerHead:
      break;
  }
  return false;
}
constexpr bool IsLearned(ValueBias bias) { return bias != ValueBias::kNone && !IsFixed(bias); }

// One more logit without a value: 0 (softmax off by one), or a learned one for each head.
enum class SinkLogit { kNone, kZero, kLearned };
template <>
struct EnumNames<SinkLogit> {
  using enum SinkLogit;
  static constexpr EnumName<SinkLogit> kTable[] = {{kNone, "none"}, {kZero, "zero"}, {kLearned, "learned"}};
};

// A sigmoid gate on the output of attention: a number for each head, or for each of its dimensions.
enum class AttentionGate { kNone, kHeadwise, kElementwise };
template <>
struct EnumNames<AttentionGate> {
  using enum AttentionGate;
  static constexpr EnumName<AttentionGate> kTable[] = {
      {kNone, "none"}, {kHeadwise, "headwise"}, {kElementwise, "elementwise"}};
};

// Auto is bf16 on a GPU and fp32 on a CPU.
enum class Precision { kAuto, kFp32, kBf16 };
template <>
struct EnumNames<Precision> {
  using enum Precision;
  static constexpr EnumName<Precision> kTable[] = {{kAuto, "auto"}, {kFp32, "fp32"}, {kBf16, "bf16"}};
};

// AdamW on every parameter, or Muon on the matrices of the layers and AdamW on the rest.
enum class OptimizerKind { kAdamw, kMuon };
template <>
struct EnumNames<OptimizerKind> {
  static constexpr EnumName<OptimizerKind> kTable[] = {{OptimizerKind::kAdamw, "adamw"},
                                                       {OptimizerKind::kMuon, "muon"}};
};

// After NaN, infinity or a loss spike: stop, or go back to the newest checkpoint and on with the data after the step
// that diverged.
enum class DivergencePolicy { kStop, kRollBack };
template <>
struct EnumNames<DivergencePolicy> {
  using enum DivergencePolicy;
  static constexpr EnumName<DivergencePolicy> kTable[] = {{kStop, "stop"}, {kRollBack, "roll_back"}};
};

// What a model is measured on. The last two are ids without meaning, drawn alike from the vocabulary: one a position,
// or one a sequence, again and again.
enum class InputKind { kNatural, kRandom, kRepeat };
template <>
struct EnumNames<InputKind> {
  using enum InputKind;
  static constexpr EnumName<InputKind> kTable[] = {{kNatural, "natural"}, {kRandom, "random"}, {kRepeat, "repeat"}};
};

}  // namespace sink
