// The id of every job of every shipped sweep file, under every profile. An id names the results of a job on disk, so a
// change of the canonical form would orphan all of them: fixtures/job_ids.txt changes only with the sweep files.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "sweeps/expand.h"
#include "tests/sweeps/files.h"

namespace sink {
namespace {

// The names of the files of sweeps/<folder> with the suffix .yaml, without it, sorted.
std::vector<std::string> SweepFiles(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(testing::SourceDir() + "/sweeps" + folder))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

// One line a job, "<sweep> <profile> <id>", in the order of the jobs; the profile "base" is none.
void AppendJobs(const std::string& sweep, const std::string& profile, std::vector<std::string>* lines) {
  SweepInput input{absl::StrCat("sweeps/", sweep, ".yaml"), {}, testing::ReadFrom(testing::SourceDir())};
  if (profile != "base") input.profiles.push_back(absl::StrCat("sweeps/profiles/", profile, ".yaml"));
  const absl::StatusOr<ExpandedSweep> expanded = ExpandSweep(input);
  ASSERT_TRUE(expanded.ok()) << expanded.status();
  for (const ExpandedJob& job : expanded->jobs) lines->push_back(absl::StrCat(sweep, " ", profile, " ", job.id));
}

TEST(JobIds, OfShippedSweepsAreThoseOfTheList) {
  std::vector<std::string> profiles = SweepFiles("/profiles");
  profiles.insert(profiles.begin(), "base");
  std::vector<std::string> actual;
  for (const std::string& sweep : SweepFiles(""))
    for (const std::string& profile : profiles) AppendJobs(sweep, profile, &actual);

  const auto text = testing::ReadFrom(testing::SourceDir())("tests/sweeps/fixtures/job_ids.txt");
  const std::vector<std::string> expected = absl::StrSplit(text.ok() ? *text : "", '\n', absl::SkipEmpty());
  EXPECT_FALSE(expected.empty()) << text.status();
  for (size_t i = 0; i < std::min(expected.size(), actual.size()); ++i)
    EXPECT_EQ(actual[i], expected[i]) << "line " << i + 1;
  EXPECT_EQ(actual.size(), expected.size());
  if (!HasFailure()) return;
  const std::string path = ::testing::TempDir() + "job_ids.txt";
  std::ofstream(path) << absl::StrJoin(actual, "\n") << "\n";
  ADD_FAILURE() << "the ids of now are in " << path;
}

}  // namespace
}  // namespace sink
