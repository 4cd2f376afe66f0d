// A packed data set as a worker tells of it, and a copy of one, or of an open model, that not every job can use. Plain
// values; any thread.
#pragma once

#include <string>
#include <string_view>

namespace sink {

// A packed data set on a machine.
struct DataSet {
  std::string name;
  std::string content;  // fingerprint of what it holds; empty: unknown

  bool operator==(const DataSet&) const = default;
};

// Which jobs can use a copy that is not whole; the numbers are those of CopyUse in job.proto.
enum class CopyUse {
  kNoJob = 0,
  kBeingCompared = 1,     // no job until its worker has read it, which is no fault of the copy
  kWithoutTokenizer = 2,  // of a model: those that read no texts
};

// A copy of which files are missing, cut short, not what they should be, or still being read.
struct IncompleteCopy {
  std::string name;
  std::string gap;  // in words: what is missing
  CopyUse use = CopyUse::kNoJob;

  bool operator==(const IncompleteCopy&) const = default;
};

inline std::string NameOf(CopyUse use) {
  if (use == CopyUse::kBeingCompared) return "being_compared";
  return use == CopyUse::kWithoutTokenizer ? "without_tokenizer" : "no_job";
}

// "is not used: cannot find regmix/x.bin". Of kNoJob no more is known than the worker's own words: an older one, or a
// newer one with a use that is not known here, may say of a copy with which nothing is wrong that it has to wait.
inline std::string WhyUnused(const std::string& gap, CopyUse use) {
  if (use == CopyUse::kBeingCompared) return "is not used yet: " + gap;
  return (use == CopyUse::kWithoutTokenizer ? "has no whole tokenizer: " : "is not used: ") + gap;
}

// What a person does about a copy of a data set, and of a model.
inline std::string MendingOfSet(CopyUse use) {
  return use == CopyUse::kBeingCompared ? "wait for it" : "copy the set anew, or re-run sink-data pack there";
}
inline std::string MendingOfModel(CopyUse use) {
  return use == CopyUse::kWithoutTokenizer
             ? "jobs that read no texts use it; for the others put the model's own tokenizer files there"
             : "wait until it is copied; if nobody copies it, mend what it lacks, download it anew or remove it";
}

// Whether a worker's entry stands for that open model: its name, or its name without the owner.
inline bool StandsFor(std::string_view entry, std::string_view model) {
  return entry == model || entry == model.substr(model.find('/') + 1);
}

// A content as people compare them by eye.
inline std::string ShortContent(const std::string& content) {
  return content.empty() ? "unknown" : content.substr(0, 8);
}

}  // namespace sink
