// A sweep file as it lies on this machine: read, expanded, and everything that it took remembered, so that a
// coordinator elsewhere can expand the same text. Used by submit and plan, on the main thread.
#pragma once

#include <istream>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/study/command_line_profile.h"
#include "sweeps/expand.h"

namespace sink::cli {

struct SweepFiles {
  std::string entry;
  std::vector<std::string> profiles;         // as paths; the last one may be kCommandLineProfile
  std::map<std::string, std::string> texts;  // every file that was read, by the path that named it
  ExpandedSweep sweep;
  bool changes_nothing = false;  // there are changes, and the jobs are the same without them
};

// A file of at most 256 KiB. Errors: INVALID_ARGUMENT and NOT_FOUND, with the reason alone.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// A profile with a slash or the ending ".yaml" is a path; a bare name is profiles/<name>.yaml beside the sweep file.
std::string ProfilePath(const std::string& entry, const std::string& profile);

// `entry` "-" is `in`, called "stdin" and as if it lay in the working folder. Errors: INVALID_ARGUMENT, a line
// "file:line:column: what; the fix" for each mistake.
absl::StatusOr<SweepFiles> LoadSweep(const std::string& entry, const std::vector<std::string>& profiles,
                                     const SweepChanges& changes, std::istream& in);

// What a job costs, before it has run. Of one that measures an open model parameters and flops are those that the
// model's name tells (open_model_size.h), 0 where it tells none, and there is no checkpoint.
struct JobCost {
  double parameters = 0;
  double tokens = 0;
  double flops = 0;  // parameters without the embedding table x 6 + attention (12 x layers x hidden x length),
                     // a token: Chowdhery et al., "PaLM", appendix B
  // Of fp32 parameters and the two moments of AdamW, with all that is beside them: a little more than it will be. Not
  // the set's tokenizer, which only workers have.
  double checkpoint_bytes = 0;
};
JobCost Cost(const JobConfig& config);

}  // namespace sink::cli
