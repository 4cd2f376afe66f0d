// See model_gap.h.
#include "proto/run/model_gap.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "proto/base/json_depth.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"

namespace sink::run {
namespace {

using files::FileError;
using files::FileResult;
using nlohmann::json;

// As the readers of model/open and model/storage have them.
constexpr char kWeights[] = "model.safetensors", kIndex[] = "model.safetensors.index.json";
constexpr size_t kMaxConfigBytes = 1 << 20, kMaxIndexBytes = 16 << 20, kMaxTokenizerBytes = 64 << 20;
constexpr uint64_t kLengthBytes = 8, kMaxHeaderBytes = 16 << 20;  // of a safetensors file
constexpr uint64_t kMaxDataBytes = uint64_t{1} << 60;             // so that sums are numbers
constexpr size_t kMaxShards = 1000;
constexpr int kMaxLevels = 32;

FileError NotWhole(const std::string& path, const std::string& what) { return {files::kDamaged, path + " " + what}; }

// The size of a plain file; what is no such file has none.
FileResult<uint64_t> PlainSize(const std::string& path) {
  struct stat there {};
  if (stat(path.c_str(), &there) != 0) return files::SystemError(errno, "find", path);
  if (!S_ISREG(there.st_mode)) return NotWhole(path, "is not a plain file");
  return static_cast<uint64_t>(there.st_size);
}

bool IsThere(const std::string& path) {
  struct stat there {};
  return stat(path.c_str(), &there) == 0;
}

// A plain file's text: a pipe would keep whoever asks waiting.
FileResult<std::string> ReadPlainFile(const std::string& path, size_t max_bytes) {
  const auto size = PlainSize(path);
  if (!size.ok()) return size.error();
  return files::ReadFile(path, max_bytes);
}

FileResult<json> ReadObject(const std::string& path, size_t max_bytes) {
  const auto text = ReadPlainFile(path, max_bytes);
  if (!text.ok()) return text.error();
  json object;
  if (!IsDeeperThan(kMaxLevels, *text)) object = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return NotWhole(path, "is no whole JSON object");
  return object;
}

// Where the last tensor ends, counted from the end of the header; nothing where it is no header of this format.
std::optional<uint64_t> EndOfData(const std::string& header) {
  if (IsDeeperThan(kMaxLevels, header)) return std::nullopt;
  const json tensors = json::parse(header, nullptr, /*allow_exceptions=*/false);
  if (!tensors.is_object()) return std::nullopt;
  uint64_t end = 0;
  for (const auto& [name, tensor] : tensors.items()) {
    if (name == "__metadata__") continue;
    if (!tensor.is_object() || !tensor.contains("data_offsets")) return std::nullopt;
    const json& offsets = tensor["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[1].is_number_unsigned()) return std::nullopt;
    end = std::max(end, offsets[1].get<uint64_t>());
  }
  return end > kMaxDataBytes ? std::nullopt : std::optional(end);
}

FileError CheckWeights(const std::string& path) {
  const auto size = PlainSize(path);
  if (!size.ok()) return size.error();
  const auto fd = files::Open(path, O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) return fd.error();
  const FileError cut = NotWhole(path, "has " + std::to_string(*size) + " bytes and ends inside its header");
  std::string bytes;
  if (auto failed = files::ReadAt(*fd, path, 0, kLengthBytes, &bytes)) return failed;
  if (bytes.size() < kLengthBytes) return cut;
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  if (length > kMaxHeaderBytes) return NotWhole(path, "is no safetensors file");
  if (auto failed = files::ReadAt(*fd, path, kLengthBytes, length, &bytes)) return failed;
  if (bytes.size() < length) return cut;
  const auto end = EndOfData(bytes);
  if (!end) return NotWhole(path, "is no safetensors file");
  const uint64_t whole = kLengthBytes + length + *end;
  if (*size == whole) return {};
  return NotWhole(path, "has " + std::to_string(*size) + " of " + std::to_string(whole) + " bytes");
}

FileError CheckIndexed(const std::string& folder) {
  const std::string path = folder + "/" + kIndex;
  const auto index = ReadObject(path, kMaxIndexBytes);
  if (!index.ok()) return index.error();
  const auto map = index->find("weight_map");
  if (map == index->end() || !map->is_object() || map->empty()) return NotWhole(path, "has no weight_map");
  std::set<std::string> shards;
  for (const json& file : *map) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos)
      return NotWhole(path, "names a file that is none of its folder");
    shards.insert(name);
    if (shards.size() > kMaxShards) return NotWhole(path, "names over 1,000 files");
  }
  for (const std::string& shard : shards)
    if (auto gap = CheckWeights(folder + "/" + shard)) return gap;
  return {};
}

// Nothing is built of it: a vocabulary is large.
FileError CheckJson(const std::string& path) {
  const auto text = ReadPlainFile(path, kMaxTokenizerBytes);
  if (!text.ok()) return text.error();
  if (!json::accept(*text)) return NotWhole(path, "is no whole JSON");
  return {};
}

FileError CheckPlain(const std::string& path) {
  const auto size = PlainSize(path);
  return size.ok() ? FileError() : size.error();
}

}  // namespace

FileError FindModelGap(const std::string& folder) {
  if (const auto config = ReadObject(folder + "/config.json", kMaxConfigBytes); !config.ok()) return config.error();
  const std::string weights = folder + "/" + kWeights;
  if (IsThere(weights)) return CheckWeights(weights);
  if (IsThere(folder + "/" + kIndex)) return CheckIndexed(folder);
  const bool pickled = IsThere(folder + "/pytorch_model.bin") || IsThere(folder + "/pytorch_model.bin.index.json");
  const std::string none = std::string("has no ") + kWeights + " or " + kIndex;
  return NotWhole(folder,
                  pickled ? none + "; save its pickled weights anew with save_pretrained of transformers" : none);
}

FileError FindTokenizerGap(const std::string& folder) {
  const std::string tokenizer = folder + "/tokenizer.json", pieces = folder + "/tokenizer.model";
  const std::string vocabulary = folder + "/vocab.json";
  if (IsThere(tokenizer)) return CheckJson(tokenizer);
  if (IsThere(pieces)) return CheckPlain(pieces);
  if (!IsThere(vocabulary)) return NotWhole(folder, "has no tokenizer.json, tokenizer.model or vocab.json");
  if (auto gap = CheckJson(vocabulary)) return gap;
  return CheckPlain(folder + "/merges.txt");
}

}  // namespace sink::run
