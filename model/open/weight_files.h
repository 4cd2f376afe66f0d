// The safetensors files of a Hugging Face folder: model.safetensors, or the shards that model.safetensors.index.json
// lists. They are mapped, never read whole: what a tensor's pages hold becomes resident when it is used and goes with
// Release. The folder is treated as hostile (safetensors.h). An object belongs to one thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/storage/safetensors.h"

namespace sink {

class WeightFiles {
 public:
  // ModelError, naming a file: none there, pickled weights only (with the command that converts them), a damaged file,
  // an index that leaves the folder or lists what its files do not hold.
  WeightFiles(const std::filesystem::path& directory, at::Device device);

  bool Has(const std::string& tensor) const { return place_.contains(tensor); }
  // ModelError naming file and tensor unless it is there, floating (F32, F16, BF16) and of this shape.
  void Check(const std::string& tensor, const std::vector<int64_t>& shape) const;
  // ModelError for the first tensor that is not wanted.
  void CheckAll(const std::function<bool(const std::string&)>& wanted) const;

  int64_t elements() const;  // of all tensors

  // In the type of the file and in its memory on the CPU, which stays valid but may be paged in again.
  at::Tensor View(const std::string& tensor) const;
  // In the type of the file, on the device: on a CPU the same as View, elsewhere a copy.
  at::Tensor Load(const std::string& tensor) const { return View(tensor).to(device_); }
  // In float on the device: a copy in a Buffer. In the files tensors lie at any address, and matrix products take a
  // quarter longer where a row does not begin on a cache line.
  at::Tensor Read(const std::string& tensor) const;

  // An uninitialised float tensor of this shape on the device, in memory of an earlier one that nobody uses any more
  // where there is some of the same size, as the next layer's always is: mapping a layer's weights afresh costs
  // seconds.
  at::Tensor Buffer(at::IntArrayRef shape) const;

  // Gives the pages of all files back to the system; what is used later is read again.
  void Release() const;

  std::string Where(const std::string& tensor) const;  // "<file>: tensor \"<name>\"", for messages

 private:
  void Add(const std::filesystem::path& path);
  void ReadIndex(const std::filesystem::path& index);
  const SafetensorsView& Get(const std::string& tensor) const;

  const at::Device device_;
  std::string name_;  // of the index or the one file
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const SafetensorsFile*> place_;
  mutable std::vector<at::Tensor> buffers_;  // all that Buffer has made
};

}  // namespace sink
