// YAML text as a small tree in which every value knows its place. Reads the strict subset that sweep files use: one
// document; no anchors, aliases, tags or tabs; no duplicate keys; valid UTF-8. Built from parser events, so that
// hostile text is refused before anything is expanded. Values only; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sweeps/diagnostics.h"

namespace sink::sweeps {

constexpr size_t kMaxFileBytes = 256 * 1024;
constexpr int kMaxDepth = 32;
constexpr int kMaxNodes = 10'000;

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Location at;
  std::string text;         // a scalar's
  bool plain = false;       // a scalar without quotes: may be a number
  std::vector<Node> items;  // a list's or a map's, in file order
  std::string key;          // within a map
  Location key_at;

  bool IsNull() const { return kind == Kind::kNull; }
  bool IsScalar() const { return kind == Kind::kScalar; }
  bool IsList() const { return kind == Kind::kList; }
  bool IsMap() const { return kind == Kind::kMap; }
};

// Errors: INVALID_ARGUMENT with the place. `file` names the text in locations.
absl::StatusOr<Node> ReadYaml(const std::string& file, const std::string& text);

// "a list", "a map", ... for messages.
const char* KindName(const Node& node);

}  // namespace sink::sweeps
