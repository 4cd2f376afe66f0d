// Fuzzes the look at a database's log: it never reads beyond its input, what it counts is there, and a log that it
// calls clean is no damage when it is cut short. Inputs rarely have a right checksum, so their header gets one.
#include <cstdlib>
#include <string>
#include <string_view>

#include "coordinator/store/wal_check.h"

namespace {

using sink::store::LogState;

LogState Walk(std::string_view log) {
  const auto state = sink::store::WalkLog(log.size(), [log](uint64_t offset, size_t size, std::string* bytes) {
    if (offset > log.size() || size > log.size() - offset) std::abort();
    bytes->assign(log.substr(offset, size));
    return absl::OkStatus();
  });
  if (!state.ok() || state->committed > state->frames || state->bad > state->frames) std::abort();
  return *state;
}

void PutBig32(uint32_t value, char* to) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<char>(value >> (24 - 8 * i));
}

// A header whose sums are of big-endian words, over pages of 512 bytes.
std::string WithHeader(std::string log) {
  if (log.size() < 32) return log;
  PutBig32(0x377f0683, &log[0]);
  PutBig32(3007000, &log[4]);
  PutBig32(512, &log[8]);
  uint32_t a = 0, b = 0;
  for (int at = 0; at < 24; at += 8) {
    uint32_t words[2] = {};
    for (int i = 0; i < 8; ++i) words[i / 4] = words[i / 4] << 8 | static_cast<unsigned char>(log[at + i]);
    a += words[0] + b;
    b += words[1] + a;
  }
  PutBig32(a, &log[24]);
  PutBig32(b, &log[28]);
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Walk(input);
  const std::string log = WithHeader(std::string(input));
  const LogState state = Walk(log);
  if (state.damaged && state.bad == 0 && size >= 32) std::abort();
  if (!state.damaged && size > 0) {
    const LogState cut = Walk(std::string_view(log).substr(0, data[0] * size / 256));
    if (cut.damaged || cut.committed > state.committed) std::abort();
  }
  return 0;
}
