// What a model's name tells of its size, and what `sinkctl plan` makes of it and of a model that is to be trained.
#include "coordinator/cli/study/open_model_size.h"

#include <gtest/gtest.h>

#include <sstream>

#include "coordinator/cli/study/sweep_files.h"
#include "tests/sweeps/files.h"

namespace sink::cli {
namespace {

TEST(ParametersByName, ReadsEveryWayOfWritingASize) {
  EXPECT_EQ(ParametersByName("EleutherAI/pythia-14m"), 14e6);
  EXPECT_EQ(ParametersByName("EleutherAI/pythia-1.4b"), 1.4e9);
  EXPECT_EQ(ParametersByName("meta-llama/Meta-Llama-3.1-8B-Instruct"), 8e9);
  EXPECT_EQ(ParametersByName("Qwen/Qwen3-0.6B-Base"), 0.6e9);
  EXPECT_EQ(ParametersByName("stabilityai/stablelm-3b-4e1t"), 3e9);
  EXPECT_EQ(ParametersByName("stabilityai/stablelm-2-1_6b"), 1.6e9);
  EXPECT_EQ(ParametersByName("bigscience/bloom-1b7"), 1.7e9);
  EXPECT_EQ(ParametersByName("allenai/OLMo-2-0425-1B"), 1e9);
  EXPECT_EQ(ParametersByName("mistralai/Mixtral-8x7B-v0.1"), 56e9);
  EXPECT_EQ(ParametersByName("openai-community/gpt2-xl"), 1.56e9);
}

TEST(ParametersByName, KnowsNothingOfANameWithoutASize) {
  EXPECT_FALSE(ParametersByName("someone/model-v2").has_value());
  EXPECT_FALSE(ParametersByName("someone/model-4k-instruct").has_value());
  EXPECT_FALSE(ParametersByName("").has_value());
}

// Two operations a parameter and token: what `sinkctl plan` says of models that are only measured.
TEST(Cost, IsKnownOfEveryOpenModelThatIsShipped) {
  std::istringstream no_input;
  for (const char* name : {"open_models", "open_models_2026", "open_model_inputs", "open_model_smollm2"}) {
    const auto files = LoadSweep(testing::SourceDir() + "/sweeps/" + name + ".yaml", {}, {}, no_input);
    ASSERT_TRUE(files.ok()) << files.status();
    for (const ExpandedJob& job : files->sweep.jobs) {
      const JobCost cost = Cost(job.config);
      EXPECT_GT(cost.parameters, 1e7) << job.label;
      EXPECT_DOUBLE_EQ(cost.flops, 2 * cost.parameters * cost.tokens) << job.label;
      EXPECT_EQ(cost.checkpoint_bytes, 0) << job.label;
    }
  }
}

// A run of this model left so much, file by file.
TEST(Cost, OfACheckpointIsALittleMoreThanOneTakes) {
  JobConfig config;
  ModelConfig& model = config.model;
  model.hidden_size = 96;
  model.intermediate_size = 192;
  model.num_hidden_layers = 6;
  model.vocab_size = 320;
  model.max_position_embeddings = 256;
  model.variant.ffn = Ffn::kNone;
  model.variant.position_embedding = PositionEmbedding::kSinusoidal;
  const double weights = 1'136'584, optimizer = 2'278'440, code = 22'573, config_json = 757, manifest = 751,
               state = 266;
  const double taken = weights + optimizer + code + config_json + manifest + state;
  EXPECT_GE(Cost(config).checkpoint_bytes, taken);
  EXPECT_LE(Cost(config).checkpoint_bytes, 1.02 * taken);

  const double before = Cost(config).checkpoint_bytes;
  model.variant.position_embedding = PositionEmbedding::kLearnable;
  EXPECT_EQ(Cost(config).checkpoint_bytes, before + 3 * 4 * 256 * 96) << "its table, and the moments of that";
}

}  // namespace
}  // namespace sink::cli
