// One experiment of a sweep file as it is written, checked but not yet expanded. Values only; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sweeps/expression.h"
#include "sweeps/settings.h"
#include "sweeps/yaml.h"

namespace sink::sweeps {

// One factor of the product: a key of `grid`, a group of `zip` whose keys advance together, or the draws of `random`.
struct Axis {
  std::string name;  // the key, the group's name, or "random"
  std::vector<FieldIndex> keys;
  std::vector<Settings> values;  // one a position; each has all `keys`
};

struct WhenRule {
  Expression condition;
  Settings set;
};

// A number that follows from the others.
struct DerivedField {
  FieldIndex field;
  Expression value;
  Location at;
};

struct IncludedPoint {
  std::string label;
  Settings set;
  Location at;
};

struct Experiment {
  std::string name;
  Location at;
  Settings set;
  std::vector<Axis> axes;  // grid, then zip, in file order, then random; the last is fastest
  std::vector<WhenRule> when;
  std::vector<DerivedField> derive;  // in order, after `when`
  std::vector<Expression> exclude;
  std::vector<IncludedPoint> include;
  nlohmann::json paper = nlohmann::json::object();
  Location paper_at;
};

// `node` is one entry of `experiments`. Errors: INVALID_ARGUMENT with the place.
absl::StatusOr<Experiment> ReadExperiment(const Node& node);

}  // namespace sink::sweeps
