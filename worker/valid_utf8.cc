// See valid_utf8.h.
#include "worker/valid_utf8.h"

#include <nlohmann/json.hpp>

namespace sink::worker {

std::string ValidUtf8(std::string_view text) {
  const std::string quoted = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(quoted).get<std::string>();
}

std::string LogText(std::string_view text) {
  const std::string valid = ValidUtf8(text);
  std::string line;
  for (size_t i = 0; i < valid.size(); ++i) {
    const unsigned char byte = valid[i], next = i + 1 < valid.size() ? valid[i + 1] : 0;
    const bool c1 = byte == 0xC2 && next < 0xA0;  // U+0080 to U+009F
    i += c1 ? 1 : 0;
    line += c1 || byte < 0x20 || byte == 0x7F ? ' ' : valid[i];
  }
  return line;
}

}  // namespace sink::worker
