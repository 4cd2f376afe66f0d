// A packed data set as a worker tells of it, and a copy of one, or of an open model, that jobs cannot use. Plain
// values; any thread.
#pragma once

#include <string>

namespace sink {

// A packed data set on a machine.
struct DataSet {
  std::string name;
  std::string content;  // fingerprint of what it holds; empty: unknown

  bool operator==(const DataSet&) const = default;
};

// A copy of which files are missing, cut short, not what they should be, or still being read: jobs cannot use it.
struct IncompleteCopy {
  std::string name;
  std::string gap;  // in words: what is missing, or kBeingCompared

  bool operator==(const IncompleteCopy&) const = default;
};

// The gap of a whole copy that its worker holds back while it reads it, which is no fault of the copy.
inline constexpr char kBeingCompared[] =
    "its files are being compared with their hashes, and it is used in half a minute at most";

// "is not whole: cannot find regmix/x.bin".
inline std::string WhyUnused(const std::string& gap) {
  return (gap == kBeingCompared ? "is not used yet: " : "is not whole: ") + gap;
}

// Whether a worker's entry stands for that open model: its name, or its name without the owner.
inline bool StandsFor(const std::string& entry, const std::string& model) {
  return entry == model || entry == model.substr(model.find('/') + 1);
}

// A content as people compare them by eye.
inline std::string ShortContent(const std::string& content) {
  return content.empty() ? "unknown" : content.substr(0, 8);
}

}  // namespace sink
