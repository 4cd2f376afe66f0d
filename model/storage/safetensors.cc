// Reading and writing safetensors.
#include "model/storage/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "model/base/model_error.h"
#include "model/base/or_throw.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"

namespace sink {
namespace {

using nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
constexpr size_t kMaxDimensions = 16;
constexpr int kMaxDepth = 3;  // {"name": {"shape": [...]}}

struct Element {
  std::string_view name;
  size_t size;
};
constexpr Element kElements[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
                                 {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                                 {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};

// Parses the header with limits that nlohmann's parser does not set itself: depth, duplicate names.
json ParseHeader(const char* text, size_t length, const std::string& name) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.empty() && !keys.back().insert(value.get<std::string>()).second)
      throw ModelError(name + ": \"" + value.get<std::string>() + "\" occurs twice in the header");
    if (depth >= kMaxDepth && event != json::parse_event_t::value)
      throw ModelError(name + ": the header is nested deeper than the format allows");
    return true;
  };
  const json header = json::parse(text, text + length, check, /*allow_exceptions=*/false);
  if (header.is_discarded() || !header.is_object()) throw ModelError(name + ": the header is not a JSON object");
  return header;
}

SafetensorsView ParseEntry(const json& entry, std::span<const std::byte> data, const std::string& where) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape") ||
      !entry["shape"].is_array() || !entry.contains("data_offsets") || !entry["data_offsets"].is_array() ||
      entry["data_offsets"].size() != 2)
    throw ModelError(where + " needs dtype, shape and two data_offsets");
  SafetensorsView view;
  view.dtype = entry["dtype"].get<std::string>();
  uint64_t bytes = SafetensorsElementSize(view.dtype);
  if (bytes == 0) throw ModelError(where + " has the unknown type \"" + view.dtype.substr(0, 16) + "\"");
  if (entry["shape"].size() > kMaxDimensions) throw ModelError(where + " has too many dimensions");
  for (const json& size : entry["shape"]) {
    if (!size.is_number_unsigned() || __builtin_mul_overflow(bytes, size.get<uint64_t>(), &bytes) ||
        size.get<uint64_t>() > INT64_MAX)
      throw ModelError(where + " has an impossible shape");
    view.shape.push_back(size.get<int64_t>());
  }
  const json &begin = entry["data_offsets"][0], &end = entry["data_offsets"][1];
  if (!begin.is_number_unsigned() || !end.is_number_unsigned() || begin.get<uint64_t>() > end.get<uint64_t>() ||
      end.get<uint64_t>() > data.size())
    throw ModelError(where + " lies outside the file (is the file cut short?)");
  if (end.get<uint64_t>() - begin.get<uint64_t>() != bytes)
    throw ModelError(where + ": its shape and type do not match its number of bytes");
  view.data = data.subspan(begin.get<uint64_t>(), bytes);
  return view;
}

// Every byte belongs to exactly one tensor.
void CheckCoverage(const std::map<std::string, SafetensorsView>& tensors, std::span<const std::byte> data,
                   const std::string& name) {
  std::vector<std::span<const std::byte>> spans;
  for (const auto& [tensor, view] : tensors) spans.push_back(view.data);
  std::sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
    return a.data() != b.data() ? a.data() < b.data() : a.size() < b.size();
  });
  const std::byte* next = data.data();
  for (const auto& span : spans) {
    if (span.data() != next) throw ModelError(name + ": tensors overlap or leave a hole");
    next += span.size();
  }
  if (next != data.data() + data.size()) throw ModelError(name + ": bytes after the last tensor");
}

[[noreturn]] void Fail(const std::filesystem::path& path, const std::string& what) {
  throw ModelError(path.string() + ": " + what + ": " + std::strerror(errno));
}

}  // namespace

size_t SafetensorsElementSize(std::string_view dtype) {
  for (const Element& element : kElements)
    if (element.name == dtype) return element.size;
  return 0;
}

std::map<std::string, SafetensorsView> ParseSafetensors(std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.size() < kLengthBytes) throw ModelError(name + ": too short for a safetensors file");
  uint64_t length = 0;
  for (uint64_t i = 0; i < kLengthBytes; ++i) length |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  if (length > kMaxSafetensorsHeader) throw ModelError(name + ": not safetensors (a header of over 16 MiB)");
  if (length > bytes.size() - kLengthBytes) throw ModelError(name + ": the file ends inside its header");
  const json header = ParseHeader(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length, name);
  if (header.size() > kMaxSafetensorsCount) throw ModelError(name + ": over 100,000 tensors");
  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + length);
  std::map<std::string, SafetensorsView> tensors;
  for (const auto& [tensor, entry] : header.items()) {
    if (tensor == "__metadata__") continue;
    tensors.emplace(tensor, ParseEntry(entry, data, name + ": tensor \"" + tensor.substr(0, 200) + "\""));
  }
  CheckCoverage(tensors, data, name);
  return tensors;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : name_(path.string()) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe must not block
  if (fd < 0) Fail(path, "cannot open");
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 1) {
    ::close(fd);
    throw ModelError(name_ + ": not a safetensors file (empty, or not a plain file)");
  }
  size_ = static_cast<size_t>(status.st_size);
  mapping_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  errno = error;
  if (mapping_ == MAP_FAILED) Fail(path, "cannot map");
  try {
    tensors_ = ParseSafetensors({static_cast<const std::byte*>(mapping_), size_}, name_);
  } catch (...) {
    ::munmap(mapping_, size_);
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() { ::munmap(mapping_, size_); }

void SafetensorsFile::Release() const { ::madvise(mapping_, size_, MADV_DONTNEED); }

const SafetensorsView& SafetensorsFile::Get(const std::string& tensor) const {
  const auto found = tensors_.find(tensor);
  if (found == tensors_.end()) throw ModelError(name_ + ": no tensor \"" + tensor + "\"");
  return found->second;
}

namespace {

// What stands before the tensors' bytes.
std::string HeaderOf(const std::map<std::string, SafetensorsView>& tensors) {
  json header = json::object();
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t offset = 0;
  for (const auto& [tensor, view] : tensors) {
    header[tensor] = {
        {"dtype", view.dtype}, {"shape", view.shape}, {"data_offsets", {offset, offset + view.data.size()}}};
    offset += view.data.size();
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data is aligned
  std::string length(kLengthBytes, '\0');
  for (uint64_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  return length + text;
}

std::string_view BytesOf(const SafetensorsView& view) {
  return {reinterpret_cast<const char*>(view.data.data()), view.data.size()};
}

}  // namespace

void WriteSafetensors(const std::filesystem::path& path, const std::map<std::string, SafetensorsView>& tensors) {
  files::Fd fd = OrThrow<ModelError>(files::Open(path, O_WRONLY | O_CREAT | O_TRUNC));
  const auto write = [&](std::string_view bytes) { OrThrow<ModelError>(files::WriteAll(fd, path, bytes)); };
  write(HeaderOf(tensors));
  for (const auto& [tensor, view] : tensors) write(BytesOf(view));
  if (::close(fd.Release()) != 0) Fail(path, "cannot close");
}

void OutputSafetensors(const std::string& path, const std::map<std::string, SafetensorsView>& tensors) {
  const std::string header = HeaderOf(tensors);
  std::vector<std::string_view> pieces = {header};
  for (const auto& [tensor, view] : tensors) pieces.push_back(BytesOf(view));
  OrThrow<ModelError>(files::WriteOutput(path, pieces));
}

}  // namespace sink
