#include "coordinator/cli/study/targets.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sink::cli {
namespace {

// Whether it may be the id of a job, or begin one.
bool MayBeId(const std::string& text) { return text.find_first_not_of("0123456789abcdef") == std::string::npos; }

bool IsSweep(const v1::ListSweepsResponse& sweeps, const std::string& word) {
  return std::any_of(sweeps.sweeps().begin(), sweeps.sweeps().end(),
                     [&](const v1::Sweep& sweep) { return sweep.name() == word; });
}

}  // namespace

absl::StatusOr<Targets> ReadTargets(Session& session, const std::vector<std::string>& words) {
  const auto sweeps = session.client().ListSweeps({});
  if (!sweeps.ok()) return sweeps.status();
  Targets out;
  for (const std::string& word : words) {
    if (IsSweep(*sweeps, word)) {
      out.sweeps.push_back(word);
    } else if (MayBeId(word)) {
      out.jobs.push_back(word);
    } else {
      return absl::NotFoundError(
          absl::StrCat("there is no sweep \"", word, "\", nor is that the id of a job; see them with: sinkctl status"));
    }
  }
  return out;
}

absl::Status ExpectJob(Session& session, const std::string& word) {
  if (MayBeId(word)) return absl::OkStatus();
  const auto sweeps = session.client().ListSweeps({});
  if (!sweeps.ok()) return sweeps.status();
  if (IsSweep(*sweeps, word))
    return absl::NotFoundError(
        absl::StrCat("\"", word, "\" is a sweep, not a job; see the ids of its jobs with: sinkctl status ", word));
  return absl::NotFoundError(absl::StrCat("there is no job \"", word,
                                          "\"; an id is hexadecimal digits, at least the first 4; see: sinkctl jobs"));
}

}  // namespace sink::cli
