// Pieces of JSON as text, for what is rendered often. Pure; any thread.
#pragma once

#include <google/protobuf/message.h>

#include <cmath>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace sink::web {

// In quotes, on one line; bytes that are not UTF-8 become '?'.
std::string Quoted(std::string_view text);

// Six digits; null for what JSON cannot say.
inline void AppendNumber(double value, std::string* out) {
  if (std::isfinite(value)) {
    absl::StrAppend(out, value);
  } else {
    *out += "null";
  }
}

// The message as protobuf's JSON, with the names of its fields and without those that have their default.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace sink::web
