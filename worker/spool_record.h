// How one event lies in a spool segment. Pure functions; any thread.
//
// A record is a 24-byte header and its line, all little-endian:
//   u32 size of the line | u32 low half of XXH3-64 over everything after this field | u64 sequence number | i64 Unix ms
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sink::worker {

inline constexpr size_t kSpoolHeaderBytes = 24;

struct SpoolRecord {
  uint64_t seq = 0;
  int64_t time_ms = 0;
  std::string line;
};

// The record's bytes on disk. The line is at most pipe::kMaxLineBytes.
std::string EncodeSpoolRecord(const SpoolRecord& record);

// The record that `bytes` starts with and its size on disk in `*size`; none when it is cut short or damaged. Never
// reads beyond `bytes`, whatever they are.
std::optional<SpoolRecord> DecodeSpoolRecord(std::string_view bytes, size_t* size);

}  // namespace sink::worker
