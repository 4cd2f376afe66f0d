// A packed data set as a worker tells of it, and a copy of one, or of an open model, that is not whole. Plain values;
// any thread.
#pragma once

#include <string>

namespace sink {

// A packed data set on a machine.
struct DataSet {
  std::string name;
  std::string content;  // fingerprint of what it holds; empty: unknown

  bool operator==(const DataSet&) const = default;
};

// A copy of which files are missing, cut short, or not what they should be: jobs cannot use it.
struct IncompleteCopy {
  std::string name;
  std::string gap;  // in words: what is missing

  bool operator==(const IncompleteCopy&) const = default;
};

// A content as people compare them by eye.
inline std::string ShortContent(const std::string& content) {
  return content.empty() ? "unknown" : content.substr(0, 8);
}

}  // namespace sink
