// Any bytes as the config.json of an open model and as the index of its weights: read or refused with a ModelError.
// What is read is a model whose sizes fit together, and files of the folder itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "model/base/model_error.h"
#include "model/open/config_reader.h"
#include "model/open/json_file.h"
#include "model/open/weight_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const sink::OpenConfig c =
        sink::ReadOpenConfig(sink::ConfigReader("config", sink::ParseJsonObject(text, "config")));
    if (c.family == nullptr || c.layers < 1 || c.head_dim < 1 || c.heads % c.key_value_heads != 0 ||
        c.vocab_size > sink::kMaxModelSize || c.norm_epsilon <= 0 || static_cast<int64_t>(c.kinds.size()) != c.layers)
      std::abort();
    for (const sink::RopeConfig& rope : c.ropes)
      if (rope.dims < 2 || rope.dims > c.head_dim || std::ssize(sink::RopeFrequencies(rope, 100)) != rope.dims / 2)
        std::abort();
    for (const sink::LayerKind& kind : c.kinds)
      if (kind.rope >= std::ssize(c.ropes) && kind.rope != 0) std::abort();
  } catch (const sink::ModelError&) {
  }
  try {
    for (const auto& [tensor, file] : sink::WeightMap(sink::ParseJsonObject(text, "index"), "index"))
      if (file.empty() || file.find('/') != std::string::npos || file[0] == '.') std::abort();
  } catch (const sink::ModelError&) {
  }
  return 0;
}
