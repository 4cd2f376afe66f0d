// The configuration of a job: what is read, what is refused, and the canonical bytes that ids are made of.
#include "proto/config/job_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace sink {
namespace {

using nlohmann::json;

json::json_pointer Pointer(std::string path) {
  std::replace(path.begin(), path.end(), '.', '/');
  return json::json_pointer("/" + path);
}

// A configuration with one field set.
std::string With(const std::string& path, const json& value) {
  json root = json::object();
  root[Pointer(path)] = value;
  return root.dump();
}

std::string ErrorOf(const std::string& text) {
  const JobConfigResult result = ParseJobConfig(text);
  return result.config ? "" : result.path + ": " + result.error;
}

// A legal value other than the default.
json OtherValue(const FieldInfo& field, const json& now) {
  switch (field.type) {
    case FieldType::kInteger:
      return now.get<int64_t>() + (now.get<int64_t>() * 2 <= field.max && now != 0 ? now.get<int64_t>() : 1);
    case FieldType::kNumber:
      return now == 0 ? 2.0 : now.get<double>() / 2;
    case FieldType::kOptionalNumber:
      return 1e-5;
    case FieldType::kString:
      return field.choices.empty() ? "other" : field.choices.back();
    case FieldType::kBoolean:
      return !now.get<bool>();
    case FieldType::kNumberList:
      return json::array({0.1, 0.25});
    case FieldType::kNameList:
      return json::array({field.choices.empty() ? "other" : field.choices.back()});
  }
  return nullptr;
}

// What else must be set for a field's other value to make sense.
json Companions() {
  const auto variant = [](json fields) { return json{{"model", {{"variant", std::move(fields)}}}}; };
  return {{"model.variant.feature_map", variant({{"similarity", "identity"}})},
          {"model.variant.normalize", variant({{"similarity", "sigmoid"}})},
          {"data.domains", {{"data", {{"weights", {1.0}}}}}},
          {"kind", {{"evaluate", {{"model", "gpt2"}}}}},
          {"evaluate.model", {{"kind", "evaluate"}}},
          {"data.weights", {{"data", {{"domains", {"a", "b"}}}}}},
          {"model.variant.value_bias", variant({{"key_bias", "shared"}})},
          {"model.variant.value_bias_scale", variant({{"key_bias", "shared"}, {"value_bias", "unit"}})}};
}

TEST(JobConfig, EveryFieldWrittenOutAtItsDefaultIsTheDefault) {
  const JobConfigResult result = ParseJobConfig(PrintEveryField(JobConfig{}));
  ASSERT_TRUE(result.config) << result.path << " " << result.error;
  EXPECT_EQ(JobId(*result.config), JobId(JobConfig{}));
}

TEST(JobConfig, EmptyObjectIsTheDefault) {
  const JobConfigResult result = ParseJobConfig("{}");
  ASSERT_TRUE(result.config) << result.error;
  EXPECT_EQ(PrintJobConfig(*result.config), PrintJobConfig(JobConfig{}));
}

TEST(JobConfig, CanonicalFormIsTheseBytes) {
  EXPECT_EQ(PrintJobConfig(JobConfig{}),
            R"({"checkpoint":{"every":1000,"keep":2},)"
            R"("data":{"fixed_token_id":1,"fixed_token_position":0,"fraction":1.0,"random_tokens_end":0,)"
            R"("random_tokens_start":0,"set":"regmix"},)"
            R"("eval":{"epsilon":[0.3],"every":500,"positions":10,"sequences":100,"tokens":64,)"
            R"("validation_sequences":64},"kind":"train",)"
            R"("model":{"hidden_size":768,"intermediate_size":1536,"max_position_embeddings":2048,)"
            R"("num_attention_heads":8,"num_hidden_layers":10,"num_key_value_heads":0,"rms_norm_eps":1e-05,)"
            R"("rope_theta":10000.0,"vocab_size":50432},)"
            R"("train":{"beta1":0.9,"beta2":0.95,"epsilon":1e-08,"global_batch_size":512,"learning_rate":0.0004,)"
            R"("log_every":10,"max_gradient_norm":1.0,"max_steps":20000,"micro_batch_size":8,)"
            R"("min_learning_rate":null,"precision":"auto","seed":42,"sequence_length":2048,"threads":1,)"
            R"("warmup_steps":100,"weight_decay":0.1}})");
}

TEST(JobConfig, PrintedFormReadsBackTheSame) {
  const std::string text = PrintJobConfig(JobConfig{});
  const JobConfigResult result = ParseJobConfig(text);
  ASSERT_TRUE(result.config) << result.path << " " << result.error;
  EXPECT_EQ(PrintJobConfig(*result.config), text);
}

TEST(JobConfig, EveryFieldIsReadPrintedAndPartOfTheId) {
  const json defaults = json::parse(PrintEveryField(JobConfig{}));
  std::set<std::string> ids = {JobId(JobConfig{})};
  size_t expected = 1;
  for (const FieldInfo& field : JobConfigFields()) {
    if (field.path == "kind") continue;  // one value only
    SCOPED_TRACE(field.path);
    const json value = OtherValue(field, defaults.at(Pointer(field.path)));
    json root = {{"data", {{"random_tokens_end", 8}}}};  // so that random_tokens_start has room
    root[Pointer(field.path)] = value;
    if (field.path == "train.sequence_length") root["model"]["max_position_embeddings"] = 4096;
    if (Companions().contains(field.path)) root.merge_patch(Companions()[field.path]);
    const JobConfigResult result = ParseJobConfig(root.dump());
    ASSERT_TRUE(result.config) << result.path << " " << result.error;
    EXPECT_EQ(json::parse(PrintJobConfig(*result.config)).at(Pointer(field.path)), value);
    ids.insert(JobId(*result.config));
    ++expected;
  }
  EXPECT_EQ(ids.size(), expected);
}

TEST(JobConfig, EveryNumberHasInclusiveBounds) {
  for (const FieldInfo& field : JobConfigFields()) {
    if (field.type == FieldType::kString || field.type == FieldType::kNameList || field.type == FieldType::kBoolean)
      continue;
    SCOPED_TRACE(field.path);
    const auto wrap = [&](double x) { return field.type == FieldType::kNumberList ? json::array({x}) : json(x); };
    const auto out_of_bounds = [&](double x) {
      const JobConfigResult result = ParseJobConfig(With(field.path, wrap(x)));
      return result.path == field.path && result.error.rfind("must be between ", 0) == 0;
    };
    const double step = field.type == FieldType::kInteger ? 1.0 : std::max(std::abs(field.max) * 1e-6, 1e-12);
    EXPECT_TRUE(out_of_bounds(field.min - step));
    EXPECT_TRUE(out_of_bounds(field.max + step));
    EXPECT_FALSE(out_of_bounds(field.min));
    EXPECT_FALSE(out_of_bounds(field.max));
  }
}

TEST(JobConfig, MicroBatchMayBeAutomatic) {
  const JobConfigResult result = ParseJobConfig(With("train.micro_batch_size", "auto"));
  ASSERT_TRUE(result.config) << result.error;
  EXPECT_EQ(result.config->train.micro_batch_size, 0);
  EXPECT_NE(PrintJobConfig(*result.config).find(R"("micro_batch_size":"auto")"), std::string::npos);
  EXPECT_EQ(ErrorOf(With("train.micro_batch_size", "all")), "train.micro_batch_size: must be a number");
  EXPECT_EQ(ErrorOf(With("train.global_batch_size", "auto")), "train.global_batch_size: must be a number");
}

TEST(JobConfig, ModelIsNamedAsOnTheHub) {
  const auto error = [](const json& model) {
    return ErrorOf(json{{"kind", "evaluate"}, {"evaluate", {{"model", model}}}}.dump());
  };
  EXPECT_EQ(error("gpt2"), "");
  EXPECT_EQ(error("openai-community/gpt2"), "");
  for (const json& bad : {json("../gpt2"), json("a/../b"), json("a/b/c"), json("/gpt2"), json("a/"), json(7)})
    EXPECT_EQ(error(bad), "evaluate.model: must be a model's name, such as openai-community/gpt2, of plain names")
        << bad;
  EXPECT_EQ(ErrorOf(R"({"kind": "evaluate"})"),
            "evaluate.model: is missing: kind evaluate needs the model to measure, such as openai-community/gpt2");
  EXPECT_EQ(ErrorOf(R"({"evaluate": {"model": "gpt2"}})"), "evaluate.model: needs kind: evaluate");
}

TEST(JobConfig, WrongTypesAreRefusedByName) {
  EXPECT_EQ(ErrorOf(With("train.seed", "42")), "train.seed: must be a number");
  EXPECT_EQ(ErrorOf(With("train.seed", 1.5)), "train.seed: must be a whole number");
  EXPECT_EQ(ErrorOf(With("train.seed", true)), "train.seed: must be a number");
  EXPECT_EQ(ErrorOf(With("train.seed", nullptr)), "train.seed: must be a number");
  EXPECT_EQ(ErrorOf(With("train.learning_rate", json::array({1}))), "train.learning_rate: must be a number");
  EXPECT_EQ(ErrorOf(With("train.precision", "fp8")), "train.precision: must be one of: auto, fp32, bf16");
  EXPECT_EQ(ErrorOf(With("train.precision", 16)), "train.precision: must be a string");
  EXPECT_EQ(ErrorOf(With("data.set", "../x")),
            "data.set: must be a plain name: 1 to 64 of A-Z a-z 0-9 . _ -, not starting with . or -");
  EXPECT_EQ(ErrorOf(With("eval.epsilon", json::array())), "eval.epsilon: must be a list of 1 to 64 numbers");
  EXPECT_EQ(ErrorOf(With("eval.epsilon", json::array({0.1, "x"}))), "eval.epsilon: must be a number");
  EXPECT_EQ(ErrorOf(With("eval.metrics", "kurtosis")), "eval.metrics: must be a list of at most 64 names");
  EXPECT_EQ(ErrorOf(With("eval.metrics", json::array({"kurtosis", "max_logit", "kurtosis"}))),
            "eval.metrics: names kurtosis twice");
  EXPECT_EQ(ErrorOf(With("eval.metrics", json::array({"kurtosis", "kurtosys"})))
                .rfind("eval.metrics: must be one of: first_attention, first_argmax, ", 0),
            0u);
  EXPECT_EQ(ErrorOf(R"({"train": 5})"), "train: must be an object");
}

TEST(JobConfig, UnknownFieldsAreRefusedByName) {
  EXPECT_EQ(ErrorOf(R"({"trian": {}})"), "trian: no such field");
  EXPECT_EQ(ErrorOf(R"({"train": {"sed": 1}})"), "train.sed: no such field");
  EXPECT_EQ(ErrorOf(R"({"train": {"seed": {"x": 1}}})"), "train.seed: must be a number");
}

TEST(JobConfig, DottedKeyIsNotMistakenForItsField) {
  EXPECT_EQ(ErrorOf(R"({"train.seed": 7})"), "train.seed: no such field");
}

TEST(JobConfig, TextThatIsNotAConfigurationIsRefused) {
  EXPECT_EQ(ErrorOf(""), ": the configuration is not a JSON object");
  EXPECT_EQ(ErrorOf("[]"), ": the configuration is not a JSON object");
  EXPECT_EQ(ErrorOf("{\"kind\": \"\xff\"}"), ": the configuration is not a JSON object");
  EXPECT_EQ(ErrorOf(std::string(64 * 1024 + 1, ' ')), ": the configuration is over 64 KiB");
  EXPECT_EQ(ErrorOf(std::string(60'000, '[')), ": the configuration is not a JSON object");
}

TEST(JobConfig, IntegersBeyondADoubleAreRefusedRatherThanRounded) {
  EXPECT_EQ(ErrorOf(R"({"train": {"seed": 9007199254740991}})"), "");
  EXPECT_EQ(ErrorOf(R"({"train": {"seed": 9007199254740993}})"), "train.seed: must be between 0 and 9007199254740991");
}

TEST(JobConfig, NegativeZeroIsZero) {
  const JobConfigResult negative = ParseJobConfig(R"({"train": {"weight_decay": -0.0}, "eval": {"epsilon": [-0.0]}})");
  const JobConfigResult zero = ParseJobConfig(R"({"train": {"weight_decay": 0}, "eval": {"epsilon": [0]}})");
  ASSERT_TRUE(negative.config && zero.config);
  EXPECT_EQ(JobId(*negative.config), JobId(*zero.config));
}

TEST(JobConfig, ImpossibleCombinationsNameTheFieldToChange) {
  const auto path = [](json root) { return ParseJobConfig(root.dump()).path; };
  EXPECT_EQ(path({{"model", {{"num_attention_heads", 7}}}}), "model.num_attention_heads");
  EXPECT_EQ(path({{"model", {{"hidden_size", 24}, {"num_attention_heads", 8}}}}), "model.num_attention_heads");  // odd
  EXPECT_EQ(path({{"model", {{"num_key_value_heads", 3}}}}), "model.num_key_value_heads");
  EXPECT_EQ(path({{"train", {{"sequence_length", 4096}}}}), "train.sequence_length");
  EXPECT_EQ(path({{"train", {{"sequence_length", 32}}}}), "eval.tokens");
  EXPECT_EQ(path({{"eval", {{"tokens", 8}}}}), "eval.positions");
  EXPECT_EQ(path({{"train", {{"micro_batch_size", 7}}}}), "train.micro_batch_size");
  EXPECT_EQ(path({{"train", {{"min_learning_rate", 1.0}}}}), "train.min_learning_rate");
  EXPECT_EQ(path({{"data", {{"fixed_token_position", 4096}}}}), "data.fixed_token_position");
  EXPECT_EQ(path({{"data", {{"fixed_token_id", 50432}}}}), "data.fixed_token_id");
  EXPECT_EQ(path({{"data", {{"random_tokens_start", 2}, {"random_tokens_end", 1}}}}), "data.random_tokens_end");
  EXPECT_EQ(path({{"data", {{"random_tokens_end", 4096}}}}), "data.random_tokens_end");
}

TEST(JobConfig, VariantsThatExcludeEachOtherNameTheFieldToChange) {
  const auto path = [](json variant) {
    const std::string text = json{{"model", {{"variant", std::move(variant)}}}}.dump();
    const std::string path = ParseJobConfig(text).path;
    return path.substr(path.rfind('.') + 1);
  };
  EXPECT_EQ(path({{"position_embedding", "alibi"}, {"similarity", "identity"}}), "position_embedding");
  EXPECT_EQ(path({{"position_embedding", "alibi"}, {"similarity", "sigmoid"}}), "");
  EXPECT_EQ(path({{"feature_map", "mlp"}}), "feature_map");
  EXPECT_EQ(path({{"normalize", false}}), "normalize");
  EXPECT_EQ(path({{"normalize", false}, {"similarity", "softpick"}}), "normalize");
  EXPECT_EQ(path({{"normalize", false}, {"similarity", "sigmoid"}, {"attention_sum", 2}}), "attention_sum");
  EXPECT_EQ(path({{"key_bias", "shared"}, {"similarity", "sigmoid"}}), "key_bias");
  EXPECT_EQ(path({{"sink_logit", "zero"}, {"similarity", "sigmoid"}}), "sink_logit");
  EXPECT_EQ(path({{"sink_logit", "zero"}, {"key_bias", "shared"}}), "sink_logit");
  EXPECT_EQ(path({{"value_bias", "unit"}}), "value_bias");
  EXPECT_EQ(path({{"value_bias", "shared"}, {"value_bias_scale", 5}}), "value_bias_scale");
  EXPECT_EQ(path({{"prefix_length", 4096}}), "prefix_length");
}

TEST(JobConfig, IdIsThirtyTwoHexDigits) {
  const std::string id = JobId(JobConfig{});
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
}

// A Hugging Face config.json of a small LLaMA, with changes.
std::string HuggingFace(const json& changes = json::object()) {
  json root = {{"model_type", "llama"},    {"hidden_size", 32},
               {"intermediate_size", 48},  {"num_hidden_layers", 2},
               {"num_attention_heads", 4}, {"num_key_value_heads", 2},
               {"vocab_size", 64},         {"max_position_embeddings", 64},
               {"rms_norm_eps", 1e-5},     {"rope_theta", 10000.0},
               {"hidden_act", "silu"},     {"use_cache", true}};
  root.merge_patch(changes);  // null removes
  return root.dump();
}

TEST(HuggingFaceConfig, ReadsALlama) {
  const ModelConfigResult result = ParseHuggingFaceConfig(HuggingFace());
  ASSERT_TRUE(result.config) << result.error;
  EXPECT_EQ(result.config->hidden_size, 32);
  EXPECT_EQ(result.config->num_hidden_layers, 2);
  EXPECT_EQ(result.config->key_value_heads(), 2);
  EXPECT_EQ(result.config->rms_norm_eps, 1e-5);
}

TEST(HuggingFaceConfig, WhatWePrintReadsBack) {
  ModelConfig model;
  model.rope_theta = 5e5;
  model.rms_norm_eps = 1e-6;
  const ModelConfigResult result = ParseHuggingFaceConfig(PrintHuggingFaceConfig(model));
  ASSERT_TRUE(result.config) << result.error;
  EXPECT_EQ(PrintHuggingFaceConfig(*result.config), PrintHuggingFaceConfig(model));
}

TEST(HuggingFaceConfig, AbsentFieldsTakeHuggingFacesDefaults) {
  const ModelConfigResult result = ParseHuggingFaceConfig(
      HuggingFace({{"num_key_value_heads", nullptr}, {"rms_norm_eps", nullptr}, {"rope_theta", nullptr}}));
  ASSERT_TRUE(result.config) << result.error;
  EXPECT_EQ(result.config->key_value_heads(), 4);
  EXPECT_EQ(result.config->rms_norm_eps, 1e-6);
  EXPECT_EQ(result.config->rope_theta, 1e4);
}

TEST(HuggingFaceConfig, ExplicitNullIsAbsent) {
  std::string text = HuggingFace();
  text.replace(text.find("\"num_key_value_heads\":2"), 23, "\"num_key_value_heads\":null");
  const ModelConfigResult result = ParseHuggingFaceConfig(text);
  ASSERT_TRUE(result.config) << result.error;
  EXPECT_EQ(result.config->key_value_heads(), 4);
}

TEST(HuggingFaceConfig, ReadsThetaWhereNewerTransformersKeepsIt) {
  const ModelConfigResult result = ParseHuggingFaceConfig(HuggingFace(
      {{"rope_theta", nullptr}, {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 500000.0}}}}));
  ASSERT_TRUE(result.config) << result.error;
  EXPECT_EQ(result.config->rope_theta, 5e5);
}

TEST(HuggingFaceConfig, WhatWouldChangeTheForwardPassIsRefused) {
  const auto error = [](const json& changes) { return ParseHuggingFaceConfig(HuggingFace(changes)).error; };
  EXPECT_EQ(error({{"model_type", "gpt2"}}), "config.json: model_type must be \"llama\" or \"sink\"");
  EXPECT_EQ(error({{"attention_bias", true}}), "config.json: attention_bias is not supported");
  EXPECT_EQ(error({{"mlp_bias", true}}), "config.json: mlp_bias is not supported");
  EXPECT_EQ(error({{"tie_word_embeddings", true}}), "config.json: tie_word_embeddings is not supported");
  EXPECT_EQ(error({{"hidden_act", "gelu"}}), "config.json: hidden_act must be \"silu\"");
  EXPECT_EQ(error({{"rope_scaling", {{"type", "linear"}}}}), "config.json: rope_scaling is not supported");
  EXPECT_EQ(error({{"rope_parameters", {{"rope_type", "llama3"}}}}),
            "config.json: rope_parameters: only rope_type \"default\" is supported");
  EXPECT_EQ(error({{"head_dim", 16}}), "config.json: head_dim must be hidden_size / num_attention_heads");
  EXPECT_EQ(error({{"head_dim", 8}}), "");
}

TEST(HuggingFaceConfig, VariantKeepsEveryFieldAndRefusesOthers) {
  ModelConfig model;
  model.variant.similarity = SimilarityFunction::kSigmoid;
  model.variant.normalize = false;
  model.variant.window = 16;
  const std::string text = PrintHuggingFaceConfig(model);
  EXPECT_EQ(json::parse(text)["model_type"], "sink");
  const ModelConfigResult result = ParseHuggingFaceConfig(text);
  ASSERT_TRUE(result.config) << result.error;
  EXPECT_EQ(result.config->variant, model.variant);
  const auto error = [](const json& variant) {
    return ParseHuggingFaceConfig(HuggingFace({{"model_type", "sink"}, {"variant", variant}})).error;
  };
  EXPECT_EQ(error(json::object()), "");
  EXPECT_EQ(error({{"fnn", "gelu"}}), "config.json: variant.fnn: no such field");
  EXPECT_EQ(error({{"ffn", "tanh"}}),
            "config.json: variant.ffn must be one of: swiglu, geglu, reglu, gelu, relu, swish, none");
  EXPECT_EQ(error({{"qk_norm", 1}}), "config.json: variant.qk_norm must be true or false");
  EXPECT_EQ(error("sigmoid"), "config.json: \"variant\" must be an object");
  EXPECT_EQ(ParseHuggingFaceConfig(HuggingFace({{"variant", json::object()}})).error,
            "config.json: \"variant\" needs model_type \"sink\"");
}

TEST(HuggingFaceConfig, BadFieldsAreRefusedByName) {
  const auto error = [](const json& changes) { return ParseHuggingFaceConfig(HuggingFace(changes)).error; };
  EXPECT_EQ(error({{"hidden_size", nullptr}}), "config.json: no field \"hidden_size\"");
  EXPECT_EQ(error({{"hidden_size", "big"}}), "config.json: hidden_size must be a number");
  EXPECT_EQ(error({{"hidden_size", 33}}), "config.json: num_attention_heads must divide model.hidden_size");
  EXPECT_EQ(error({{"vocab_size", 0}}), "config.json: vocab_size must be between 1 and 2097152");
  EXPECT_EQ(error({{"max_position_embeddings", 1}, {"vocab_size", 1}}), "");
  EXPECT_EQ(ParseHuggingFaceConfig("{").error, "config.json is not a JSON object");
}

}  // namespace
}  // namespace sink
