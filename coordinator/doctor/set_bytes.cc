// See set_bytes.h.
#include "coordinator/doctor/set_bytes.h"

#include <fcntl.h>

#include <filesystem>
#include <system_error>

#include "proto/files/descriptor.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"

namespace sink::doctor {
namespace {

constexpr size_t kPieceBytes = 4 << 20;

// Whether somebody still waits; `error` and `hash` of the file as far as it could be read.
bool HashPieces(const std::string& path, const std::function<bool(uint64_t)>& go_on, files::FileError* error,
                std::string* hash) {
  const auto fd = files::Open(path, O_RDONLY);
  if (!fd.ok()) {
    *error = fd.error();
    return true;
  }
  files::Hasher hasher;
  std::string piece;
  uint64_t at = 0;
  do {
    *error = files::ReadAt(*fd, path, at, kPieceBytes, &piece);
    if (*error) return true;
    hasher.Update(piece);
    at += piece.size();
    if (!go_on(piece.size())) return false;
  } while (piece.size() == kPieceBytes);
  *hash = hasher.Digest();
  return true;
}

}  // namespace

uint64_t HashedBytes(const std::string& folder) {
  const auto hashes = run::ReadSetHashes(folder);
  if (!hashes.ok()) return 0;
  uint64_t bytes = 0;
  for (const auto& [name, hash] : *hashes) {
    std::error_code error;
    const uint64_t size = std::filesystem::file_size(folder + "/" + name, error);
    if (!error) bytes += size;
  }
  return bytes;
}

files::FileError FindOtherBytes(const std::string& folder, const std::function<bool(uint64_t read)>& go_on) {
  const auto hashes = run::ReadSetHashes(folder);
  if (!hashes.ok()) return hashes.error();
  for (const auto& [name, hash] : *hashes) {
    const std::string path = folder + "/" + name;
    files::FileError error;
    std::string here;
    if (!HashPieces(path, go_on, &error, &here)) return {};
    if (error) return error;
    if (here != hash) return run::OtherContent(path);
  }
  return {};
}

}  // namespace sink::doctor
