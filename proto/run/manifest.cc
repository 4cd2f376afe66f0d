#include "proto/run/manifest.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "proto/base/json_depth.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"
#include "proto/run/checkpoint_names.h"

namespace sink::run {
namespace {

namespace fs = std::filesystem;
using files::FileError;
using files::FileResult;
using Json = nlohmann::json;

constexpr int kMaxDepth = 8;  // a manifest nests 3 levels

FileError Damaged(const std::string& what) { return {files::kDamaged, what}; }

// Why a file may not be listed; "" if it may.
std::string FaultOf(const ManifestFile& file) {
  if (!IsCheckpointFileName(file.name) || file.name == kManifestName) {
    return "names a file outside the folder, or what is not a name of a checkpoint's file";
  }
  return file.xxh3.size() == files::kHashDigits ? "" : "lists a malformed hash";
}

}  // namespace

std::string PrintManifest(int64_t step, const std::vector<ManifestFile>& files) {
  Json list = Json::array();
  for (const ManifestFile& file : files) {
    list.push_back({{"name", file.name}, {"size", file.size}, {"xxh3", file.xxh3}});
  }
  return Json{{"step", step}, {"files", std::move(list)}}.dump(1) + "\n";
}

FileResult<Manifest> ParseManifest(const std::string& text, const std::string& where) {
  if (text.size() > kMaxManifestBytes || IsDeeperThan(kMaxDepth, text)) return Damaged(where + " is not a manifest");
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer() || !json.contains("files") ||
      !json["files"].is_array() || json["files"].size() > kMaxManifestFiles) {
    return Damaged(where + " is not a manifest");
  }
  Manifest manifest{.step = json["step"].get<int64_t>(), .files = {}, .hash = files::Hash(text)};
  for (const Json& entry : json["files"]) {
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string() || !entry.contains("size") ||
        !entry["size"].is_number_unsigned() || !entry.contains("xxh3") || !entry["xxh3"].is_string()) {
      return Damaged(where + " lists a malformed file");
    }
    ManifestFile file{entry["name"].get<std::string>(), entry["size"].get<uint64_t>(),
                      entry["xxh3"].get<std::string>()};
    if (const std::string fault = FaultOf(file); !fault.empty()) return Damaged(where + " " + fault);
    manifest.files.push_back(std::move(file));
  }
  manifest.files.push_back({kManifestName, text.size(), manifest.hash});
  return manifest;
}

FileResult<Manifest> WriteManifest(const std::string& folder, int64_t step) {
  std::vector<ManifestFile> listed;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string path = it->path().string();
    if (FileError failed = files::SyncFile(path)) return failed;
    const FileResult<files::FileDigest> digest = files::HashFile(path);
    if (!digest.ok()) return digest.error();
    listed.push_back({it->path().filename().string(), digest->size, digest->xxh3});
    if (!FaultOf(listed.back()).empty()) return Damaged(path + " cannot be a file of a checkpoint");
  }
  if (error) return files::SystemError(error.value(), "list", folder);
  if (listed.size() > kMaxManifestFiles) return Damaged(folder + " has too many files for a checkpoint");
  std::sort(listed.begin(), listed.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const std::string text = PrintManifest(step, listed);
  const std::string path = folder + "/" + kManifestName;
  if (FileError failed = files::WriteFile(path, text, /*sync=*/true)) return failed;
  return ParseManifest(text, path);
}

FileResult<Manifest> ReadManifest(const std::string& folder) {
  const std::string path = folder + "/" + kManifestName;
  const FileResult<std::string> text = files::ReadFile(path, kMaxManifestBytes);
  if (!text.ok()) return text.error();
  return ParseManifest(*text, path);
}

FileError VerifyCheckpoint(const std::string& folder, const Manifest& manifest) {
  for (const ManifestFile& file : manifest.files) {
    const std::string path = folder + "/" + file.name;
    const FileResult<files::Fd> fd = files::Open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fd.ok() && (fd.error().code() == ENOENT || fd.error().code() == ELOOP)) return Damaged(fd.error().message());
    if (!fd.ok()) return fd.error();
    const FileResult<uint64_t> size = files::SizeOf(*fd, path);
    if (!size.ok()) return Damaged(size.error().message());
    if (*size != file.size) {
      return Damaged(path + " has " + std::to_string(*size) + " bytes instead of " + std::to_string(file.size));
    }
    const FileResult<files::FileDigest> digest = files::HashFile(*fd, path);
    if (!digest.ok()) return digest.error();
    if (digest->xxh3 != file.xxh3) return Damaged(path + " does not match its hash in the manifest");
  }
  return {};
}

}  // namespace sink::run
