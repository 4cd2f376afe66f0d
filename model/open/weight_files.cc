#include "model/open/weight_files.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>
#include <functional>
#include <numeric>

#include "model/base/model_error.h"
#include "model/open/json_file.h"
#include "model/open/weight_index.h"

namespace sink {
namespace {

namespace fs = std::filesystem;

constexpr char kFile[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";
constexpr size_t kMaxShards = 1000;  // each is a mapping, and a header in memory

[[noreturn]] void FailWithout(const fs::path& directory) {
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (!fs::exists(directory / name)) continue;
    // Unpickling runs whatever code the file holds, so it is left to the user and to transformers.
    throw ModelError((directory / name).string() +
                     ": pickled weights are not read; convert them with\n  python3 -c \"from transformers import "
                     "AutoModelForCausalLM as M; M.from_pretrained('" +
                     directory.string() + "', torch_dtype='auto').save_pretrained('" + directory.string() + "')\"");
  }
  throw ModelError((directory / kFile).string() + ": no such file, nor " + kIndex);
}

at::ScalarType TypeOf(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "F16") return at::kHalf;
  if (dtype == "BF16") return at::kBFloat16;
  return at::ScalarType::Undefined;
}

std::string Text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text.empty() ? "a scalar" : text;
}

}  // namespace

WeightFiles::WeightFiles(const fs::path& directory, at::Device device) : device_(device) {
  if (fs::exists(directory / kFile)) {
    name_ = (directory / kFile).string();
    Add(directory / kFile);
    for (const auto& [tensor, view] : files_[0]->tensors()) place_[tensor] = files_[0].get();
  } else if (fs::exists(directory / kIndex)) {
    name_ = (directory / kIndex).string();
    ReadIndex(directory / kIndex);
  } else {
    FailWithout(directory);
  }
}

void WeightFiles::Add(const fs::path& path) { files_.push_back(std::make_unique<SafetensorsFile>(path)); }

void WeightFiles::ReadIndex(const fs::path& index) {
  std::map<std::string, const SafetensorsFile*> shards;
  for (const auto& [tensor, file] : WeightMap(ReadJsonObject(index, kMaxIndexMebibytes), name_)) {
    const auto [shard, is_new] = shards.try_emplace(file, nullptr);
    if (is_new) {
      if (shards.size() > kMaxShards) throw ModelError(name_ + ": over 1,000 files");
      Add(index.parent_path() / shard->first);
      shard->second = files_.back().get();
    }
    if (!shard->second->tensors().contains(tensor))
      throw ModelError(name_ + ": tensor \"" + tensor.substr(0, 200) + "\" is not in " + shard->first);
    place_[tensor] = shard->second;
  }
  for (const auto& file : files_)
    for (const auto& [tensor, view] : file->tensors())
      if (!place_.contains(tensor) || place_[tensor] != file.get())
        throw ModelError(file->name() + ": tensor \"" + tensor.substr(0, 200) + "\" is not the index's");
}

const SafetensorsView& WeightFiles::Get(const std::string& tensor) const {
  const auto found = place_.find(tensor);
  if (found == place_.end()) throw ModelError(name_ + ": no tensor \"" + tensor + "\"");
  return found->second->Get(tensor);
}

std::string WeightFiles::Where(const std::string& tensor) const {
  const auto found = place_.find(tensor);
  return (found == place_.end() ? name_ : found->second->name()) + ": tensor \"" + tensor.substr(0, 200) + "\"";
}

void WeightFiles::Check(const std::string& tensor, const std::vector<int64_t>& shape) const {
  const SafetensorsView& view = Get(tensor);
  if (TypeOf(view.dtype) == at::ScalarType::Undefined)
    throw ModelError(Where(tensor) + " has the type " + view.dtype + "; F32, F16 and BF16 are read");
  if (view.shape != shape)
    throw ModelError(Where(tensor) + " is " + Text(view.shape) + ", but config.json makes it " + Text(shape));
}

void WeightFiles::CheckAll(const std::function<bool(const std::string&)>& wanted) const {
  for (const auto& [tensor, file] : place_)
    if (!wanted(tensor)) throw ModelError(Where(tensor) + " is not part of this model");
}

at::Tensor WeightFiles::View(const std::string& tensor) const {
  const SafetensorsView& view = Get(tensor);
  const at::ScalarType type = TypeOf(view.dtype);
  const auto address = reinterpret_cast<uintptr_t>(view.data.data());
  if (address % at::elementSize(type) != 0) {  // a header whose length is odd
    at::Tensor copy = at::empty(view.shape, at::TensorOptions().dtype(type));
    std::memcpy(copy.mutable_data_ptr(), view.data.data(), view.data.size());
    return copy;
  }
  // ATen has no tensor of constant memory; nothing here writes to weights, and the pages are mapped read-only.
  return at::from_blob(const_cast<std::byte*>(view.data.data()), view.shape, at::TensorOptions().dtype(type));
}

at::Tensor WeightFiles::Read(const std::string& tensor) const {
  const at::Tensor loaded = Load(tensor);
  const at::Tensor copy = Buffer(loaded.sizes()).copy_(loaded);
  Release();
  return copy;
}

at::Tensor WeightFiles::Buffer(at::IntArrayRef shape) const {
  const int64_t size = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  for (const at::Tensor& buffer : buffers_)
    if (buffer.numel() == size && buffer.storage().use_count() == 1) return buffer.view(shape);
  buffers_.push_back(at::empty({size}, at::TensorOptions().dtype(at::kFloat).device(device_)));
  return buffers_.back().view(shape);
}

int64_t WeightFiles::elements() const {
  int64_t elements = 0;
  for (const auto& file : files_)
    for (const auto& [name, view] : file->tensors())
      elements += std::accumulate(view.shape.begin(), view.shape.end(), int64_t{1}, std::multiplies<>());
  return elements;
}

void WeightFiles::Release() const {
  for (const auto& file : files_) file->Release();
}

}  // namespace sink
