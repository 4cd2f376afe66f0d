// See set_gap.h.
#include "proto/run/set_gap.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "proto/files/files.h"
#include "proto/run/set_hashes.h"

namespace sink::run {
namespace {

constexpr char kSetFile[] = "set.json";
constexpr size_t kMaxSetBytes = 64 << 20;
constexpr int64_t kHeaderBytes = 24;              // of a LITPKDS file
constexpr int64_t kMaxTokens = int64_t{1} << 40;  // of a chunk, so that its size is a number

int64_t NumberOf(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

// Of a chunk of so many blocks; 0: the set does not say.
int64_t TokensOf(const nlohmann::json& set, const char* chunk_blocks) {
  const int64_t block = NumberOf(set, "block"), blocks = NumberOf(set, chunk_blocks);
  return block > 0 && blocks > 0 && blocks <= kMaxTokens / block ? block * blocks : 0;
}

// Every packed file is a whole chunk, filled up at its end, of tokens of two bytes or of four.
files::FileError CheckSize(const std::string& path, int64_t tokens) {
  struct stat there {};
  if (stat(path.c_str(), &there) != 0) return files::SystemError(errno, "find", path);
  if (there.st_size == kHeaderBytes + 2 * tokens || there.st_size == kHeaderBytes + 4 * tokens) return {};
  return {files::kDamaged, path + " has " + std::to_string(there.st_size) + " bytes, which are no chunk of " +
                               std::to_string(tokens) + " tokens"};
}

// Among the files that set.json lists. Those that it looked at are taken out of `hashes`.
files::FileError FindListedGap(const std::string& folder, const std::string& set_json, SetHashes* hashes) {
  const nlohmann::json set = nlohmann::json::parse(set_json, nullptr, /*allow_exceptions=*/false);
  if (!set.is_object()) return {};
  const int64_t train = TokensOf(set, "chunk_blocks"), valid = TokensOf(set, "valid_chunk_blocks");
  const auto listed = set.find("files");
  if (train == 0 || valid == 0 || listed == set.end() || !listed->is_array()) return {};
  const bool hashed = !hashes->empty();
  for (const nlohmann::json& file : *listed) {
    if (!file.is_object() || !file.contains("name") || !file["name"].is_string()) return {};
    const auto& name = file["name"].get_ref<const std::string&>();
    if (auto gap = CheckSize(folder + "/" + name, name.starts_with("train_") ? train : valid)) return gap;
    if (hashed && hashes->erase(name) == 0)
      return {files::kDamaged, folder + "/" + kSetHashesFile + " has no hash of " + name};
  }
  return {};
}

}  // namespace

files::FileError FindSetGap(const std::string& folder) {
  auto hashes = ReadSetHashes(folder);
  if (!hashes.ok()) return hashes.error();
  const auto set_json = files::ReadFile(folder + "/" + kSetFile, kMaxSetBytes);
  if (!set_json.ok()) return hashes->empty() ? files::FileError() : set_json.error();
  if (auto gap = FindListedGap(folder, *set_json, &*hashes)) return gap;
  for (const auto& [name, hash] : *hashes) {
    const std::string path = folder + "/" + name;
    struct stat there {};
    if (stat(path.c_str(), &there) != 0) return files::SystemError(errno, "find", path);
  }
  return {};
}

}  // namespace sink::run
