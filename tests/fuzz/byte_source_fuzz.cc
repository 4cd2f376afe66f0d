// Any bytes as a file that may be compressed: read to its end or refused with a DataError, the same whether it is taken
// in small pieces or in large ones, and what was read to the end was the whole file.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/base/data_error.h"
#include "model/data/corpus/byte_source.h"

namespace {

using namespace sink::data;

constexpr size_t kEnough = 1 << 20;  // of what little input may become

// The text of a file that can be read to its end and is not too long.
std::optional<std::string> Read(const std::string& path, std::string_view bytes, size_t piece) {
  try {
    const std::unique_ptr<ByteSource> source = OpenByteSource(path);
    std::string text, buffer(piece, '\0');
    while (text.size() < kEnough) {
      const size_t n = source->Read(buffer.data(), buffer.size());
      text.append(buffer, 0, n);
      if (n > 0) continue;
      if (source->digest() != sink::files::FileDigest{bytes.size(), sink::files::Hash(bytes)}) std::abort();
      return text;
    }
  } catch (const DataError&) {
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = ::memfd_create("fuzz", MFD_CLOEXEC);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
  const std::string path = "/dev/fd/" + std::to_string(file);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (Read(path, bytes, 1 << 16) != Read(path, bytes, 1 + size % 97)) std::abort();
  return 0;
}
