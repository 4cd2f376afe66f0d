// Tensors to and from safetensors files.
#include "model/storage/tensor_file.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "model/base/model_error.h"

namespace sink {
namespace {

struct TypeName {
  const char* name;
  at::ScalarType type;
};
constexpr TypeName kTypes[] = {{"F32", at::kFloat}, {"F64", at::kDouble}, {"F16", at::kHalf}, {"BF16", at::kBFloat16},
                               {"I32", at::kInt},   {"I64", at::kLong},   {"U8", at::kByte},  {"BOOL", at::kBool}};

// Tensors as a file has them, and what keeps their bytes alive.
struct HostTensors {
  std::map<std::string, at::Tensor> copies;
  std::map<std::string, SafetensorsView> views;
};

HostTensors OnHost(const std::map<std::string, at::Tensor>& tensors, const std::string& path) {
  HostTensors host;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor& copy = host.copies[name] = tensor.detach().cpu().contiguous();
    SafetensorsView view{"", copy.sizes().vec(), {static_cast<const std::byte*>(copy.const_data_ptr()), copy.nbytes()}};
    for (const TypeName& type : kTypes)
      if (type.type == copy.scalar_type()) view.dtype = type.name;
    if (view.dtype.empty()) throw ModelError(path + ": tensor \"" + name + "\" has a type that cannot be saved");
    host.views[name] = view;
  }
  return host;
}

}  // namespace

at::Tensor ReadTensor(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsView& view = file.Get(name);
  for (const TypeName& type : kTypes) {
    if (view.dtype != type.name) continue;
    at::Tensor tensor = at::empty(view.shape, at::TensorOptions().dtype(type.type));
    if (!view.data.empty()) std::memcpy(tensor.mutable_data_ptr(), view.data.data(), view.data.size());
    return tensor;
  }
  throw ModelError(file.name() + ": tensor \"" + name + "\" has the type " + view.dtype + ", which is not supported");
}

void ReadTensorInto(const SafetensorsFile& file, const std::string& name, const at::Tensor& out) {
  const SafetensorsView& view = file.Get(name);
  if (at::IntArrayRef(view.shape) != out.sizes()) {
    const auto text = [](at::IntArrayRef shape) {
      std::string joined;
      for (const int64_t size : shape) joined += (joined.empty() ? "" : " x ") + std::to_string(size);
      return joined;
    };
    throw ModelError(file.name() + ": tensor \"" + name + "\" is " + text(view.shape) + ", but the model has " +
                     text(out.sizes()));
  }
  out.copy_(ReadTensor(file, name));
}

void WriteTensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors) {
  WriteSafetensors(path, OnHost(tensors, path.string()).views);
}

void OutputTensors(const std::string& path, const std::map<std::string, at::Tensor>& tensors) {
  OutputSafetensors(path, OnHost(tensors, path).views);
}

}  // namespace sink
