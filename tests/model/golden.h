// The golden vectors of tests/golden: other people's models with the values their own code computed. Test helper.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace sink::testing {

inline std::filesystem::path GoldenVariants() {
  return std::filesystem::path(std::getenv("SINK_SOURCE_DIR")) / "tests/golden/variants";
}

}  // namespace sink::testing
