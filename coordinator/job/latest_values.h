// The newest value of each metric of a job, kept as the text that the store holds ("name value" lines, sorted by name),
// so that listing 100,000 jobs decodes none of them. A value; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace sink {

class LatestValues {
 public:
  LatestValues() = default;
  // `text` as text() gave it.
  static LatestValues FromText(std::string text);
  static LatestValues FromMap(const std::map<std::string, double>& values);

  // NaN and infinities survive the round trip. Lines that are not "name value" are skipped.
  std::map<std::string, double> ToMap() const;
  const std::string& text() const { return text_; }
  bool operator==(const LatestValues&) const = default;

 private:
  std::string text_;
};

// What a metric may be called: 1 to 128 printable ASCII characters without spaces.
bool IsMetricName(std::string_view name);

}  // namespace sink
