// The safetensors format: an 8-byte little-endian length, a JSON header of that length, then the tensors' bytes one
// after another. Reader and writer need no Torch. The reader treats the file as hostile: everything is checked before
// anything is allocated for a tensor. ModelError, beginning with the file's name, on the first thing that is wrong. A
// file object belongs to one thread or is only read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sink {

// Limits on what a header may ask for.
inline constexpr uint64_t kMaxSafetensorsHeader = 16 << 20;  // bytes
inline constexpr size_t kMaxSafetensorsCount = 100000;       // tensors

// One tensor; data points into the mapped file or, for writing, into the caller's memory.
struct SafetensorsView {
  std::string dtype;  // "F32", "I64", ...: the format's own names
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

// Bytes of one element; 0 for a type the format does not have.
size_t SafetensorsElementSize(std::string_view dtype);

// Reads a header and its tensors from bytes that outlive the result. `name` begins every error. Refused: a header that
// is cut, over the limits, not UTF-8 JSON or nested, a duplicate name, an unknown type, a shape that does not match its
// bytes, tensors that overlap, leave a hole or end before the file does.
std::map<std::string, SafetensorsView> ParseSafetensors(std::span<const std::byte> bytes, const std::string& name);

// A file mapped into memory for as long as the object lives.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::string& name() const { return name_; }
  const std::map<std::string, SafetensorsView>& tensors() const { return tensors_; }
  // ModelError naming the file when there is no such tensor.
  const SafetensorsView& Get(const std::string& tensor) const;
  // Gives the file's resident pages back to the system. What is used later is read again.
  void Release() const;

 private:
  std::string name_;
  void* mapping_ = nullptr;
  size_t size_ = 0;
  std::map<std::string, SafetensorsView> tensors_;
};

// Writes the tensors in order of name: equal tensors give equal bytes. Whoever counts on the file syncs it. ModelError
// with the system's reason (disk full) and the path; a partial file may then remain.
void WriteSafetensors(const std::filesystem::path& path, const std::map<std::string, SafetensorsView>& tensors);

// The same bytes to what a person names as the output (files::WriteOutput). ModelError with the reason and the path.
void OutputSafetensors(const std::string& path, const std::map<std::string, SafetensorsView>& tensors);

}  // namespace sink
