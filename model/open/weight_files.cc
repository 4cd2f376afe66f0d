#include "model/open/weight_files.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

#include "model/base/model_error.h"
#include "model/open/json_file.h"
#include "model/open/weight_index.h"
#include "model/storage/gguf_blocks.h"
#include "model/storage/mxfp4.h"

namespace sink {
namespace {

namespace fs = std::filesystem;

constexpr char kFile[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";
constexpr char kBytes[] = "U8";      // the type in which safetensors files have MXFP4
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

bool IsQuantised(const SafetensorsView& view) {
  const GgufType* type = FindGgufType(view.dtype);
  return type != nullptr && type->values > 1 && type->read != nullptr;
}

at::Tensor Dequantised(const GgufType& type, const std::byte* blocks, const std::vector<int64_t>& shape) {
  const at::Tensor x = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  float* values = x.mutable_data_ptr<float>();
  at::parallel_for(0, x.numel() / type.values, 1024, [&](int64_t first, int64_t last) {
    ReadGgufValues(type, blocks + static_cast<size_t>(first) * type.bytes, (last - first) * type.values,
                   values + first * type.values);
  });
  return x;
}

std::string Text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text.empty() ? "a scalar" : text;
}

}  // namespace

WeightFiles::WeightFiles(const fs::path& model, at::Device device) : device_(device) {
  const fs::path file = model / kFile, index = model / kIndex;
  if (IsGguf(model)) {
    name_ = model.string();
    gguf_ = std::make_unique<GgufFile>(model);
    for (const auto& [tensor, view] : gguf_->content().tensors) places_[tensor] = {view, &gguf_->name()};
  } else if (fs::exists(file)) {
    name_ = file.string();
    const SafetensorsFile& only = Add(file);
    for (const auto& [tensor, view] : only.tensors()) places_[tensor] = {view, &only.name()};
  } else if (fs::exists(index)) {
    name_ = index.string();
    ReadIndex(index);
  } else {
    FailWithout(model);
  }
}

const SafetensorsFile& WeightFiles::Add(const fs::path& path) {
  files_.push_back(std::make_unique<SafetensorsFile>(path));
  return *files_.back();
}

void WeightFiles::ReadIndex(const fs::path& index) {
  std::map<std::string, const SafetensorsFile*> shards;
  for (const auto& [tensor, file] : WeightMap(ReadJsonObject(index, kMaxIndexMebibytes), name_)) {
    const auto [shard, is_new] = shards.try_emplace(file, nullptr);
    if (is_new) {
      if (shards.size() > kMaxShards) throw ModelError(name_ + ": over 1,000 files");
      shard->second = &Add(index.parent_path() / shard->first);
    }
    if (!shard->second->tensors().contains(tensor))
      throw ModelError(name_ + ": tensor \"" + tensor.substr(0, 200) + "\" is not in " + shard->first);
    places_[tensor] = {shard->second->Get(tensor), &shard->second->name()};
  }
  for (const auto& file : files_)
    for (const auto& [tensor, view] : file->tensors())
      if (!places_.contains(tensor) || places_[tensor].file != &file->name())
        throw ModelError(file->name() + ": tensor \"" + tensor.substr(0, 200) + "\" is not the index's");
}

const WeightFiles::Place& WeightFiles::Get(const std::string& tensor) const {
  const auto found = places_.find(tensor);
  if (found == places_.end()) throw ModelError(name_ + ": no tensor \"" + tensor + "\"");
  return found->second;
}

std::string WeightFiles::Where(const std::string& tensor) const {
  const auto found = places_.find(tensor);
  return (found == places_.end() ? name_ : *found->second.file) + ": tensor \"" + tensor.substr(0, 200) + "\"";
}

void WeightFiles::Check(const std::string& tensor, const std::vector<int64_t>& shape, TensorKind kind) const {
  const SafetensorsView& view = Get(tensor).view;
  if (kind == TensorKind::kBytes && view.dtype != kBytes)
    throw ModelError(Where(tensor) + " has the type " + view.dtype + "; MXFP4 is held in " + kBytes);
  if (kind == TensorKind::kNumbers && TypeOf(view.dtype) == at::ScalarType::Undefined && !IsQuantised(view))
    throw ModelError(Where(tensor) + " has the type " + view.dtype + "; " +
                     (gguf_ == nullptr ? "F32, F16 and BF16" : "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q4_K and Q6_K") +
                     " are read");
  if (view.shape != shape)
    throw ModelError(Where(tensor) + " is " + Text(view.shape) + ", but " +
                     (gguf_ == nullptr ? "config.json" : "the metadata") + " makes it " + Text(shape));
}

void WeightFiles::CheckAll(const std::function<bool(const std::string&)>& wanted) const {
  for (const auto& [tensor, place] : places_)
    if (!wanted(tensor)) throw ModelError(Where(tensor) + " is not part of this model");
}

at::Tensor WeightFiles::View(const SafetensorsView& view, int64_t first, int64_t count) const {
  std::vector<int64_t> shape = view.shape;
  std::span<const std::byte> data = view.data;
  if (!shape.empty()) {
    const size_t row = data.size() / static_cast<size_t>(shape[0]);
    data = data.subspan(static_cast<size_t>(first) * row, static_cast<size_t>(count) * row);
    shape[0] = count;
  }
  const at::ScalarType type = TypeOf(view.dtype);
  if (type == at::ScalarType::Undefined) return Dequantised(*FindGgufType(view.dtype), data.data(), shape);
  const auto address = reinterpret_cast<uintptr_t>(data.data());
  if (address % at::elementSize(type) != 0) {  // a header whose length is odd
    at::Tensor copy = at::empty(shape, at::TensorOptions().dtype(type));
    std::memcpy(copy.mutable_data_ptr(), data.data(), data.size());
    return copy;
  }
  // ATen has no tensor of constant memory; nothing here writes to weights, and the pages are mapped read-only.
  return at::from_blob(const_cast<std::byte*>(data.data()), shape, at::TensorOptions().dtype(type));
}

at::Tensor WeightFiles::Load(const std::string& tensor) const {
  const SafetensorsView& view = Get(tensor).view;
  return View(view, 0, view.shape.empty() ? 1 : view.shape[0]).to(device_);
}

at::Tensor WeightFiles::ReadRows(const std::string& tensor, int64_t first, int64_t count) const {
  const at::Tensor rows = View(Get(tensor).view, first, count).to(device_);
  return Buffer(rows.sizes()).copy_(rows);
}

at::Tensor WeightFiles::ReadMxfp4Matrix(const std::string& tensor, int64_t n) const {
  const SafetensorsView &blocks = Get(tensor + "_blocks").view, &scales = Get(tensor + "_scales").view;
  const int64_t out = blocks.shape[1], in_blocks = blocks.shape[2], count = out * in_blocks;
  const std::vector<int64_t> shape{out, in_blocks * kMxfp4Values};
  const at::Tensor x = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  const std::byte *block = blocks.data.data() + n * count * kMxfp4Bytes, *scale = scales.data.data() + n * count;
  float* values = x.mutable_data_ptr<float>();
  at::parallel_for(0, count, 1024, [&](int64_t first, int64_t last) {
    ReadMxfp4(block + first * kMxfp4Bytes, scale + first, last - first, values + first * kMxfp4Values);
  });
  return x.to(device_);
}

at::Tensor WeightFiles::GatherRows(const std::string& tensor, const at::Tensor& rows_N) const {
  const SafetensorsView& view = Get(tensor).view;
  const at::Tensor rows = at::empty({rows_N.size(0), view.shape[1]}, at::TensorOptions().dtype(at::kFloat));
  if (!IsQuantised(view)) {
    // A read makes the pages around a row resident as well: all that many rows touch would be the whole table.
    constexpr int64_t kRows = 256;
    const at::Tensor table = View(view, 0, view.shape[0]);
    for (int64_t first = 0; first < rows.size(0); first += kRows) {
      const int64_t last = std::min(first + kRows, rows.size(0));
      rows.slice(0, first, last).copy_(table.index_select(0, rows_N.slice(0, first, last)));
      Release();
    }
    return rows.to(device_);
  }
  const at::Tensor dense = rows_N.contiguous();
  const int64_t* numbers = dense.const_data_ptr<int64_t>();
  for (int64_t n = 0; n < rows.size(0); ++n) rows[n].copy_(View(view, numbers[n], 1)[0]);
  return rows.to(device_);
}

bool WeightFiles::Equal(const std::string& one, const std::string& other) const {
  const SafetensorsView &a = Get(one).view, &b = Get(other).view;
  if (a.shape != b.shape || a.shape.empty()) return false;
  constexpr int64_t kRows = 1024;
  for (int64_t first = 0; first < a.shape[0]; first += kRows) {
    const int64_t count = std::min(kRows, a.shape[0] - first);
    if (!View(a, first, count).to(at::kFloat).equal(View(b, first, count).to(at::kFloat))) return false;
    Release();
  }
  return true;
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
  for (const auto& [name, place] : places_) {
    if (place.view.dtype == kBytes && name.ends_with("_scales")) continue;
    const int64_t values_of_one = place.view.dtype == kBytes ? kMxfp4Values / kMxfp4Bytes : 1;
    elements += std::accumulate(place.view.shape.begin(), place.view.shape.end(), values_of_one, std::multiplies<>());
  }
  return elements;
}

void WeightFiles::Release() const {
  for (const auto& file : files_) file->Release();
  if (gguf_ != nullptr) gguf_->Release();
}

}  // namespace sink
