#include "proto/files/hash.h"

#include <fcntl.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <new>

namespace sink::files {
namespace {

std::string Hex(XXH128_hash_t hash) {
  char text[kHashDigits + 1];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

XXH3_state_t* StateOf(void* state) { return static_cast<XXH3_state_t*>(state); }

FileResult<FileDigest> HashPieces(const Fd& fd, const std::string& path,
                                  const std::function<bool(uint64_t done)>& on_piece) {
  constexpr size_t kPieceBytes = 1 << 20;
  Hasher hasher;
  FileDigest digest;
  std::string piece;
  do {
    if (FileError error = ReadAt(fd, path, digest.size, kPieceBytes, &piece)) return error;
    hasher.Update(piece);
    digest.size += piece.size();
    if (!on_piece(digest.size)) return SystemError(ECANCELED, "read", path);
  } while (piece.size() == kPieceBytes);
  digest.xxh3 = hasher.Digest();
  return digest;
}

}  // namespace

std::string Hash(std::string_view bytes) { return Hex(XXH3_128bits(bytes.data(), bytes.size())); }

void Hasher::Free::operator()(void* state) const { XXH3_freeState(StateOf(state)); }

Hasher::Hasher() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(StateOf(state_.get()));
}

void Hasher::Update(std::string_view bytes) { XXH3_128bits_update(StateOf(state_.get()), bytes.data(), bytes.size()); }

std::string Hasher::Digest() const { return Hex(XXH3_128bits_digest(StateOf(state_.get()))); }

FileResult<FileDigest> HashFile(const std::string& path) {
  const FileResult<Fd> fd = Open(path, O_RDONLY);
  if (!fd.ok()) return fd.error();
  return HashFile(*fd, path);
}

FileResult<FileDigest> HashFile(const Fd& fd, const std::string& path) {
  return HashPieces(fd, path, [](uint64_t) { return true; });
}

FileResult<FileDigest> HashFileInPieces(const std::string& path, const std::function<bool(uint64_t done)>& on_piece) {
  const FileResult<Fd> fd = Open(path, O_RDONLY | O_NONBLOCK);  // a FIFO must not block
  if (!fd.ok()) return fd.error();
  return HashPieces(*fd, path, on_piece);
}

}  // namespace sink::files
