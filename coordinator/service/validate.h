// What a request must look like before core sees it: one function a message, checking every field's form and size. What
// the fields mean (does the job exist, is the lease current) is core's to judge. Errors: INVALID_ARGUMENT "FIELD: what
// is wrong" for all of them. Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "sink/v1/client.pb.h"
#include "sink/v1/identity.pb.h"
#include "sink/v1/worker.pb.h"

namespace sink {

inline constexpr size_t kMaxName = 64;            // sweeps, workers: [A-Za-z0-9._-]{1,64}
inline constexpr size_t kMaxPath = 4096;          // of a source file, as it appears in errors
inline constexpr size_t kMaxText = 256;           // version, device kind
inline constexpr size_t kMaxMessage = 128 << 10;  // why an attempt ended, with the end of its stderr
inline constexpr int kMaxSourceFiles = 1024;
inline constexpr size_t kMaxSourceBytes = 8 << 20;  // of all files of a submission
inline constexpr int kMaxEvents = 1024;
inline constexpr size_t kMaxEventBytes = 512 << 10;  // of all records of a report
inline constexpr int kMaxHeld = 1024;                // leases that one worker may hold
inline constexpr int kMaxDevices = 1024;
inline constexpr int64_t kMaxGpuBytes = int64_t{1} << 48;
inline constexpr int kMaxModels = 1000;  // that one worker may have
inline constexpr int kMaxSets = 1000;    // the same
inline constexpr int kMaxIncompleteSets = 100;
inline constexpr int kMaxIncompleteModels = 100;
inline constexpr int kMaxDataFiles = 1000;    // beside the sets
inline constexpr size_t kMaxGap = 1024;       // what such a copy lacks, in words
inline constexpr int kMaxLeaseWait = 60'000;  // milliseconds
inline constexpr int kMaxJobsNamed = 10'000;
inline constexpr int kMaxJobsListed = 10'000;
inline constexpr int kMaxTail = 100'000;
inline constexpr int kMaxMetricNames = 256;
inline constexpr int kMaxCheckpointFiles = 1024;
inline constexpr size_t kMaxChunk = 256 << 10;
inline constexpr uint64_t kMaxFileBytes = uint64_t{1} << 40;
inline constexpr size_t kMaxSigningRequest = 4096;
inline constexpr int kMaxAuditPage = 1'000;
inline constexpr int kMaxUses = 10'000;  // of a join token
inline constexpr int64_t kMaxStep = int64_t{1} << 48;
inline constexpr int kMaxInterval = 3'600'000;  // ms

// Building blocks, for tests and for paths made from the wire.
bool IsId(std::string_view text);         // 32 lower-case hex digits
bool IsJobPrefix(std::string_view text);  // 4 to 32 lower-case hex digits
bool IsName(std::string_view text, size_t max_size = kMaxName);

absl::Status Validate(const v1::SubmitSweepRequest& request);
absl::Status Validate(const v1::ListSweepsRequest& request);
absl::Status Validate(const v1::GetSweepRequest& request);
absl::Status Validate(const v1::GetStudyRequest& request);
absl::Status Validate(const v1::DeleteSweepRequest& request);
absl::Status Validate(const v1::SetPriorityRequest& request);
absl::Status Validate(const v1::ListJobsRequest& request);
absl::Status Validate(const v1::GetJobRequest& request);
absl::Status Validate(const v1::WatchSweepRequest& request);
absl::Status Validate(const v1::CancelRequest& request);
absl::Status Validate(const v1::RetryRequest& request);
absl::Status Validate(const v1::ReadLogsRequest& request);
absl::Status Validate(const v1::ReadMetricsRequest& request);
absl::Status Validate(const v1::ListWorkersRequest& request);
absl::Status Validate(const v1::ReadHeatmapsRequest& request);
absl::Status Validate(const v1::ListCheckpointsRequest& request);
absl::Status Validate(const v1::WhyJobRequest& request);
absl::Status Validate(const v1::DownloadCheckpointRequest& request);

absl::Status Validate(const v1::VerifyCheckpointsRequest& request);
absl::Status Validate(const v1::DropCheckpointsRequest& request);
absl::Status Validate(const v1::PinCheckpointRequest& request);
absl::Status Validate(const v1::HoldWorkersRequest& request);
absl::Status Validate(const v1::CollectGarbageRequest& request);
absl::Status Validate(const v1::RegisterRequest& request);
absl::Status Validate(const v1::LeaseRequest& request);
absl::Status Validate(const v1::HeartbeatRequest& request);
absl::Status Validate(const v1::ReportRequest& request);
absl::Status Validate(const v1::BeginCheckpointRequest& request);
absl::Status Validate(const v1::CommitCheckpointRequest& request);
absl::Status Validate(const v1::FetchCheckpointRequest& request);
absl::Status Validate(const v1::FinishRequest& request);
absl::Status Validate(const v1::JoinRequest& request);
absl::Status Validate(const v1::LogInRequest& request);
absl::Status Validate(const v1::CreateTokenRequest& request);
absl::Status Validate(const v1::RevokeRequest& request);
absl::Status Validate(const v1::ListAuditRequest& request);
// The first message of a stream, and each one after it.
absl::Status ValidateFirst(const v1::WriteCheckpointRequest& request);
absl::Status ValidateNext(const v1::WriteCheckpointRequest& request);

}  // namespace sink
