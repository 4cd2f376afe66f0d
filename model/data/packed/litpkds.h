// TinyLlama's packed token files (LITPKDS), byte for byte. All integers little-endian:
//   7 bytes  magic "LITPKDS"
//   u64      version, 1
//   u8       type of a token: 8 = uint16, 4 = int32
//   u64      tokens in the file (a chunk: whole blocks of context + 1 tokens)
//   then the tokens. Header 24 bytes, nothing after the last token.
// A PackedFile is immutable after construction and may be read by any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace sink::data {

enum class TokenType : uint8_t { kInt32 = 4, kUint16 = 8 };

inline constexpr size_t kPackedHeaderBytes = 24;
inline constexpr int64_t kMaxPackedTokens = int64_t{1} << 32;  // of one file; TinyLlama's have 524,544

struct PackedHeader {
  TokenType type = TokenType::kUint16;
  int64_t tokens = 0;

  size_t token_bytes() const { return type == TokenType::kUint16 ? 2 : 4; }
};

// uint16 where every id fits (TinyLlama's rule: vocabularies below 65,500), else int32.
TokenType TokenTypeFor(int64_t vocab_size);

std::string EncodePackedHeader(const PackedHeader& header);

// Checks a file's first bytes against its size. Errors begin with name: MachineError on a wrong magic and on a size
// that the header does not explain, as a copy has that was cut short; DataError on a wrong version, type or chunk.
PackedHeader ParsePackedHeader(std::string_view bytes, uint64_t file_bytes, const std::string& name);

// Writes one file durably (temporary file, sync, rename). Ids must fit the type. The hash of its bytes
// (proto/files/hash.h); DataError when the disk refuses.
std::string WritePackedFile(const std::filesystem::path& path, TokenType type, std::span<const int32_t> tokens);

// A file mapped read-only.
class PackedFile {
 public:
  // MachineError when the file is missing, cut short or could not be read; DataError when it is none that is known.
  explicit PackedFile(const std::filesystem::path& path);
  ~PackedFile();
  PackedFile(PackedFile&& other) noexcept;
  PackedFile& operator=(PackedFile&&) = delete;

  const std::string& path() const { return path_; }
  const PackedHeader& header() const { return header_; }

  // Copies tokens [offset, offset + out.size()), which must lie inside the file. Ids are not checked.
  void Read(int64_t offset, std::span<int32_t> out) const;

 private:
  std::string path_;
  PackedHeader header_;
  const char* mapping_ = nullptr;  // header and tokens
  size_t mapping_bytes_ = 0;
};

}  // namespace sink::data
