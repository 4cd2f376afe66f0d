// Folders that are not what they say: each is refused with one sentence that names the file.
#include "model/open/open_model.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "model/base/model_error.h"
#include "model/open/config_reader.h"
#include "tests/model/helpers/open_folder.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Tensors;

// "" when the folder opens.
std::string ErrorOf(const std::filesystem::path& folder) {
  try {
    OpenModel model(folder);
  } catch (const ModelError& error) {
    return error.what();
  }
  return "";
}

// A golden model whose parts a test may spoil before it is written.
struct Folder {
  explicit Folder(const std::string& golden)
      : config(json::parse(testing::ReadBytes(testing::GoldenOpenModels() / golden / "config.json"))),
        tensors(testing::ReadAll(testing::GoldenOpenModels() / golden / "model.safetensors")) {}

  std::string Error(size_t shards = 1) {
    testing::WriteFolder(dir.path(), config.dump(), tensors, shards);
    return ErrorOf(dir.path());
  }
  // Of two shards, with the index changed.
  std::string ErrorWithIndex(const std::function<void(json&)>& change) {
    testing::WriteFolder(dir.path(), config.dump(), tensors, 2);
    const std::filesystem::path path = dir.path() / "model.safetensors.index.json";
    json index = json::parse(testing::ReadBytes(path));
    change(index);
    testing::WriteBytes(path, index.dump());
    return ErrorOf(dir.path());
  }

  testing::TempDir dir;
  json config;
  Tensors tensors;
};

TEST(OpenModel, RefusesConfigurationsThatItCannotRun) {
  struct Case {
    const char *golden, *change, *error;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"llama2", R"({"model_type": "bert"})",
            "model_type \"bert\" is not read; these are: bloom, cohere, falcon,"},
           {"llama2", R"({"model_type": "bert"})", "stablelm"},
           {"gemma3", R"({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}})",
            "\"gemma3\" is not read (it reads more than text; its text half is a \"gemma3_text\""},
           {"llama2", R"({"hidden_size": 0})", "hidden_size must be a whole number from 1"},
           {"llama2", R"({"hidden_size": -32})", "hidden_size must be a whole number from 1"},
           {"llama2", R"({"num_hidden_layers": 1e300})", "num_hidden_layers must be a whole number"},
           {"llama2", R"({"num_hidden_layers": 16777216})", "over 10,000 layers"},
           {"llama2", R"({"vocab_size": 9223372036854775807})", "vocab_size must be a whole number"},
           {"llama2", R"({"vocab_size": null})", "no field \"vocab_size\""},
           {"llama2", R"({"num_key_value_heads": 3})", "num_key_value_heads must divide"},
           {"llama2", R"({"rms_norm_eps": "small"})", "rms_norm_eps must be a positive number"},
           {"llama2", R"({"hidden_act": "tanh"})", "hidden_act \"tanh\" is not supported"},
           {"llama2", R"({"attention_bias": "yes"})", "attention_bias must be true or false"},
           {"llama2", R"({"rope_parameters": {"rope_type": "spiral"}})", "rope_type \"spiral\" is not supported"},
           {"llama2", R"({"rope_parameters": null, "rope_scaling": {"type": "linear"}})", "no field \"factor\""},
           {"llama2", R"({"rope_parameters": null, "rope_scaling": {"type": "longrope"}})",
            "short_factor must be a list"},
           {"llama2", R"({"rope_scaling": [1]})", "rope_scaling must be an object"},
           {"llama2", R"({"partial_rotary_factor": 0.5, "rope_scaling": {"type": "linear", "factor": 2}})",
            "partial_rotary_factor beside a scaling"},
           {"mistral", R"({"layer_types": ["full_attention"]})", "layer_types must be a list of 3 names"},
           {"mistral", R"({"layer_types": [1, 2, 3]})", "layer_types may hold"},
           {"mixtral", R"({"num_experts_per_tok": 5})", "more experts than there are"},
           {"mixtral", R"({"num_local_experts": 100000})", "over 100,000 experts"},
           {"gpt_oss", R"({"quantization_config": {"quant_method": "awq"}})", "method \"awq\" is not read; mxfp4 is"},
           {"gpt_oss", R"({"quantization_config": {}})", "method \"\" is not read; mxfp4 is"},
           {"gpt_oss", R"({"quantization_config": "mxfp4"})", "quantization_config must be an object"},
           {"gpt_oss", R"({"quantization_config": {"quant_method": "mxfp4"}})", "to be multiples of 32"},
           {"gptj", R"({"rotary_dim": 9})", "rotary_dim"},
           {"smollm3", R"({"no_rope_layers": [1, 2, 1, 1]})", "no_rope_layers must hold 0 and 1"},
           {"falcon_7b_style", R"({"alibi": true})", "alibi true is not supported"},
           {"gpt2", R"({"n_head": 5})", "n_head must divide the hidden size"},
           {"gpt2", R"({"add_cross_attention": true})", "is not supported"},
           {"pythia", R"({"rope_parameters": {"partial_rotary_factor": 0.01}})", "an even number"},
           {"pythia", R"({"rope_parameters": {"partial_rotary_factor": 1.5}})", "at most 1"},
           {"opt", R"({"enable_bias": false})", "enable_bias false is not supported"}}) {
    Folder folder(c.golden);
    folder.config.update(json::parse(c.change));
    EXPECT_THAT(folder.Error(), AllOf(HasSubstr("config.json: "), HasSubstr(c.error)));
  }
}

TEST(OpenModel, RefusesAMissingOrBrokenConfiguration) {
  const testing::TempDir dir;
  EXPECT_THAT(ErrorOf(dir.path() / "nowhere"), HasSubstr("not a model directory"));
  EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("config.json: cannot open"));
  for (const char* text : {"", "{", "[]", "null", "{\"model_type\": \"llama\"", "\xff\xfe"}) {
    testing::WriteBytes(dir.path() / "config.json", text);
    EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("config.json: not a JSON object")) << text;
  }
  testing::WriteBytes(dir.path() / "config.json", std::string(2 << 20, ' '));
  EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("over 1 MiB"));
  const auto error = [&](const std::string& text) {
    testing::WriteBytes(dir.path() / "config.json", text);
    return ErrorOf(dir.path());
  };
  // As deep as it can be: what copies or prints such a value would overflow the stack.
  EXPECT_THAT(error("{\"rope_scaling\": " + std::string(500000, '[')), HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(error(R"({"model_type": "opt", "model_type": "gpt2"})"), HasSubstr("\"model_type\" occurs twice"));
  std::filesystem::remove(dir.path() / "config.json");
  ASSERT_EQ(::mkfifo((dir.path() / "config.json").c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf(dir.path()), HasSubstr("config.json: not a plain file"));
}

TEST(OpenModel, NamesTheTensorThatIsMissingMisshapenOrTooMany) {
  const auto spoilt = [](const std::function<void(Tensors&)>& spoil, size_t shards) {
    Folder folder("llama3");
    spoil(folder.tensors);
    return folder.Error(shards);
  };
  const std::string name = "model.layers.2.mlp.up_proj.weight";
  for (const size_t shards : {size_t{1}, size_t{3}}) {
    const char* file = shards == 1 ? "model.safetensors: " : "model.safetensors.index.json: ";
    EXPECT_THAT(spoilt([&](Tensors& t) { t.erase(name); }, shards),
                AllOf(HasSubstr(file), HasSubstr("no tensor \"" + name + "\"")));
    EXPECT_THAT(
        spoilt([&](Tensors& t) { t[name] = t[name].t(); }, shards),
        AllOf(HasSubstr(".safetensors: tensor \"" + name), HasSubstr("is 32 x 64, but config.json makes it 64 x 32")));
    EXPECT_THAT(spoilt([&](Tensors& t) { t[name] = t[name].to(at::kInt); }, shards), HasSubstr("has the type I32"));
    EXPECT_THAT(spoilt([&](Tensors& t) { t["model.layers.3.mlp.up_proj.weight"] = t[name]; }, shards),
                HasSubstr("\"model.layers.3.mlp.up_proj.weight\" is not part of this model"));
    EXPECT_THAT(spoilt([&](Tensors& t) { t.erase("lm_head.weight"); }, shards), HasSubstr("\"lm_head.weight\""));
    EXPECT_THAT(spoilt([&](Tensors& t) { t.erase("model.layers.0.input_layernorm.weight"); }, shards),
                HasSubstr("\"model.layers.0.input_layernorm.weight\" is not there"));
  }
}

TEST(OpenModel, NamesWhatIsWrongWithExpertsInMxfp4) {
  const auto spoilt = [](const std::function<void(Folder&)>& spoil) {
    Folder folder("gpt_oss_mxfp4");
    spoil(folder);
    return folder.Error();
  };
  const std::string name = "model.layers.1.mlp.experts.gate_up_proj", blocks = name + "_blocks",
                    scales = name + "_scales";
  EXPECT_EQ(spoilt([](Folder&) {}), "");
  EXPECT_THAT(spoilt([&](Folder& f) { f.tensors.erase(blocks); }), HasSubstr("no tensor \"" + blocks + "\""));
  EXPECT_THAT(spoilt([&](Folder& f) { f.tensors.erase(scales); }), HasSubstr("no tensor \"" + scales + "\""));
  EXPECT_THAT(spoilt([&](Folder& f) { f.tensors[blocks] = f.tensors[blocks].to(at::kFloat); }),
              AllOf(HasSubstr("\"" + blocks), HasSubstr("has the type F32; MXFP4 is held in U8")));
  EXPECT_THAT(spoilt([&](Folder& f) { f.tensors[scales] = f.tensors[scales].to(at::kBFloat16); }),
              AllOf(HasSubstr("\"" + scales), HasSubstr("has the type BF16; MXFP4 is held in U8")));
  EXPECT_THAT(spoilt([&](Folder& f) { f.tensors[blocks] = f.tensors[blocks].narrow(2, 0, 1); }),
              HasSubstr("is 4 x 64 x 1 x 16, but config.json makes it 4 x 64 x 2 x 16"));
  EXPECT_THAT(spoilt([&](Folder& f) { f.tensors[scales] = f.tensors[scales].flatten(); }),
              HasSubstr("is 512, but config.json makes it 4 x 64 x 2"));
  // A file that says nothing of it, and numbers where MXFP4 is said.
  EXPECT_THAT(spoilt([](Folder& f) { f.config.erase("quantization_config"); }), HasSubstr("experts.gate_up_proj\""));
  EXPECT_THAT(spoilt([&](Folder& f) {
                f.tensors[name] = at::zeros({4, 64, 64});
              }),
              HasSubstr("gate_up_proj\" is not part of this model"));
}

TEST(OpenModel, RefusesAnIndexThatLies) {
  const std::string name = "model.norm.weight";
  const auto error = [](const std::function<void(json&)>& change) { return Folder("llama2").ErrorWithIndex(change); };
  for (const char* file : {"../model-0.safetensors", "/etc/passwd", "a/b.safetensors", "..", ".", "", ".hidden", "a\\b",
                           "a/../../b", "..\\..\\x", "a\nb", "\x1b[31mred", "\u202eabc", "caf\u00e9.safetensors"})
    EXPECT_THAT(
        error([&](json& index) { index["weight_map"][name] = file; }),
        AllOf(HasSubstr("model.safetensors.index.json: tensor \"" + name), HasSubstr("in no file of this folder")));
  EXPECT_THAT(error([&](json& index) { index["weight_map"][name] = std::string(4096, 'a'); }),
              HasSubstr("in no file of this folder"));
  EXPECT_THAT(error([&](json& index) { index["weight_map"][name] = std::string("a\0b", 3); }),
              HasSubstr("in no file of this folder"));
  for (const char* file : {"%2e%2e%2fx", "%252e", "-rf"})  // names like any other: of no file here
    EXPECT_THAT(error([&](json& index) { index["weight_map"][name] = file; }), HasSubstr(": cannot open"));
  for (const json& file : {json(3), json(), json::array()})
    EXPECT_THAT(error([&](json& index) { index["weight_map"][name] = file; }), HasSubstr("in no file of this folder"));
  EXPECT_THAT(error([&](json& index) { index["weight_map"][name] = "model-7.safetensors"; }),
              HasSubstr("model-7.safetensors: cannot open"));
  EXPECT_THAT(error([&](json& index) {
                json& file = index["weight_map"][name];
                file = file == "model-0.safetensors" ? "model-1.safetensors" : "model-0.safetensors";
              }),
              HasSubstr("tensor \"" + name + "\" is not in model-"));
  EXPECT_THAT(error([&](json& index) { index["weight_map"]["ghost"] = "model-0.safetensors"; }),
              HasSubstr("tensor \"ghost\" is not in model-0.safetensors"));
  EXPECT_THAT(error([&](json& index) { index["weight_map"].erase(name); }), HasSubstr("is not the index's"));
  EXPECT_THAT(error([](json& index) { index.erase("weight_map"); }), HasSubstr("no weight_map"));
  EXPECT_THAT(error([](json& index) { index = json::array(); }), HasSubstr("not a JSON object"));
}

TEST(OpenModel, RefusesAnIndexThatIsABomb) {
  Folder folder("llama2");
  ASSERT_EQ(folder.Error(2), "");
  const auto error = [&](const std::string& index) {
    testing::WriteBytes(folder.dir.path() / "model.safetensors.index.json", index);
    return ErrorOf(folder.dir.path());
  };
  EXPECT_THAT(error("{\"weight_map\": " + std::string(1 << 20, '[')), HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(error(std::string((16 << 20) + 1, ' ')), HasSubstr("index.json: over 16 MiB"));
  EXPECT_THAT(error(R"({"weight_map": {"a": "x", "a": "y"}})"), HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(error("{\"weight_map\": {\"\xff\": \"x\"}}"), HasSubstr("not a JSON object"));
  json many = json::object(), files = json::object();
  for (int i = 0; i <= 100000; ++i) many[std::to_string(i)] = "x";
  EXPECT_THAT(error(json{{"weight_map", many}}.dump()), HasSubstr("over 100,000 tensors"));
}

// The header of a safetensors file by hand: what the format's reader refuses, seen through the whole folder.
TEST(OpenModel, RefusesHostileHeaders) {
  Folder folder("gpt2");
  ASSERT_EQ(folder.Error(), "");
  const auto error = [&](const std::string& header, size_t data_bytes) {
    std::string bytes(8, '\0');
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i));
    testing::WriteBytes(folder.dir.path() / "model.safetensors", bytes + header + std::string(data_bytes, '\0'));
    return ErrorOf(folder.dir.path());
  };
  const std::string a = R"("a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})";
  const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string(R"({"a": {"dtype": ")") + dtype + R"(", "shape": )" + shape + R"(, "data_offsets": )" + offsets +
           "}}";
  };
  EXPECT_THAT(error("", 4), HasSubstr("the header is not a JSON object"));
  EXPECT_THAT(error("{" + a + R"(, "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}})", 6),
              HasSubstr("overlap or leave a hole"));
  EXPECT_THAT(error("{" + a + R"(, "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}})", 12),
              HasSubstr("overlap or leave a hole"));
  EXPECT_THAT(error(entry("F32", "[1]", "[4, 0]"), 4), HasSubstr("lies outside the file"));
  EXPECT_THAT(error(entry("F32", "[4294967296, 4294967296]", "[0, 4]"), 4), HasSubstr("an impossible shape"));
  EXPECT_THAT(error(entry("F32", "[-1]", "[0, 4]"), 4), HasSubstr("an impossible shape"));
  EXPECT_THAT(error(entry("C64", "[1]", "[0, 8]"), 8), HasSubstr("unknown type \"C64\""));
  EXPECT_THAT(error("{" + a + ", " + a + "}", 4), HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(error("{\"\xff\xfe\": 1}", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(error("{\"a\": " + std::string(1 << 20, '[') + "}", 0), HasSubstr("nested deeper"));
  std::string many = "{";
  for (int i = 0; i <= 100000; ++i) many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  EXPECT_THAT(error(many + "}", 0), HasSubstr("over 100,000 tensors"));
}

TEST(OpenModel, RefusesDamagedWeights) {
  Folder folder("gpt2");
  EXPECT_EQ(folder.Error(), "");
  const std::filesystem::path file = folder.dir.path() / "model.safetensors";
  const std::string bytes = testing::ReadBytes(file);
  const auto with = [&](const std::string& damaged) {
    testing::WriteBytes(file, damaged);
    return ErrorOf(folder.dir.path());
  };
  EXPECT_THAT(with(""), HasSubstr("model.safetensors: "));
  EXPECT_THAT(with(bytes.substr(0, 4)), HasSubstr("model.safetensors: too short"));
  EXPECT_THAT(with(bytes.substr(0, 100)), HasSubstr("the file ends inside its header"));
  EXPECT_THAT(with(bytes.substr(0, bytes.size() - 1)), HasSubstr("lies outside the file"));
  EXPECT_THAT(with(bytes + "x"), HasSubstr("bytes after the last tensor"));
  EXPECT_THAT(with(std::string(8, '\xff') + bytes.substr(8)), HasSubstr("a header of over 16 MiB"));
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EXPECT_THAT(ErrorOf(folder.dir.path()), HasSubstr("model.safetensors: not a safetensors file"));
  std::filesystem::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf(folder.dir.path()), HasSubstr("model.safetensors: not a safetensors file"));
}

TEST(OpenModel, SaysHowToConvertPickledWeights) {
  Folder folder("opt");
  testing::WriteBytes(folder.dir.path() / "config.json", folder.config.dump());
  EXPECT_THAT(ErrorOf(folder.dir.path()), HasSubstr("model.safetensors: no such file"));
  testing::WriteBytes(folder.dir.path() / "pytorch_model.bin", "PK");
  EXPECT_THAT(ErrorOf(folder.dir.path()), AllOf(HasSubstr("pytorch_model.bin: pickled weights are not read"),
                                                HasSubstr("python3 -c"), HasSubstr("save_pretrained")));
}

TEST(OpenModel, ReadsAFileWhoseHeaderHasAnOddLength) {
  Folder folder("llama2");
  ASSERT_EQ(folder.Error(), "");
  const std::filesystem::path file = folder.dir.path() / "model.safetensors";
  std::string bytes = testing::ReadBytes(file);
  ++bytes[0];  // the header's length, little-endian; its last bits are 0 by our writer's padding
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(bytes[static_cast<size_t>(i)]);
  bytes.insert(8 + static_cast<size_t>(length) - 1, 1, ' ');
  OpenModel aligned(folder.dir.path());
  const at::Tensor tokens = at::full({1, 8}, 5, at::TensorOptions().dtype(at::kLong));
  Observer nobody;
  const at::Tensor expected = aligned.Stream(tokens, nobody).clone();
  testing::WriteBytes(folder.dir.path() / "odd.safetensors", bytes);
  std::filesystem::rename(folder.dir.path() / "odd.safetensors", file);
  OpenModel odd(folder.dir.path());
  EXPECT_TRUE(odd.Stream(tokens, nobody).equal(expected));
}

TEST(OpenModel, RefusesTokensThatDoNotFit) {
  OpenModel model(testing::GoldenOpenModels() / "opt");
  Observer nobody;
  const auto error = [&](const at::Tensor& tokens) -> std::string {
    try {
      model.Stream(tokens, nobody);
    } catch (const ModelError& e) {
      return e.what();
    }
    return "";
  };
  const auto ids = at::TensorOptions().dtype(at::kLong);
  EXPECT_EQ(error(at::full({2, 128}, 127, ids)), "");
  EXPECT_THAT(error(at::full({2, 129}, 1, ids)), HasSubstr("129 tokens, but the model has 128 positions"));
  EXPECT_THAT(error(at::full({1, 4}, 128, ids)), HasSubstr("outside the vocabulary of 128"));
  EXPECT_THAT(error(at::full({1, 4}, -1, ids)), HasSubstr("outside the vocabulary of 128"));
  EXPECT_THAT(error(at::zeros({4}, ids)), HasSubstr("a matrix"));
}

TEST(OpenModel, GroupsOfSequencesGiveWhatOneSequenceGives) {
  // 40 sequences of 64 tokens are three groups; what one of them gives does not depend on the others.
  OpenModel model(testing::GoldenOpenModels() / "pythia");
  const at::Tensor probe = testing::ReadAll(testing::GoldenOpenModels() / "pythia/expected.safetensors").at("probe");
  const at::Tensor four = probe.narrow(1, 0, 64).to(at::kLong), many = four.repeat({10, 1});
  Observer nobody;
  const at::Tensor alone = model.Stream(four, nobody), together = model.Stream(many, nobody);
  EXPECT_LT((together.view({10, 4 * 64, -1}) - alone).abs().max().item<double>(), 1e-5);
  int64_t done = 0;
  model.Stream(four, nobody, [&](int64_t layer, int64_t all) {
    EXPECT_EQ(layer, ++done);
    EXPECT_EQ(all, 3);
  });
  EXPECT_EQ(done, 3);
}

TEST(OpenModel, NeedsNoHeadWhereNoLossIsAsked) {
  for (const char* golden : {"llama3", "pythia", "gptj", "phi3"}) {
    Folder folder(golden);
    for (const char* head : {"lm_head.weight", "lm_head.bias", "embed_out.weight"}) folder.tensors.erase(head);
    EXPECT_THAT(folder.Error(), HasSubstr("--no-loss")) << golden;
    EXPECT_NO_THROW(OpenModel(folder.dir.path(), at::kCPU, /*head=*/false)) << golden;
  }
}

TEST(OpenModel, AWindowThatIsNotSaidIsTheFamilysAndANullIsNone) {
  const auto window = [](const char* golden, const char* change) {
    Folder folder(golden);
    folder.config.erase("sliding_window");
    folder.config.erase("layer_types");
    folder.config.update(json::parse(change));
    EXPECT_EQ(folder.Error(), "");
    return ReadOpenConfig(folder.dir.path()).kinds[0].window;
  };
  EXPECT_EQ(window("mistral", "{}"), 4096);
  EXPECT_EQ(window("mistral", R"({"sliding_window": null})"), 0);
  EXPECT_EQ(window("mixtral", "{}"), 0);
  EXPECT_EQ(window("gemma2", "{}"), 4096);
  EXPECT_EQ(window("gpt_oss", "{}"), 128);
}

TEST(IsOpenModel, TakesEveryLlamaThatOurOwnReaderDoesNot) {
  const auto is_open = [](const char* change, size_t shards) {
    Folder folder("llama2");
    folder.config.erase("transformers_version");
    folder.config.update(json::parse(change));
    testing::WriteFolder(folder.dir.path(), folder.config.dump(), folder.tensors, shards);
    return IsOpenModel(folder.dir.path());
  };
  EXPECT_FALSE(is_open("{}", 1));
  EXPECT_TRUE(is_open("{}", 2));
  EXPECT_TRUE(is_open(R"({"tie_word_embeddings": true})", 1));
  EXPECT_TRUE(is_open(R"({"attention_bias": true})", 1));
  EXPECT_TRUE(is_open(R"({"rope_scaling": {"type": "linear", "factor": 2}})", 1));
}

TEST(IsOpenModel, TellsFoldersThatTransformersWroteFromOurs) {
  for (const std::string& name : testing::GoldenOpenNames())
    EXPECT_TRUE(IsOpenModel(testing::GoldenOpenModels() / name)) << name;
  const auto variants = testing::GoldenOpenModels().parent_path() / "variants";
  EXPECT_FALSE(IsOpenModel(variants / "base"));    // model_type "llama", which we wrote
  EXPECT_FALSE(IsOpenModel(variants / "bias_k"));  // model_type "sink"
}

}  // namespace
}  // namespace sink
