// See tar.h.
#include "coordinator/web/tar.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"

namespace sink::web {
namespace {

struct Field {
  size_t offset, width;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUser{108, 8}, kGroup{116, 8}, kSize{124, 12}, kTime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kMagic{257, 8};

void Put(std::string* block, Field field, const std::string& text) {
  block->replace(field.offset, std::min(text.size(), field.width), text, 0, field.width);
}

std::string Octal(uint64_t value, Field field) {
  return absl::StrFormat("%0*o", static_cast<int>(field.width - 1), value) + '\0';
}

std::string Base256(uint64_t value, Field field) {
  std::string bytes(field.width, '\0');
  for (size_t i = 0; i < sizeof value; ++i) bytes[field.width - 1 - i] = static_cast<char>(value >> (8 * i));
  bytes[0] = '\x80';
  return bytes;
}

}  // namespace

std::string TarHeader(const std::string& name, uint64_t size, int64_t time_seconds) {
  std::string block(kTarBlock, '\0');
  Put(&block, kName, name);
  Put(&block, kMode, Octal(0644, kMode));
  Put(&block, kUser, Octal(0, kUser));
  Put(&block, kGroup, Octal(0, kGroup));
  Put(&block, kSize, size >> 33 == 0 ? Octal(size, kSize) : Base256(size, kSize));
  Put(&block, kTime, Octal(static_cast<uint64_t>(std::max<int64_t>(time_seconds, 0)), kTime));
  Put(&block, kType, "0");
  Put(&block, kMagic, std::string("ustar\00000", 8));
  Put(&block, kChecksum, std::string(kChecksum.width, ' '));
  uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  Put(&block, kChecksum, absl::StrFormat("%06o", sum) + '\0' + ' ');
  return block;
}

}  // namespace sink::web
