// The golden vectors of tests/golden: other people's models with the values their own code computed. Test helper.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace sink::testing {

inline std::filesystem::path GoldenVariants() {
  return std::filesystem::path(std::getenv("SINK_SOURCE_DIR")) / "tests/golden/variants";
}

// Every folder of them, in order: the settings of the study.
inline std::vector<std::string> GoldenNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenVariants()))
    if (entry.is_directory()) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace sink::testing
