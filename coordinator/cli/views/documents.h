// What sinkctl --json prints: the coordinator's messages as JSON with stable names. A field that does not apply or is
// not known yet is null, never absent. Times are Unix milliseconds. Every `state` is in capitals, of a job ("RUNNING"),
// an attempt, a worker ("CONNECTED") and a principal ("REVOKED"). Pure functions; any thread may call them.
//
// job          id generation state attempt worker failure_class message devices per_worker gang [worker]
//              cancel_requested stopped_early created_ms started_ms finished_ms step max_steps tokens
//              tokens_per_second eta_seconds train_loss validation_loss (of all domains) sink_epsilon
//              sink_rate_percent (at position 1 and that epsilon) alpha_mean_1 alpha_max_1 (strongest head)
//              hidden_norm_ratio (largest over layers) metrics {name: newest value}
//              sweeps [{sweep experiment label index withdrawn (that sweep was cancelled and wants it no more)}]
//              In a sweep's listing also: experiment label index, of that sweep. Its devices come in groups of
//              per_worker, each on one worker; gang names the workers where several have it, the leader's first, and is
//              empty otherwise.
// sweep        name created_ms max_parallel jobs states {STATE: count}
// worker       id name address state devices devices_free device_kind version last_seen_ms job_ids models
//              hold ("", "cordoned", "draining", "quarantined") hold_reason
// attempt      attempt worker state failure_class message started_ms finished_ms
// checkpoint   job_id step attempt manifest_hash committed_ms validation_loss (the last by then) pinned bytes
//              files [{name size xxh3}]
//              In a list of all that a job has also: best (has the lowest validation loss), damage (what was found
//              wrong with it when it was last read, or null). What `checkpoint list` prints also: validation_step (at
//              which that loss was measured, null where it is not known).
// log line     cursor time_ms attempt level text
// metric point name step value attempt
#pragma once

#include <optional>
#include <string>

#include "coordinator/cli/print/printer.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

Json ToJson(const v1::Job& job);
Json ToJson(const v1::Sweep& sweep);
Json ToJson(const v1::Worker& worker);
Json ToJson(const v1::Attempt& attempt);
Json ToJson(const v1::Checkpoint& checkpoint);
Json ToJson(const google::protobuf::RepeatedPtrField<v1::Checkpoint>& checkpoints);  // all of a job's
Json ToJson(const v1::LogLine& line);
Json ToJson(const v1::MetricPoint& point);

// A job of one sweep: experiment, label and index of its place there in front.
Json ToJson(const v1::Job& job, const v1::Membership& place);

// Of a job's document whose coordinator has a full disk: how fast it is, and when it ends, is not known any more.
void ForgetPace(Json* job);

Json TextOrNull(const std::string& text);  // null for an empty one

bool IsFinal(v1::JobState state);
// Whether the sweep was cancelled and does not want the job any more, which goes on all the same: for that sweep it is
// over. One that is being stopped is not.
bool IsLeftToOthers(const v1::Job& job, const std::string& sweep);
std::string StateName(v1::JobState state);  // "RUNNING"

// What the newest metrics say about sinks; their names are told in proto/pipe/metric_name.h.
struct Measurements {
  std::optional<double> train_loss;
  std::optional<double> validation_loss;  // of all domains; pipe::ValidationLoss
  std::string epsilon;                    // the best by pipe::IsBetterEpsilon; "" for none
  std::optional<double> sink_rate;        // 0..1, position 1
  std::optional<double> alpha_mean;       // position 1, over layers and heads
  std::optional<double> alpha_max;        // position 1, strongest head
  std::optional<double> hidden_norm_ratio;
};
Measurements Measure(const v1::Progress& progress);

// Seconds until the job's last step at its present rate; absent while that is unknown.
std::optional<double> EtaSeconds(const v1::Job& job);

}  // namespace sink::cli
