// The reasons of errors, within a process and over the wire.
#include "coordinator/errors/error_detail.h"

#include <gtest/gtest.h>

#include <string>

#include "coordinator/errors/detail_payload.h"
#include "coordinator/errors/grpc_status.h"

namespace sink {
namespace {

absl::Status OverTheWire(const absl::Status& status) { return FromGrpc(ToGrpc(status)); }

TEST(ErrorDetail, ReasonArrivesWhateverTheTextSays) {
  for (const char* text : {"", "expected 9", "das Geb\xC3\xA4ude ist zu"}) {
    const absl::Status stale = OverTheWire(StaleLeaseError(text));
    EXPECT_TRUE(IsStaleLease(stale));
    EXPECT_EQ(stale.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(stale.message(), text);
    EXPECT_FALSE(ExpectedEvent(stale));
    const absl::Status missing = OverTheWire(MissingEventsError(1ull << 40, text));
    EXPECT_EQ(ExpectedEvent(missing), 1ull << 40);
    EXPECT_EQ(missing.code(), absl::StatusCode::kOutOfRange);
    EXPECT_FALSE(IsStaleLease(missing));
    const absl::Status first = OverTheWire(EventsFirstError(7, text));
    EXPECT_EQ(ExpectedEvent(first), 7u);
    EXPECT_EQ(first.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_FALSE(IsStaleLease(first));
  }
}

TEST(ErrorDetail, TextAloneIsNoReason) {
  EXPECT_FALSE(IsStaleLease(OverTheWire(absl::FailedPreconditionError("stale lease: attempt 1 is no longer yours"))));
  EXPECT_FALSE(ExpectedEvent(OverTheWire(absl::OutOfRangeError("expected 5: events are missing"))));
  EXPECT_FALSE(ExpectedEvent(absl::OkStatus()));
}

TEST(ErrorDetail, DamagedDetailsAreLeftOut) {
  const std::string details = ToGrpc(MissingEventsError(7, "x")).error_details();
  for (size_t size = 0; size < details.size(); ++size) {
    const absl::Status status = FromGrpc({grpc::StatusCode::OUT_OF_RANGE, "x", details.substr(0, size)});
    EXPECT_TRUE(absl::IsOutOfRange(status));
    EXPECT_FALSE(ExpectedEvent(status)) << size;
  }
  v1::StatusDetails strange;
  strange.add_details()->set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  strange.mutable_details(0)->set_value("\xFF\xFF");
  strange.add_details()->set_type_url("type.googleapis.com/sink.v1.ErrorDetail");
  strange.mutable_details(1)->set_value("\xFF\xFF");
  EXPECT_FALSE(
      IsStaleLease(FromGrpc({grpc::StatusCode::FAILED_PRECONDITION, "stale lease", strange.SerializeAsString()})));
}

TEST(ErrorDetail, ReasonOfAnotherCodeIsNotBelieved) {
  v1::ErrorDetail detail;
  detail.mutable_stale_lease();
  EXPECT_FALSE(IsStaleLease(WithDetail(absl::UnavailableError("try again"), detail)));
  detail.mutable_missing_events()->set_expected(7);
  EXPECT_FALSE(ExpectedEvent(WithDetail(absl::UnavailableError("try again"), detail)));
}

// By the text nobody could tell whether the disk is full, which somebody must mend, or a thread is short for a moment.
TEST(GrpcStatus, WhatAServiceRefusesIsToldFromWhatGrpcItselfDoes) {
  for (const absl::Status& refused : {absl::ResourceExhaustedError("disk full"), absl::UnavailableError("closing")}) {
    const grpc::Status answer = ToGrpc(refused);
    EXPECT_TRUE(IsAnswered(answer));
    EXPECT_EQ(FromGrpc(answer), refused);
    EXPECT_FALSE(IsAnswered({answer.error_code(), "Server Threadpool Exhausted"}));
  }
}

TEST(GrpcStatus, KeepsTheCodeAndCutsBetweenCharacters) {
  EXPECT_EQ(ToGrpc(absl::OutOfRangeError("x")).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(ToGrpc(absl::OutOfRangeError("x")).error_details(), "");
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
  std::string text = "a";
  while (text.size() < kMaxStatusMessage + 10) text += "\xE2\x82\xAC";
  const std::string cut = ToGrpc(absl::InternalError(text)).error_message();
  ASSERT_LE(cut.size(), kMaxStatusMessage + 3);
  const std::string kept = cut.substr(0, cut.size() - 3);
  EXPECT_EQ(cut.substr(kept.size()), "...");
  EXPECT_EQ(kept, text.substr(0, kept.size()));
  EXPECT_EQ((kept.size() - 1) % 3, 0u) << "a character is cut in two";
}

}  // namespace
}  // namespace sink
