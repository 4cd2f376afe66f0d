#include "model/open/weight_index.h"

#include <algorithm>

#include "model/base/model_error.h"
#include "model/storage/safetensors.h"

namespace sink {
namespace {

using nlohmann::json;

// A name in the folder itself: no way out of it, nothing hidden, nothing that a terminal or a log would act on.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() < 256 && name[0] != '.' &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return c > 31 && c < 127 && c != '/' && c != '\\'; });
}

}  // namespace

std::map<std::string, std::string> WeightMap(const json& index, const std::string& name) {
  const auto found = index.find("weight_map");
  if (found == index.end() || !found->is_object())
    throw ModelError(name + ": no weight_map, not an index of safetensors");
  if (found->size() > kMaxSafetensorsCount) throw ModelError(name + ": over 100,000 tensors");
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : found->items()) {
    if (!file.is_string() || !IsPlainName(file.get<std::string>()))
      throw ModelError(name + ": tensor \"" + tensor.substr(0, 200) + "\" is in no file of this folder: " +
                       file.dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace).substr(0, 200));
    files[tensor] = file.get<std::string>();
  }
  return files;
}

}  // namespace sink
