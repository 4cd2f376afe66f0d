// See safetensors_file.h.
#include "model/data/commands/safetensors_file.h"

#include <bit>
#include <nlohmann/json.hpp>

namespace sink::data {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

template <typename T>
void Append(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

std::string EncodeSafetensors(std::string_view name, int64_t rows, std::span<const int32_t> values) {
  const auto count = static_cast<int64_t>(values.size());
  const nlohmann::json tensor = {
      {"dtype", "I64"}, {"shape", {rows, count / rows}}, {"data_offsets", {0, count * sizeof(int64_t)}}};
  std::string header = nlohmann::json{{name, tensor}}.dump();
  header.append((8 - header.size() % 8) % 8, ' ');  // tensors begin at a multiple of eight
  std::string out;
  Append(&out, static_cast<uint64_t>(header.size()));
  out += header;
  for (const int32_t value : values) Append(&out, static_cast<int64_t>(value));
  return out;
}

}  // namespace sink::data
