// The text form of LatestValues: shortest decimal digits that read back as the same double.
#include "coordinator/job/latest_values.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sink {

LatestValues LatestValues::FromText(std::string text) {
  LatestValues values;
  values.text_ = std::move(text);
  return values;
}

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
  std::string_view rest = text_;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    double value;
    const char* const last = line.data() + line.size();
    const std::from_chars_result parsed = std::from_chars(line.data() + space + 1, last, value);
    if (parsed.ec == std::errc() && parsed.ptr == last) values.emplace(line.substr(0, space), value);
  }
  return values;
}

bool IsMetricName(std::string_view name) {
  return !name.empty() && name.size() <= 128 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace sink
