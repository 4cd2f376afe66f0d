// Between the structs of coordinator/{job,core} and the messages of proto/sink/v1, field by field. FromProto expects
// what validate.h has let through. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/core/requests.h"
#include "coordinator/job/job.h"
#include "proto/files/hash.h"
#include "sink/v1/client.pb.h"
#include "sink/v1/worker.pb.h"

namespace sink {

void ToProto(const Lease& lease, v1::LeaseRef* message);
void ToProto(const Job& job, v1::Job* message);  // without config_json and gang
// Sets gang of those of these jobs that several workers have.
void AddGangs(const Gangs& gangs, google::protobuf::RepeatedPtrField<v1::Job>* messages);
void ToProto(const Sweep& sweep, v1::Sweep* message);
void ToProto(const Attempt& attempt, v1::Attempt* message);
void ToProto(const Worker& worker, v1::Worker* message);
void ToProto(const MetricPoint& point, v1::MetricPoint* message);
void ToProto(const Heatmap& heatmap, v1::Heatmap* message);
void ToProto(const LogLine& line, v1::LogLine* message);
void ToProto(const Checkpoint& checkpoint, v1::Checkpoint* message);
// All that a job has: of those one is the best.
void ToProto(const std::vector<Checkpoint>& checkpoints, google::protobuf::RepeatedPtrField<v1::Checkpoint>* messages);
void ToProto(const JobDetails& details, v1::GetJobResponse* message);
void ToProto(const Explanation& explanation, v1::WhyJobResponse* message);
void ToProto(const Grant& grant, v1::Grant* message);

Lease FromProto(const v1::LeaseRef& message);
JobSelection FromProto(const v1::CancelRequest& message);
JobSelection FromProto(const v1::RetryRequest& message);
std::optional<int64_t> FromStep(const v1::RetryRequest& message);

// A request that may come again, as the same only from the same caller.
template <typename Request>
RequestName RequestNameOf(const Request& message, const std::string& caller) {
  Request body = message;
  body.clear_request_id();
  return {.id = message.request_id(),
          .body_hash = files::Hash(absl::StrCat(caller, " ", body.GetTypeName(), " ", body.SerializeAsString()))};
}

RegisterRequest FromProto(const v1::RegisterRequest& message, const std::string& peer);
LeaseRequest FromProto(const v1::LeaseRequest& message);
HeartbeatRequest FromProto(const v1::HeartbeatRequest& message);
std::vector<Event> FromProto(const v1::ReportRequest& message);
std::vector<CheckpointFile> FromProto(const v1::BeginCheckpointRequest& message);
FinishRequest FromProto(const v1::FinishRequest& message);

// Text as a protobuf string may carry it: bytes that are not UTF-8 become '?'.
std::string ValidUtf8(std::string text);

}  // namespace sink
