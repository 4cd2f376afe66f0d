#include "proto/config/names.h"

namespace sink {

bool IsPlainName(std::string_view text) {
  if (text.empty() || text.size() > 64 || text[0] == '.' || text[0] == '-') return false;
  return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
         std::string_view::npos;
}

bool IsHubName(std::string_view text) {
  const size_t slash = text.find('/');
  return IsPlainName(text.substr(0, slash)) && (slash == std::string_view::npos || IsPlainName(text.substr(slash + 1)));
}

}  // namespace sink
