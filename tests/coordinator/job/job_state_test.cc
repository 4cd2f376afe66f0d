// The transition table against the edges that design.md allows, written out a second time by hand.
#include "coordinator/job/job_state.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sink {
namespace {

TEST(JobState, EdgesAreExactlyTheDesigned) {
  const std::set<std::string> edges = {"QUEUED>LEASED",
                                       "QUEUED>CANCELLED",
                                       "LEASED>RUNNING",
                                       "LEASED>FINALIZING",
                                       "LEASED>DISCONNECTED",
                                       "LEASED>LOST",
                                       "LEASED>CANCELLED",
                                       "LEASED>QUEUED",
                                       "RUNNING>FINALIZING",
                                       "RUNNING>DISCONNECTED",
                                       "RUNNING>LOST",
                                       "RUNNING>CANCELLED",
                                       "DISCONNECTED>RUNNING",
                                       "DISCONNECTED>LEASED",
                                       "DISCONNECTED>FINALIZING",
                                       "DISCONNECTED>LOST",
                                       "DISCONNECTED>CANCELLED",
                                       "FINALIZING>SUCCEEDED",
                                       "FINALIZING>FAILED",
                                       "FINALIZING>CANCELLED",
                                       "FINALIZING>QUEUED",
                                       "FINALIZING>DISCONNECTED",
                                       "FINALIZING>LOST",
                                       "LOST>QUEUED",
                                       "LOST>FAILED",
                                       "LOST>CANCELLED"};
  for (JobState from : kAllJobStates) {
    for (JobState to : kAllJobStates) {
      const std::string edge = std::string(NameOf(from)) + ">" + std::string(NameOf(to));
      EXPECT_EQ(IsLegal(from, 1, to, 1), from == to || edges.contains(edge)) << edge;
      const bool retry = to == JobState::kQueued && (from == JobState::kFailed || from == JobState::kCancelled);
      EXPECT_EQ(IsLegal(from, 1, to, 2), retry) << edge << " with a new generation";
      EXPECT_FALSE(IsLegal(from, 1, to, 3)) << edge;
      EXPECT_FALSE(IsLegal(from, 2, to, 1)) << edge;
    }
  }
}

TEST(JobState, NothingLeavesAFinalStateWithinAGeneration) {
  for (JobState from : kAllJobStates) {
    if (!IsFinal(from)) continue;
    for (JobState to : kAllJobStates) EXPECT_EQ(IsLegal(from, 1, to, 1), from == to);
  }
}

TEST(JobState, NamesReadBack) {
  for (JobState state : kAllJobStates) EXPECT_EQ(ParseName<JobState>(NameOf(state)), state);
  EXPECT_EQ(ParseName<JobState>("queued"), std::nullopt);
  EXPECT_EQ(ParseName<JobState>(""), std::nullopt);
}

}  // namespace
}  // namespace sink
