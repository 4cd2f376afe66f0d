// The weights of an open model: the safetensors files of a Hugging Face folder (model.safetensors, or the shards that
// model.safetensors.index.json lists) or one GGUF file. They are mapped, never read whole: what a tensor's pages hold
// becomes resident when it is used and goes with Release. The files are treated as hostile (safetensors.h, gguf.h). An
// object belongs to one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/storage/gguf.h"
#include "model/storage/safetensors.h"

namespace sink {

enum class TensorKind {
  kNumbers,  // float of any width, or quantised in a GGUF file
  kBytes,    // half of a tensor in MXFP4: its blocks or their scales (mxfp4.h)
};

class WeightFiles {
 public:
  // ModelError, naming a file: none there, pickled weights only (with the command that converts them), a damaged file,
  // an index that leaves the folder or lists what its files do not hold.
  WeightFiles(const std::filesystem::path& model, at::Device device);

  bool Has(const std::string& tensor) const { return places_.contains(tensor); }
  // The GGUF file; null for a folder.
  const GgufContent* gguf() const { return gguf_ == nullptr ? nullptr : &gguf_->content(); }
  // ModelError naming file and tensor unless it is there, of a type that is read and of this shape.
  void Check(const std::string& tensor, const std::vector<int64_t>& shape,
             TensorKind kind = TensorKind::kNumbers) const;
  // ModelError for the first tensor that is not wanted.
  void CheckAll(const std::function<bool(const std::string&)>& wanted) const;

  int64_t elements() const;  // of all tensors, of MXFP4 the values

  // On the device: on a CPU floats in the type of the file and in its memory, which stays valid but may be paged in
  // again; elsewhere, and of quantised types in float, a copy.
  at::Tensor Load(const std::string& tensor) const;
  // In float on the device: a copy in a Buffer. In the files tensors lie at any address, and matrix products take a
  // quarter longer where a row does not begin on a cache line.
  at::Tensor Read(const std::string& tensor) const;
  at::Tensor ReadRows(const std::string& tensor, int64_t first, int64_t count) const;
  // Matrix n of those that <tensor>_blocks [N, out, in / 32, 16] and <tensor>_scales [N, out, in / 32] hold, [out, in].
  at::Tensor ReadMxfp4Matrix(const std::string& tensor, int64_t n) const;
  // The rows of a table with these numbers, int64 [N] on the CPU, in float on the device.
  at::Tensor GatherRows(const std::string& tensor, const at::Tensor& rows_N) const;
  // Whether two tensors of one shape hold the same values.
  bool Equal(const std::string& one, const std::string& other) const;

  // An uninitialised float tensor of this shape on the device, in memory of an earlier one that nobody uses any more
  // where there is some of the same size, as the next layer's always is: mapping a layer's weights afresh costs
  // seconds.
  at::Tensor Buffer(at::IntArrayRef shape) const;

  // Gives the pages of all files back to the system; what is used later is read again.
  void Release() const;

  std::string Where(const std::string& tensor) const;  // "<file>: tensor \"<name>\"", for messages

 private:
  struct Place {
    SafetensorsView view;
    const std::string* file = nullptr;  // its name
  };

  const SafetensorsFile& Add(const std::filesystem::path& path);
  void ReadIndex(const std::filesystem::path& index);
  const Place& Get(const std::string& tensor) const;
  // Rows first .. first+count-1 on the CPU, as Load.
  at::Tensor View(const SafetensorsView& view, int64_t first, int64_t count) const;

  const at::Device device_;
  std::string name_;  // of the index or the one file
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::unique_ptr<GgufFile> gguf_;
  std::map<std::string, Place> places_;
  mutable std::vector<at::Tensor> buffers_;  // all that Buffer has made
};

}  // namespace sink
