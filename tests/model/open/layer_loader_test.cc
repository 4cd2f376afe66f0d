// Layers that are loaded while others are used are those that are loaded when they are asked for.
#include "model/open/layer_loader.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <vector>

#include "model/open/config_reader.h"
#include "tests/model/helpers/open_folder.h"

namespace sink {
namespace {

std::vector<at::Tensor> WeightsOf(const OpenLayer& layer) {
  std::vector<at::Tensor> weights;
  for (const Affine* map : {&layer.input_norm, &layer.qkv, &layer.output, &layer.gate, &layer.up, &layer.down})
    if (map->weight.defined()) weights.push_back(map->weight.clone());
  return weights;
}

std::string PrefixOf(const OpenConfig& config, const WeightFiles& files) {
  const std::string first = config.family->layers + "0." + config.family->output + ".weight";
  std::string prefix;
  for (const std::string& candidate : config.family->prefixes)
    if (files.Has(candidate + first)) prefix = candidate;
  return prefix;
}

// Every layer's, each read after the next one was begun and when the one before was given up.
std::vector<at::Tensor> WeightsOfAll(const std::string& name, at::ScalarType products, bool ahead) {
  const std::filesystem::path folder = testing::GoldenOpenModels() / name;
  const OpenConfig config = ReadOpenConfig(folder);
  const WeightFiles files(folder, at::kCPU);
  LayerLoader loader(files, config, PrefixOf(config, files), at::kCPU, products, ahead);
  std::vector<at::Tensor> weights;
  for (int64_t n = 0; n < config.layers; ++n)
    for (const at::Tensor& x : WeightsOf(loader.Take(n))) weights.push_back(x);
  return weights;
}

TEST(LayerLoader, LayersLoadedAheadAreTheSame) {
  for (const std::string& name : testing::GoldenOpenNames())
    for (const auto products : {at::kFloat, at::kBFloat16}) {
      const std::vector<at::Tensor> one = WeightsOfAll(name, products, false),
                                    other = WeightsOfAll(name, products, true);
      ASSERT_EQ(one.size(), other.size()) << name;
      for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(other[i])) << name << " " << i;
    }
}

// A device may not have begun with what reads a layer when its handle goes.
TEST(LayerLoader, ALayersMemoryIsWrittenAgainOnlyWhenTheNextOneWasTaken) {
  for (const std::string& name : testing::GoldenOpenNames()) {
    const std::filesystem::path folder = testing::GoldenOpenModels() / name;
    const OpenConfig config = ReadOpenConfig(folder);
    const WeightFiles files(folder, at::kCPU);
    LayerLoader loader(files, config, PrefixOf(config, files), at::kCPU, at::kFloat, /*ahead=*/true);
    const void* memory = loader.Take(0).output.weight.const_data_ptr();
    if (config.layers < 2 || config.expert_kind != ExpertKind::kNone) continue;
    EXPECT_NE(loader.Take(1).output.weight.const_data_ptr(), memory) << name;
  }
}

}  // namespace
}  // namespace sink
