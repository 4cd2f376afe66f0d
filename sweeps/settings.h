// The settable fields of a job as a sweep file names them, and the values that a file gives them. Every value is
// checked here against JobConfigFields() (type, bounds, choices), at the place where it is written. Values only; any
// thread.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/config/job_config.h"
#include "sweeps/diagnostics.h"
#include "sweeps/yaml.h"

namespace sink::sweeps {

using FieldIndex = int;  // into JobConfigFields()

// One value a field, by FieldIndex: a job on its way to a JobConfig.
using Values = std::vector<nlohmann::json>;

struct Setting {
  nlohmann::json value;
  Location at;
};
using Settings = std::map<FieldIndex, Setting>;

const FieldInfo& FieldAt(FieldIndex field);

// The field with this dotted path; an unknown one is an error with the nearest name.
absl::StatusOr<FieldIndex> FindField(absl::string_view path, const Location& place);

// Checks `node` against the field. Integers are digits only: 4e-4 for a count is an error, as are quoted numbers.
absl::StatusOr<Setting> ReadSetting(FieldIndex field, const Node& node);

// {train.learning_rate: 1e-3, ...}: dotted paths, as in `set`, `grid` and `include`. Later settings replace.
absl::Status ReadDottedSettings(const Node& map, Settings* settings);

// One top-level section, such as `train: {learning_rate: 1e-3}`. Later settings replace.
absl::Status ReadSection(const Node& section, Settings* settings);

// The names that may open a section: "model", "train", ...
const std::vector<std::string>& SectionNames();

// What JobConfig{} has.
Values DefaultValues();
void Apply(const Settings& settings, Values* values);

// "train.learning_rate=0.001"
std::string PrintValue(FieldIndex field, const nlohmann::json& value);

// The whole configuration, checked as one. `path` and `error` are as ParseJobConfig's.
JobConfigResult MakeJobConfig(const Values& values);

// A whole number of a sweep file's own keys (`replicas`, `limits.max_jobs`, ...).
absl::StatusOr<int> ReadInt(const Node& node, int min, int max);
// A published value: any number, or null where none is published.
absl::StatusOr<nlohmann::json> ReadPublishedNumber(const Node& node);
absl::Status ExpectMap(const Node& node, absl::string_view what);

}  // namespace sink::sweeps
