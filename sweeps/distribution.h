// What `random` draws a key's values from: {uniform: [a, b]}, {log_uniform: [a, b]} or {choice: [...]}. A draw is a
// function of the seed, the key and its number alone, on every machine: another key or another n changes none of them.
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/status/statusor.h"
#include "sweeps/settings.h"
#include "sweeps/yaml.h"

namespace sink::sweeps {

class Distribution {
 public:
  // Errors: INVALID_ARGUMENT with the place. The bounds and choices are checked as values of the field.
  static absl::StatusOr<Distribution> Read(FieldIndex field, const Node& node);

  // Whole numbers for a whole-number field, both ends included; other numbers have four significant digits, so that a
  // label can name them.
  nlohmann::json Draw(uint64_t seed, uint64_t number) const;

 private:
  enum class Kind { kUniform, kLogUniform, kChoice };

  FieldIndex field_ = 0;
  Kind kind_ = Kind::kChoice;
  double low_ = 0, high_ = 0;
  std::vector<nlohmann::json> choices_;
};

}  // namespace sink::sweeps
