// XXH3-128, by which checkpoints, manifests and configurations are known: 32 lower-case hex digits, the upper half
// first. Stateless but for a Hasher, which belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proto/files/descriptor.h"
#include "proto/files/file_error.h"

namespace sink::files {

inline constexpr size_t kHashDigits = 32;

std::string Hash(std::string_view bytes);

// The hash of what comes in pieces.
class Hasher {
 public:
  Hasher();
  void Update(std::string_view bytes);
  std::string Digest() const;

 private:
  struct Free {
    void operator()(void* state) const;
  };
  std::unique_ptr<void, Free> state_;  // xxhash's
};

// Of a whole file: its hash and the size it was taken over.
struct FileDigest {
  uint64_t size = 0;
  std::string xxh3;

  bool operator==(const FileDigest&) const = default;
};
FileResult<FileDigest> HashFile(const std::string& path);
FileResult<FileDigest> HashFile(const Fd& fd, const std::string& path);
// The same for a file whose reading may take long. `on_piece` hears after every piece, of at most 1 MiB, how many bytes
// of the file are read by now, and returns whether to go on; ECANCELED when not. A FIFO is an error at once: nobody
// need write to it.
FileResult<FileDigest> HashFileInPieces(const std::string& path, const std::function<bool(uint64_t done)>& on_piece);

}  // namespace sink::files
