// Text as it was before compression: gzip and zstd are known by a file's first bytes, whatever its name is; anything
// else is read as it is, but for other compressions, which are named and refused. A ByteSource belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "proto/files/hash.h"

namespace sink::data {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills up to `size` bytes; 0 at the end. gzip members and zstd frames (skippable ones, too) that follow each other
  // are read as one text. DataError naming the file and the byte on data that is damaged or cut off, and on bytes
  // between or after members that belong to none (zeros after a gzip member are padding, as gzip has it).
  virtual size_t Read(char* out, size_t size) = 0;
  virtual uint64_t consumed() const = 0;         // bytes of the file so far, for progress
  virtual files::FileDigest digest() const = 0;  // of the file as it lies there; only at the end
};

// Of a file, a pipe or, for "-", standard input. DataError when it cannot be opened.
std::unique_ptr<ByteSource> OpenByteSource(const std::filesystem::path& path);

}  // namespace sink::data
