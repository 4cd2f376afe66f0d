// The text form of LatestValues: shortest decimal digits that read back as the same double.
#include "coordinator/job/latest_values.h"

#include <algorithm>
#include <charconv>

namespace sink {

LatestValues LatestValues::FromMap(const std::map<std::string, double>& values) {
  LatestValues latest;
  char digits[40];
  for (const auto& [name, value] : values) {
    const std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), value);
    latest.text_.append(name).append(1, ' ').append(digits, end.ptr).append(1, '\n');
  }
  return latest;
}

std::map<std::string, double> LatestValues::ToMap() const {
  std::map<std::string, double> values;
  Visit([&values](std::string_view name, double value) { values.emplace(name, value); });
  return values;
}

bool LatestValues::NextValue(std::string_view* rest, std::string_view* name, double* value) {
  const std::string_view line = rest->substr(0, rest->find('\n'));
  rest->remove_prefix(std::min(line.size() + 1, rest->size()));
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return false;
  *name = line.substr(0, space);
  const char* const last = line.data() + line.size();
  const std::from_chars_result parsed = std::from_chars(line.data() + space + 1, last, *value);
  return parsed.ec == std::errc() && parsed.ptr == last;
}

bool IsMetricName(std::string_view name) {
  return !name.empty() && name.size() <= 128 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace sink
