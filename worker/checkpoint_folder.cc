// See checkpoint_folder.h.
#include "worker/checkpoint_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "worker/file_util.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxManifestBytes = 1 << 20;
constexpr size_t kMaxFiles = 1000;
constexpr char kManifestName[] = "manifest.json";

std::string Hex(XXH128_hash_t hash) { return absl::StrFormat("%016x%016x", hash.high64, hash.low64); }

bool ReadManifestFile(const nlohmann::json& json, ManifestFile* file) {
  if (!json.is_object() || !json.contains("name") || !json.contains("size") || !json.contains("xxh3")) return false;
  if (!json["name"].is_string() || !json["size"].is_number_unsigned() || !json["xxh3"].is_string()) return false;
  *file = {json["name"].get<std::string>(), json["size"].get<uint64_t>(), json["xxh3"].get<std::string>()};
  return IsSafeFileName(file->name) && file->name != kManifestName && file->xxh3.size() == 32;
}

}  // namespace

std::string CheckpointFolderName(int64_t step) { return absl::StrFormat("step-%09d", step); }

bool IsSafeFileName(std::string_view name) {
  auto safe = [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_' || c == '-'; };
  return !name.empty() && name.size() <= 255 && name[0] != '.' && std::all_of(name.begin(), name.end(), safe);
}

absl::StatusOr<Manifest> ReadManifest(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kManifestName);
  auto text = ReadFile(path, kMaxManifestBytes);
  if (!text.ok()) return text.status();
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer() || !json.contains("files") ||
      !json["files"].is_array() || json["files"].size() > kMaxFiles) {
    return absl::DataLossError(absl::StrCat(path, " is not a manifest"));
  }
  Manifest manifest{
      .step = json["step"].get<int64_t>(), .files = {}, .hash = Hex(XXH3_128bits(text->data(), text->size()))};
  for (const auto& entry : json["files"]) {
    ManifestFile file;
    if (!ReadManifestFile(entry, &file)) return absl::DataLossError(absl::StrCat(path, " lists a malformed file"));
    manifest.files.push_back(std::move(file));
  }
  manifest.files.push_back({kManifestName, text->size(), manifest.hash});
  return manifest;
}

absl::StatusOr<std::string> HashFile(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return ErrnoStatus(absl::StrCat("open ", path), errno);
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::string buffer(1 << 20, '\0');
  while (true) {
    const ssize_t n = read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(absl::StrCat("read ", path), errno);
    if (n == 0) return Hex(XXH3_128bits_digest(state.get()));
    XXH3_128bits_update(state.get(), buffer.data(), n);
  }
}

absl::Status VerifyCheckpoint(const std::string& folder, const Manifest& manifest) {
  for (const ManifestFile& file : manifest.files) {
    const std::string path = absl::StrCat(folder, "/", file.name);
    std::error_code error;
    const uint64_t size = fs::file_size(path, error);
    if (error) return absl::DataLossError(absl::StrCat(path, ": ", error.message()));
    if (size != file.size) {
      return absl::DataLossError(absl::StrCat(path, " has ", size, " bytes, its manifest says ", file.size));
    }
    auto hash = HashFile(path);
    if (!hash.ok()) return hash.status();
    if (*hash != file.xxh3) return absl::DataLossError(absl::StrCat(path, " differs from its hash in the manifest"));
  }
  return absl::OkStatus();
}

absl::Status LinkCheckpoint(const std::string& from, const std::string& to, const Manifest& manifest) {
  const std::string temporary = absl::StrCat(to, ".tmp");
  std::error_code error;
  fs::remove_all(temporary, error);
  if (auto status = MakeFolders(temporary); !status.ok()) return status;
  for (const ManifestFile& file : manifest.files) {
    const fs::path source = fs::path(from) / file.name, target = fs::path(temporary) / file.name;
    fs::create_hard_link(source, target, error);
    if (error) fs::copy_file(source, target, error);
    if (error) return ErrnoStatus(absl::StrCat("copy ", source.string()), error.value());
  }
  fs::remove_all(to, error);
  if (rename(temporary.c_str(), to.c_str()) != 0) return ErrnoStatus(absl::StrCat("rename to ", to), errno);
  return absl::OkStatus();
}

}  // namespace sink::worker
