// Fuzzes the reader of the worker's spool: it never reads beyond its input, and what it accepts is exactly what the
// writer makes of the record.
#include <cstdlib>

#include "worker/spool_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  size_t used = 0;
  while (auto record = sink::worker::DecodeSpoolRecord(rest, &used)) {
    if (sink::worker::EncodeSpoolRecord(*record) != rest.substr(0, used)) std::abort();
    rest.remove_prefix(used);
  }
  // Inputs rarely carry a right checksum, so give them one: as a line, whole, cut short and with one bit changed.
  if (size > 4096) return 0;
  const std::string line(reinterpret_cast<const char*>(data), size);
  std::string bytes = sink::worker::EncodeSpoolRecord({size, -1, line});
  auto whole = sink::worker::DecodeSpoolRecord(bytes, &used);
  if (!whole || whole->line != line || used != bytes.size()) std::abort();
  const size_t at = size == 0 ? 0 : (data[0] * 31 + size) % bytes.size();
  if (sink::worker::DecodeSpoolRecord(std::string_view(bytes).substr(0, at), &used)) std::abort();
  bytes[at] ^= 1 << (size % 8);
  if (sink::worker::DecodeSpoolRecord(bytes, &used)) std::abort();
  return 0;
}
