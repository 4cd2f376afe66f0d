// Writes a safetensors file of one tensor of integers, for probes. (model/storage/safetensors.h, which does more,
// belongs to the programs with LibTorch.) Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sink::data {

// The bytes of a file with one int64 tensor [rows, values.size() / rows], row-major.
std::string EncodeSafetensors(std::string_view name, int64_t rows, std::span<const int32_t> values);

}  // namespace sink::data
