// model.safetensors.index.json: which file of a model folder holds which tensor. Treated as hostile, read without
// Torch. Pure function; any thread.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace sink {

inline constexpr int64_t kMaxIndexMebibytes = 16;

// Tensor to file of a parsed index. ModelError, beginning with `name`: no weight_map, a file that is not a plain name
// in the folder itself, over 100,000 tensors.
std::map<std::string, std::string> WeightMap(const nlohmann::json& index, const std::string& name);

}  // namespace sink
