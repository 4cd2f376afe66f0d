// See litpkds.h.
#include "model/data/packed/litpkds.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "model/base/data_error.h"
#include "model/base/or_throw.h"
#include "model/data/packed/reading.h"
#include "proto/files/files.h"
#include "proto/files/hash.h"

namespace sink::data {
namespace {

static_assert(std::endian::native == std::endian::little, "packed files are little-endian and copied as they are");

constexpr std::string_view kMagic = "LITPKDS";
constexpr uint64_t kVersion = 1;
constexpr char kFix[] = "; copy the set anew, or re-run sink-data pack";

template <typename T>
void Append(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T Load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

TokenType TokenTypeFor(int64_t vocab_size) { return vocab_size < 65500 ? TokenType::kUint16 : TokenType::kInt32; }

std::string EncodePackedHeader(const PackedHeader& header) {
  std::string bytes(kMagic);
  Append(&bytes, kVersion);
  Append(&bytes, static_cast<uint8_t>(header.type));
  Append(&bytes, static_cast<uint64_t>(header.tokens));
  return bytes;
}

PackedHeader ParsePackedHeader(std::string_view bytes, uint64_t file_bytes, const std::string& name) {
  if (bytes.size() < kPackedHeaderBytes) {
    throw MachineError(name + ": only " + std::to_string(file_bytes) + " bytes, no LITPKDS header" + kFix);
  }
  if (bytes.substr(0, kMagic.size()) != kMagic) throw MachineError(name + ": not a LITPKDS file (wrong magic)" + kFix);
  const auto version = Load<uint64_t>(bytes.data() + 7);
  if (version != kVersion) {
    throw DataError(name + ": LITPKDS version " + std::to_string(version) + ", only 1 is known" + kFix);
  }
  const auto type = Load<uint8_t>(bytes.data() + 15);
  if (type != static_cast<uint8_t>(TokenType::kInt32) && type != static_cast<uint8_t>(TokenType::kUint16)) {
    throw DataError(name + ": token type " + std::to_string(type) + ", only 8 (uint16) and 4 (int32) are known" + kFix);
  }
  const auto tokens = Load<uint64_t>(bytes.data() + 16);
  PackedHeader header = {.type = static_cast<TokenType>(type)};
  if (tokens == 0 || tokens > static_cast<uint64_t>(kMaxPackedTokens)) {
    throw DataError(name + ": a chunk of " + std::to_string(tokens) + " tokens is not plausible" + kFix);
  }
  header.tokens = static_cast<int64_t>(tokens);
  const uint64_t expected = kPackedHeaderBytes + tokens * header.token_bytes();
  if (file_bytes != expected) {
    throw MachineError(name + ": " + (file_bytes < expected ? "truncated" : "too long") + ", " +
                       std::to_string(file_bytes) + " bytes where its header announces " + std::to_string(expected) +
                       kFix);
  }
  return header;
}

std::string WritePackedFile(const std::filesystem::path& path, TokenType type, std::span<const int32_t> tokens) {
  const PackedHeader header = {.type = type, .tokens = static_cast<int64_t>(tokens.size())};
  std::string bytes = EncodePackedHeader(header);
  bytes.reserve(bytes.size() + tokens.size() * header.token_bytes());
  for (const int32_t token : tokens) {
    if (type == TokenType::kUint16) {
      assert(token >= 0 && token <= UINT16_MAX);
      Append(&bytes, static_cast<uint16_t>(token));
    } else {
      Append(&bytes, token);
    }
  }
  OrThrow<DataError>(files::ReplaceFile(path, bytes));
  return files::Hash(bytes);
}

PackedFile::PackedFile(const std::filesystem::path& path) : path_(path.string()) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe must not block
  if (fd < 0) ThrowReading(errno, path_ + ": cannot open: " + std::strerror(errno), kFix);
  struct stat status = {};
  char start[kPackedHeaderBytes];
  void* mapping = MAP_FAILED;
  try {
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) throw DataError(path_ + ": not a regular file" + kFix);
    const ssize_t n = ::pread(fd, start, sizeof start, 0);
    if (n < 0) throw MachineError(path_ + ": cannot read: " + std::strerror(errno));
    header_ = ParsePackedHeader(std::string_view(start, n), status.st_size, path_);
    mapping = ::mmap(nullptr, status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED) throw MachineError(path_ + ": cannot map: " + std::strerror(errno));
  } catch (...) {
    ::close(fd);
    throw;
  }
  ::close(fd);
  mapping_ = static_cast<const char*>(mapping);
  mapping_bytes_ = status.st_size;
}

PackedFile::PackedFile(PackedFile&& other) noexcept
    : path_(std::move(other.path_)),
      header_(other.header_),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapping_bytes_(other.mapping_bytes_) {}

PackedFile::~PackedFile() {
  if (mapping_ != nullptr) ::munmap(const_cast<char*>(mapping_), mapping_bytes_);
}

void PackedFile::Read(int64_t offset, std::span<int32_t> out) const {
  assert(offset >= 0 && offset + static_cast<int64_t>(out.size()) <= header_.tokens);
  const char* source = mapping_ + kPackedHeaderBytes + offset * header_.token_bytes();
  if (header_.type == TokenType::kInt32) {
    std::memcpy(out.data(), source, out.size_bytes());
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] = Load<uint16_t>(source + 2 * i);
}

}  // namespace sink::data
