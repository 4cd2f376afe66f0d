// Model folders of Hugging Face's kind for tests: the golden ones, and folders made from tensors. Test helper.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/storage/tensor_file.h"

namespace sink::testing {

using Tensors = std::map<std::string, at::Tensor>;

inline std::filesystem::path GoldenOpenModels() {
  return std::filesystem::path(std::getenv("SINK_SOURCE_DIR")) / "tests/golden/open_models";
}

inline std::vector<std::string> GoldenOpenNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenOpenModels()))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

inline Tensors ReadAll(const std::filesystem::path& file) {
  const SafetensorsFile source(file);
  Tensors tensors;
  for (const auto& [name, view] : source.tensors()) tensors[name] = ReadTensor(source, name);
  return tensors;
}

inline std::string ReadBytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void WriteBytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

// config.json and the tensors in one file, or dealt out to `shards` files with an index.
inline void WriteFolder(const std::filesystem::path& folder, const std::string& config, const Tensors& tensors,
                        size_t shards = 1) {
  std::filesystem::create_directories(folder);
  WriteBytes(folder / "config.json", config);
  if (shards == 1) return WriteTensors(folder / "model.safetensors", tensors);
  std::vector<Tensors> parts(shards);
  nlohmann::json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", nlohmann::json::object()}};
  const auto name_of = [](size_t part) { return "model-" + std::to_string(part) + ".safetensors"; };
  size_t n = 0;
  for (const auto& [name, tensor] : tensors) {
    index["weight_map"][name] = name_of(n % shards);
    parts[n++ % shards][name] = tensor;
  }
  for (size_t part = 0; part < shards; ++part) WriteTensors(folder / name_of(part), parts[part]);
  WriteBytes(folder / "model.safetensors.index.json", index.dump());
}

}  // namespace sink::testing
