// See spool_record.h.
#include "worker/spool_record.h"

#include <xxhash.h>

#include <bit>
#include <cstring>

#include "proto/pipe/events.h"

namespace sink::worker {

static_assert(std::endian::native == std::endian::little, "the spool's integers are written as they lie in memory");

namespace {

constexpr size_t kChecksumStart = 8;  // size and checksum come before it

template <typename T>
void Put(std::string* out, size_t offset, T value) {
  std::memcpy(out->data() + offset, &value, sizeof value);
}

template <typename T>
T Get(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

uint32_t Checksum(std::string_view record) {
  return static_cast<uint32_t>(XXH3_64bits(record.data() + kChecksumStart, record.size() - kChecksumStart));
}

}  // namespace

std::string EncodeSpoolRecord(const SpoolRecord& record) {
  std::string out(kSpoolHeaderBytes, '\0');
  Put(&out, 0, static_cast<uint32_t>(record.line.size()));
  Put(&out, 8, record.seq);
  Put(&out, 16, record.time_ms);
  out += record.line;
  Put(&out, 4, Checksum(out));
  return out;
}

std::optional<SpoolRecord> DecodeSpoolRecord(std::string_view bytes, size_t* size) {
  if (bytes.size() < kSpoolHeaderBytes) return std::nullopt;
  const size_t line_bytes = Get<uint32_t>(bytes, 0);
  if (line_bytes > pipe::kMaxLineBytes || bytes.size() - kSpoolHeaderBytes < line_bytes) return std::nullopt;
  bytes = bytes.substr(0, kSpoolHeaderBytes + line_bytes);
  if (Get<uint32_t>(bytes, 4) != Checksum(bytes)) return std::nullopt;
  *size = bytes.size();
  return SpoolRecord{Get<uint64_t>(bytes, 8), Get<int64_t>(bytes, 16), std::string(bytes.substr(kSpoolHeaderBytes))};
}

}  // namespace sink::worker
