// A tar archive as bytes, file by file: what a browser saves a checkpoint as. Pure; any thread.
// Format: POSIX.1-1988 ustar; sizes of 8 GiB and more as GNU tar writes them, in base 256.
#pragma once

#include <cstdint>
#include <string>

namespace sink::web {

inline constexpr uint64_t kTarBlock = 512;

// The block before a file's content. `name`: at most 100 bytes.
std::string TarHeader(const std::string& name, uint64_t size, int64_t time_seconds);
// Zero bytes after a file's content.
inline uint64_t TarPadding(uint64_t size) { return (kTarBlock - size % kTarBlock) % kTarBlock; }
// After the last file.
inline std::string TarEnd() { return std::string(2 * kTarBlock, '\0'); }

}  // namespace sink::web
