// Sweep files for tests: from memory, or from a folder of the source tree. Single-threaded.
#pragma once

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "sweeps/expand.h"

namespace sink::testing {

inline std::string SourceDir() {
  const char* folder = std::getenv("SINK_SOURCE_DIR");  // set by CTest
  return folder ? folder : ".";
}

inline FileReader ReadFrom(const std::string& folder) {
  return [folder](const std::string& path) -> absl::StatusOr<std::string> {
    std::ifstream file(folder + "/" + path, std::ios::binary);
    if (!file) return absl::NotFoundError(absl::StrCat("no file ", path));
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  };
}

inline FileReader ReadFrom(std::map<std::string, std::string> files) {
  return [files = std::move(files)](const std::string& path) -> absl::StatusOr<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return absl::NotFoundError(absl::StrCat("no file ", path));
    return found->second;
  };
}

// Expands one file, `body` under a header, with small batches so that tests may sweep them.
inline absl::StatusOr<ExpandedSweep> ExpandText(const std::string& body) {
  const std::string text = "schema: sink/v1\nname: test\ntrain: {micro_batch_size: 1, global_batch_size: 8}\n" + body;
  return ExpandSweep({"test.yaml", {}, ReadFrom(std::map<std::string, std::string>{{"test.yaml", text}})});
}

inline std::vector<std::string> Labels(const ExpandedSweep& sweep) {
  std::vector<std::string> labels;
  for (const ExpandedJob& job : sweep.jobs) labels.push_back(job.label);
  return labels;
}

}  // namespace sink::testing
