// See valid_utf8.h.
#include "worker/valid_utf8.h"

#include <nlohmann/json.hpp>

namespace sink::worker {

std::string ValidUtf8(std::string_view text) {
  const std::string quoted = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return nlohmann::json::parse(quoted).get<std::string>();
}

}  // namespace sink::worker
