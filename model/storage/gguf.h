// The GGUF format (llama.cpp's, versions 2 and 3): metadata, a table of tensors and their blocks of quantised values.
// Needs no Torch. The file is treated as hostile: everything is checked before anything is allocated for it.
// ModelError, beginning with the file's name, on the first thing that is wrong. A file object belongs to one thread or
// is only read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "model/storage/safetensors.h"

namespace sink {

// Limits on what a header may ask for.
inline constexpr size_t kMaxGgufKeys = 10000;
inline constexpr uint64_t kMaxGgufHeader = 128 << 20;  // bytes before the tensors' data

// A number of any width, text, or a list of either; flags are 0 and 1.
using GgufValue = std::variant<int64_t, double, std::string, std::vector<std::string>, std::vector<double>>;

struct GgufContent {
  std::map<std::string, GgufValue> metadata;
  // By name; dtype is the format's own name ("Q4_K"), the shape has the rows first as in safetensors: [out, in].
  std::map<std::string, SafetensorsView> tensors;

  // What is there and of that kind; a whole number also as a double.
  std::optional<int64_t> Integer(const std::string& key) const;
  std::optional<double> Number(const std::string& key) const;
  const std::string* Text(const std::string& key) const;
  const std::vector<std::string>* Texts(const std::string& key) const;
  const std::vector<double>* Numbers(const std::string& key) const;
};

// Reads bytes that outlive the result. Refused: a header that is cut or over the limits, a name twice, a list of lists,
// an unknown type, a shape that does not fill its blocks, tensors that overlap or lie outside the file.
GgufContent ParseGguf(std::span<const std::byte> bytes, const std::string& name);

// A file mapped into memory for as long as the object lives.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  const std::string& name() const { return name_; }
  const GgufContent& content() const { return content_; }
  void Release() const;  // as SafetensorsFile's

 private:
  std::string name_;
  void* mapping_ = nullptr;
  size_t size_ = 0;
  GgufContent content_;
};

// Whether a path is for this reader: a plain file that ends in .gguf.
bool IsGguf(const std::filesystem::path& path);

}  // namespace sink
