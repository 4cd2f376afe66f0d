// What sink-backup prints, and its exit status.
#include "coordinator/backup/tell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sink::backup {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Standard output while `tell` runs, whose exit status must be `status`.
template <typename F>
std::string Printed(int status, const F& tell) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(tell(), status);
  return ::testing::internal::GetCapturedStdout();
}

TEST(Tell, ASalvageSaysHowManyJobsBeginAnewAndWhatMayHelp) {
  Replaced replaced{.set_aside = {"data/sink.db.replaced"}, .jobs = 7};
  EXPECT_THAT(Printed(0, [&] { return Tell("data", replaced); }),
              AllOf(HasSubstr("goes on with 7 jobs"), HasSubstr("data/sink.db.replaced"), Not(HasSubstr("adopt"))));
  replaced.forgotten = 5;
  replaced.begun_anew = 3;
  EXPECT_THAT(Printed(0, [&] { return Tell("data", replaced); }),
              AllOf(HasSubstr("5 checkpoints"),
                    HasSubstr("without any that is named, so that they begin anew: 3 jobs, unless "
                              "sink-backup adopt takes one that was set aside: sink-backup adopt --data data")));
}

TEST(Tell, ARestoreSaysWhatItSetAside) {
  Report report;
  report.checkpoints_set_aside = 2;
  EXPECT_THAT(
      Printed(0, [&] { return Tell("restored", "data", report); }),
      AllOf(HasSubstr("in checkpoints/set-aside: 2 checkpoints beyond its database"), HasSubstr("adopt --data data")));
}

TEST(Tell, ACopySaysWhichJobsBeginAnewAndOfTheOthersThatTheyGoOn) {
  Report report;
  const auto complaint = [&](int status) {
    ::testing::internal::CaptureStderr();
    Printed(status, [&] { return Tell("copied", "data", report); });
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(complaint(0), "");
  report.lost_checkpoints = 3;
  EXPECT_THAT(complaint(3), AllOf(HasSubstr("left out: 3 checkpoints, "), HasSubstr("go on from their others\n"),
                                  Not(HasSubstr("anew"))));
  report.begun_anew = {"abcd", "ef01"};
  EXPECT_THAT(complaint(3), AllOf(HasSubstr("go on from their others, where they have any\n"),
                                  HasSubstr("job abcd has none left, and begins anew\n"),
                                  HasSubstr("job ef01 has none left, and begins anew\n")));
}

TEST(Tell, AnAdoptionSaysWhatIsMissingAndThatCheckpointsWereDamaged) {
  Adoption adoption;
  EXPECT_THAT(Printed(0, [&] { return Tell(absl::OkStatus(), adoption); }), HasSubstr("nothing was set aside"));
  adoption.jobs = {{"abcd", 30, 12}, {"ef01", 30, 30}};
  EXPECT_THAT(Printed(0, [&] { return Tell(absl::OkStatus(), adoption); }),
              AllOf(HasSubstr("job abcd goes on from step 30; the points between step 12"),
                    HasSubstr("job ef01 goes on from step 30\n"), HasSubstr("begins anew")));
  adoption.damaged = {"step 40 of job abcd: ..."};
  Printed(3, [&] { return Tell(absl::OkStatus(), adoption); });
  Printed(1, [&] { return Tell(absl::NotFoundError("no job"), adoption); });
}

}  // namespace
}  // namespace sink::backup
