#include "sweeps/distribution.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sink::sweeps {
namespace {

using nlohmann::json;

// SplitMix64's output function (Steele, Lea and Flood, 2014).
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Uniform in [0, 1).
double Uniform(uint64_t seed, const std::string& key, uint64_t number) {
  uint64_t x = Mix(seed);
  for (const char c : key) x = Mix(x ^ static_cast<unsigned char>(c));
  return static_cast<double>(Mix(x ^ number) >> 11) * 0x1p-53;
}

constexpr char kForms[] = "{uniform: [a, b]}, {log_uniform: [a, b]} or {choice: [a, b, ...]}";

}  // namespace

absl::StatusOr<Distribution> Distribution::Read(FieldIndex field, const Node& node) {
  if (!node.IsMap() || node.items.size() != 1)
    return ErrorAt(node.at, absl::StrCat("what ", node.key, " is drawn from must be ", kForms));
  const Node& list = node.items[0];
  Distribution distribution;
  distribution.field_ = field;
  if (list.key == "uniform") {
    distribution.kind_ = Kind::kUniform;
  } else if (list.key == "log_uniform") {
    distribution.kind_ = Kind::kLogUniform;
  } else if (list.key != "choice") {
    return ErrorAt(list.key_at, absl::StrCat("unknown distribution ", Quoted(list.key), "; it must be ", kForms));
  }
  if (!list.IsList() || list.items.empty())
    return ErrorAt(list.at, absl::StrCat(Quoted(list.key), " must be a list with something in it"));
  for (const Node& item : list.items) {
    absl::StatusOr<Setting> value = ReadSetting(field, item);
    if (!value.ok()) return value.status();
    distribution.choices_.push_back(std::move(value->value));
  }
  if (distribution.kind_ == Kind::kChoice) return distribution;
  const FieldType type = FieldAt(field).type;
  if (type != FieldType::kInteger && type != FieldType::kNumber)
    return ErrorAt(list.key_at, absl::StrCat(FieldAt(field).path, " is not a number; draw it by \"choice\""));
  if (list.items.size() != 2)
    return ErrorAt(list.at, absl::StrCat(Quoted(list.key), " takes two numbers: the least and the largest"));
  if (!distribution.choices_[0].is_number() || !distribution.choices_[1].is_number())
    return ErrorAt(list.at, "both must be numbers");
  distribution.low_ = distribution.choices_[0].get<double>();
  distribution.high_ = distribution.choices_[1].get<double>();
  if (!(distribution.low_ < distribution.high_)) return ErrorAt(list.at, "the first number must be below the second");
  if (distribution.kind_ == Kind::kLogUniform && distribution.low_ <= 0)
    return ErrorAt(list.at, "log_uniform needs numbers above 0");
  return distribution;
}

json Distribution::Draw(uint64_t seed, uint64_t number) const {
  const double u = Uniform(seed, FieldAt(field_).path, number);
  if (kind_ == Kind::kChoice) return choices_[static_cast<size_t>(u * static_cast<double>(choices_.size()))];
  const bool whole = FieldAt(field_).type == FieldType::kInteger;
  const double high = whole ? high_ + 1 : high_;
  double x = kind_ == Kind::kUniform ? low_ + u * (high - low_) : low_ * std::pow(high / low_, u);
  if (whole) return json(static_cast<int64_t>(std::clamp(std::floor(x), low_, high_)));
  if (!absl::SimpleAtod(absl::StrFormat("%.4g", x), &x)) return json(x);
  return json(std::clamp(x, low_, high_));
}

}  // namespace sink::sweeps
