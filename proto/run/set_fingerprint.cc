#include "proto/run/set_fingerprint.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <vector>

#include "proto/files/descriptor.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"

namespace sink::run {
namespace {

namespace fs = std::filesystem;

constexpr char kSetFileName[] = "set.json";
constexpr char kPackedSuffix[] = ".bin";
constexpr size_t kMaxSetFileBytes = 64 << 20;
constexpr uint64_t kSampleBytes = 4096;

// Whether the hashes in set.json stand for everything that was packed.
bool NamesItsContent(const std::string& set_json) {
  const nlohmann::json set = nlohmann::json::parse(set_json, nullptr, /*allow_exceptions=*/false);
  if (!set.is_object() || !set.contains("sources") || !set["sources"].is_array() || set["sources"].empty())
    return false;
  return std::all_of(set["sources"].begin(), set["sources"].end(),
                     [](const auto& source) { return source.is_object() && source.contains("xxh3"); });
}

std::vector<std::string> PackedFiles(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error, ignored;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == kPackedSuffix && entry->is_regular_file(ignored))
      names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

files::FileError AddSample(const std::string& folder, const std::string& name, files::Hasher* hasher) {
  const std::string path = folder + "/" + name;
  const auto fd = files::Open(path, O_RDONLY);
  if (!fd.ok()) return fd.error();
  const auto size = files::SizeOf(*fd, path);
  if (!size.ok()) return size.error();
  hasher->Update(name + " " + std::to_string(*size) + "\n");
  for (const uint64_t offset : {uint64_t{0}, *size - std::min(*size, kSampleBytes)}) {
    std::string bytes;
    if (const auto failed = files::ReadAt(*fd, path, offset, kSampleBytes, &bytes)) return failed;
    hasher->Update(bytes);
  }
  return {};
}

}  // namespace

files::FileResult<std::string> SetFingerprint(const std::string& folder) {
  const std::string set_path = folder + "/" + kSetFileName;
  std::error_code ignored;
  std::string set_json;
  if (fs::is_regular_file(set_path, ignored)) {
    auto text = files::ReadFile(set_path, kMaxSetFileBytes);
    if (!text.ok()) return text.error();
    set_json = *std::move(text);
    if (NamesItsContent(set_json)) return files::Hash(set_json);
  }
  const std::vector<std::string> names = PackedFiles(folder);
  if (names.empty()) return files::SystemError(ENOENT, "find a packed set in", folder);
  files::Hasher hasher;
  hasher.Update(set_json);
  for (const std::string& name : names) {
    if (const auto failed = AddSample(folder, name, &hasher)) return failed;
  }
  return hasher.Digest();
}

}  // namespace sink::run
