// Tensors to and from safetensors files. Pure functions but for the disk; any thread. ModelError names the file, and
// the tensor where there is one.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "model/storage/safetensors.h"

namespace sink {

// A copy on the CPU in the type the file has. ModelError for types that ATen lacks.
at::Tensor ReadTensor(const SafetensorsFile& file, const std::string& name);

// Copies a tensor of the file into `out`, of any device and floating type; the shapes must agree.
void ReadTensorInto(const SafetensorsFile& file, const std::string& name, const at::Tensor& out);

// Writes tensors of any device in order of name (WriteSafetensors). float, double, bfloat16, int32, int64 and uint8.
void WriteTensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors);
// The same bytes to what a person names as the output (OutputSafetensors).
void OutputTensors(const std::string& path, const std::map<std::string, at::Tensor>& tensors);

}  // namespace sink
