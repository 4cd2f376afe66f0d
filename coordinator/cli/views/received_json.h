// JSON in a message of the coordinator. Whoever prints or copies a value goes down its levels on the stack, so one that
// nests deeper than anything we mean is taken for none. Pure; any thread.
#pragma once

#include <string>

#include "coordinator/cli/print/printer.h"
#include "proto/base/json_depth.h"

namespace sink::cli {

inline constexpr int kMostLevels = 64;

// Null when the text is no JSON, or nested too deeply.
inline Json ReceivedJson(const std::string& text) {
  if (IsDeeperThan(kMostLevels, text)) return nullptr;
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? Json(nullptr) : value;
}

}  // namespace sink::cli
