// What callers are told while the store has failed and the process is about to end.
#include "coordinator/service/fail_stop.h"

#include <gtest/gtest.h>

namespace sink {
namespace {

const absl::Status kReadOnly = absl::DataLossError("database failed: its disk is read-only");

TEST(FailStop, EndsTheProcessForAFailedStoreAlone) {
  FailStop fail_stop;
  fail_stop.Report(absl::ResourceExhaustedError("disk full"));
  EXPECT_TRUE(fail_stop.failure().ok());
  EXPECT_EQ(fail_stop.Answer(kReadOnly).error_code(), grpc::DATA_LOSS) << "people are told what has happened";
  EXPECT_EQ(fail_stop.failure(), kReadOnly);
}

TEST(FailStop, AWorkerIsToldToAskAgainAndNotThatItsBytesAreBad) {
  FailStop fail_stop;
  const grpc::Status answer = fail_stop.AnswerWorker(kReadOnly);
  EXPECT_EQ(answer.error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(answer.error_message(), kReadOnly.message());
  EXPECT_EQ(fail_stop.failure(), kReadOnly);
  EXPECT_EQ(fail_stop.AnswerWorker(absl::InvalidArgumentError("step: is beyond the last")).error_code(),
            grpc::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace sink
