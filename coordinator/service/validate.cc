// See validate.h.
#include "coordinator/service/validate.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "coordinator/job/worker_state.h"
#include "proto/config/names.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/manifest.h"

namespace sink {
namespace {

constexpr int64_t kMaxTokenMs = int64_t{366} * 24 * 3600 * 1000;

absl::Status Bad(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

// The value as an error may show it: short and printable.
std::string Shown(const std::string& value) { return absl::CHexEscape(value.substr(0, kMaxName)); }

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// A host as the worker's --advertise takes it, or none: the ranks of a job connect to it.
bool IsHost(const std::string& host) {
  return host.size() <= 253 && std::count(host.begin(), host.end(), ':') != 1 &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::string_view(".-_:").find(c) != absl::string_view::npos;
         });
}

// Collects the first fault of a message, so that each Validate reads as the list of its rules.
class Checker {
 public:
  Checker& That(bool holds, absl::string_view field, absl::string_view what) {
    if (status_.ok() && !holds) status_ = Bad(field, what);
    return *this;
  }
  Checker& Id(const std::string& value, absl::string_view field) {
    return That(IsId(value), field, "must be 32 hex digits");
  }
  Checker& Job(const std::string& value, absl::string_view field) {
    return That(IsJobPrefix(value), field,
                absl::StrCat("\"", Shown(value), "\" is not a job; give its id or at least its first 4 hex digits"));
  }
  Checker& Name(const std::string& value, absl::string_view field) {
    return That(IsName(value), field,
                absl::StrCat("\"", Shown(value), "\" is not a name; use 1 to 64 of A-Z a-z 0-9 . _ -"));
  }
  // Anything to be shown to people: bounded, without control characters.
  Checker& Text(const std::string& value, absl::string_view field, size_t max_size) {
    That(value.size() <= max_size, field, absl::StrCat("longer than ", max_size, " bytes"));
    return That(std::none_of(value.begin(), value.end(), absl::ascii_iscntrl), field, "has control characters");
  }
  Checker& Bytes(const std::string& value, absl::string_view field, size_t max_size) {
    return That(!value.empty() && value.size() <= max_size, field, absl::StrCat("must be 1 to ", max_size, " bytes"));
  }
  Checker& Range(int64_t value, int64_t low, int64_t high, absl::string_view field) {
    return That(value >= low && value <= high, field, absl::StrCat("must be ", low, " to ", high, ", not ", value));
  }
  Checker& Lease(bool present, const v1::LeaseRef& lease, absl::string_view field) {
    That(present, field, "missing");
    Id(lease.job_id(), absl::StrCat(field, ".job_id")).Id(lease.lease_id(), absl::StrCat(field, ".lease_id"));
    That(lease.attempt() >= 1, absl::StrCat(field, ".attempt"), "must be at least 1");
    // The store keeps 64-bit signed integers.
    return That(lease.fence() >= 1 && lease.fence() <= std::numeric_limits<int64_t>::max(),
                absl::StrCat(field, ".fence"), "out of range");
  }
  template <typename Request>
  Checker& Leased(const Request& request) {
    return Id(request.worker_id(), "worker_id").Lease(request.has_lease(), request.lease(), "lease");
  }
  Checker& Seq(uint64_t value, absl::string_view field) {
    return That(value <= std::numeric_limits<int64_t>::max(), field, "out of range");
  }
  // Exactly one of a sweep and a list of jobs.
  template <typename Request>
  Checker& Selection(const Request& request) {
    That(request.sweep().empty() != request.job_ids().empty(), "sweep", "name either a sweep or jobs");
    That(request.job_ids_size() <= kMaxJobsNamed, "job_ids", absl::StrCat("more than ", kMaxJobsNamed));
    if (!request.sweep().empty()) Name(request.sweep(), "sweep");
    for (const std::string& id : request.job_ids()) Job(id, "job_ids");
    return *this;
  }

  // Its id may be left out.
  template <typename Request>
  Checker& Repeatable(const Request& request) {
    return request.request_id().empty() ? *this : Id(request.request_id(), "request_id");
  }

  template <typename Request>
  Checker& JobOrSweep(const Request& request) {
    if (request.sweep().empty()) return Job(request.job_id(), "job_id");
    return That(request.job_id().empty(), "job_id", "name either a job or a sweep").Name(request.sweep(), "sweep");
  }

  bool ok() const { return status_.ok(); }
  operator absl::Status() const { return status_; }

 private:
  absl::Status status_;
};

}  // namespace

bool IsId(std::string_view text) { return text.size() == 32 && IsLowerHex(text); }

bool IsJobPrefix(std::string_view text) { return text.size() >= 4 && text.size() <= 32 && IsLowerHex(text); }

bool IsName(std::string_view text, size_t max_size) {
  return !text.empty() && text.size() <= max_size && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

absl::Status Validate(const v1::SubmitSweepRequest& request) {
  Checker check;
  check.Id(request.request_id(), "request_id");
  check.That(!request.entry().empty(), "entry", "missing");
  check.That(request.files_size() >= 1 && request.files_size() <= kMaxSourceFiles, "files",
             absl::StrCat("must be 1 to ", kMaxSourceFiles));
  check.That(request.profiles_size() <= kMaxSourceFiles, "profiles", "too many");
  std::set<std::string> paths;
  size_t bytes = 0;
  for (const v1::SourceFile& file : request.files()) {
    check.That(!file.path().empty(), "files.path", "missing").Text(file.path(), "files.path", kMaxPath);
    check.That(paths.insert(file.path()).second, "files.path", absl::StrCat(Shown(file.path()), " is there twice"));
    bytes += file.text().size();
  }
  check.That(bytes <= kMaxSourceBytes, "files", absl::StrCat("more than ", kMaxSourceBytes >> 20, " MiB in all"));
  check.That(paths.count(request.entry()) == 1, "entry", "is not among the files");
  std::set<std::string> profiles;
  for (const std::string& profile : request.profiles()) {
    check.That(paths.count(profile) == 1, "profiles", absl::StrCat(Shown(profile), " is not among the files"));
    check.That(profiles.insert(profile).second, "profiles", absl::StrCat(Shown(profile), " is there twice"));
  }
  return check;
}

absl::Status Validate(const v1::ListSweepsRequest&) { return absl::OkStatus(); }
absl::Status Validate(const v1::GetSweepRequest& request) { return Checker().Name(request.name(), "name"); }

absl::Status Validate(const v1::GetStudyRequest& request) { return Checker().Name(request.name(), "name"); }

absl::Status Validate(const v1::DeleteSweepRequest& request) {
  return Checker().Name(request.name(), "name").Repeatable(request);
}

absl::Status Validate(const v1::SetPriorityRequest& request) {
  constexpr int kMostPriority = 1000;  // as in a sweep file
  return Checker().Name(request.sweep(), "sweep").Range(request.priority(), -kMostPriority, kMostPriority, "priority");
}

absl::Status Validate(const v1::ListJobsRequest& request) {
  Checker check;
  if (!request.sweep().empty()) check.Name(request.sweep(), "sweep");
  check.That(request.states_size() <= v1::JobState_MAX, "states", "too many");
  for (int state : request.states()) check.Range(state, v1::QUEUED, v1::JobState_MAX, "states");
  check.Range(request.limit(), 0, kMaxJobsListed, "limit");
  if (!request.after().empty()) check.Id(request.after(), "after");
  return check;
}

absl::Status Validate(const v1::GetJobRequest& request) { return Checker().Job(request.id(), "id"); }

absl::Status Validate(const v1::WatchSweepRequest& request) {
  Checker check;
  check.Name(request.name(), "name");
  if (request.interval_ms() != 0) check.Range(request.interval_ms(), 100, kMaxInterval, "interval_ms");
  return check;
}

absl::Status Validate(const v1::CancelRequest& request) { return Checker().Selection(request).Repeatable(request); }
absl::Status Validate(const v1::RetryRequest& request) {
  return Checker().Selection(request).Range(request.from_step(), 0, kMaxStep, "from_step").Repeatable(request);
}

absl::Status Validate(const v1::ReadLogsRequest& request) {
  return Checker()
      .Job(request.job_id(), "job_id")
      .That(request.after() >= 0, "after", "must not be negative")
      .Range(request.tail(), 0, kMaxTail, "tail");
}

absl::Status Validate(const v1::ReadMetricsRequest& request) {
  Checker check;
  check.JobOrSweep(request);
  check.That(request.names_size() <= kMaxMetricNames, "names", absl::StrCat("more than ", kMaxMetricNames));
  for (const std::string& name : request.names()) {
    check.That(!name.empty(), "names", "an empty name").Text(name, "names", kMaxText);
  }
  return check.That(request.from_step() >= 0, "from_step", "must not be negative");
}

absl::Status Validate(const v1::ReadHeatmapsRequest& request) { return Checker().JobOrSweep(request); }
absl::Status Validate(const v1::ListWorkersRequest&) { return absl::OkStatus(); }
absl::Status Validate(const v1::WhyJobRequest& request) { return Checker().Job(request.id(), "id"); }
absl::Status Validate(const v1::ListCheckpointsRequest& request) { return Checker().Job(request.job_id(), "job_id"); }

absl::Status Validate(const v1::DownloadCheckpointRequest& request) {
  return Checker().Job(request.job_id(), "job_id").Range(request.step(), 0, kMaxStep, "step");
}

absl::Status Validate(const v1::VerifyCheckpointsRequest& request) { return Checker().Job(request.job_id(), "job_id"); }

absl::Status Validate(const v1::DropCheckpointsRequest& request) {
  Checker check;
  check.Job(request.job_id(), "job_id").Range(request.steps_size(), 1, kMaxCheckpointFiles, "steps");
  for (int64_t step : request.steps()) check.Range(step, 1, kMaxStep, "steps");
  return check;
}

absl::Status Validate(const v1::PinCheckpointRequest& request) {
  return Checker().Job(request.job_id(), "job_id").Range(request.step(), 1, kMaxStep, "step");
}

absl::Status Validate(const v1::HoldWorkersRequest& request) {
  Checker check;
  check.Range(request.names_size(), 1, kMaxJobsNamed, "names");
  for (const std::string& name : request.names()) check.Name(name, "names");
  const std::optional<WorkerHold> hold = ParseName<WorkerHold>(request.hold());
  return check.That(hold && *hold != WorkerHold::kQuarantined, "hold", "must be cordoned, draining or none")
      .Text(request.reason(), "reason", kMaxText);
}

absl::Status Validate(const v1::CollectGarbageRequest& request) {
  return Checker()
      .That(request.older_than_ms() > 0, "older_than_ms", "must be above 0")
      .Range(request.keep_best(), 0, kMaxJobsListed, "keep_best");
}

absl::Status Validate(const v1::RegisterRequest& request) {
  Checker check;
  check.Id(request.worker_id(), "worker_id").Name(request.name(), "name").Id(request.session(), "session");
  check.Range(request.devices(), 1, kMaxDevices, "devices");
  check.Text(request.device_kind(), "device_kind", kMaxText).Text(request.version(), "version", kMaxText);
  check.That(IsHost(request.advertise()), "advertise", "must be a host name or an address, without a port");
  check.That(request.held_size() <= kMaxHeld, "held", absl::StrCat("more than ", kMaxHeld));
  for (const v1::LeaseRef& lease : request.held()) check.Lease(true, lease, "held");
  return check;
}

absl::Status Validate(const v1::LeaseRequest& request) {
  Checker check;
  check.Id(request.worker_id(), "worker_id")
      .Id(request.session(), "session")
      .That(request.poll() >= 1, "poll", "starts from 1")
      .Seq(request.poll(), "poll")
      .Range(request.devices_free(), 0, kMaxDevices, "devices_free")
      .Range(request.rendezvous_port(), 0, 65535, "rendezvous_port")
      .Range(request.wait_ms(), 0, kMaxLeaseWait, "wait_ms")
      .That(request.models_size() <= kMaxModels, "models", absl::StrCat("more than ", kMaxModels));
  for (const std::string& model : request.models())
    check.That(IsHubName(model), "models", absl::StrCat("\"", Shown(model), "\" is not a model's name"));
  check.That(request.sets().sets_size() <= kMaxSets, "sets", absl::StrCat("more than ", kMaxSets));
  for (const v1::DataSet& set : request.sets().sets()) {
    check.That(IsPlainName(set.name()), "sets.name", absl::StrCat("\"", Shown(set.name()), "\" is not a set's name"));
    if (!set.content().empty()) check.Id(set.content(), "sets.content");
  }
  check.That(request.sets().incomplete_size() <= kMaxIncompleteSets, "sets.incomplete",
             absl::StrCat("more than ", kMaxIncompleteSets));
  for (const v1::IncompleteCopy& set : request.sets().incomplete()) {
    check.That(IsPlainName(set.name()), "sets.incomplete.name",
               absl::StrCat("\"", Shown(set.name()), "\" is not a set's name"));
    check.Text(set.gap(), "sets.incomplete.gap", kMaxGap);
  }
  check.That(request.sets().files().names_size() <= kMaxDataFiles, "sets.files",
             absl::StrCat("more than ", kMaxDataFiles));
  for (const std::string& name : request.sets().files().names())
    check.That(IsPlainName(name), "sets.files.names", absl::StrCat("\"", Shown(name), "\" is not a file's name"));
  check.That(request.incomplete_models_size() <= kMaxIncompleteModels, "incomplete_models",
             absl::StrCat("more than ", kMaxIncompleteModels));
  for (const v1::IncompleteCopy& model : request.incomplete_models()) {
    check.That(IsHubName(model.name()), "incomplete_models.name",
               absl::StrCat("\"", Shown(model.name()), "\" is not a model's name"));
    check.Text(model.gap(), "incomplete_models.gap", kMaxGap);
  }
  return check;
}

absl::Status Validate(const v1::HeartbeatRequest& request) {
  Checker check;
  check.Id(request.worker_id(), "worker_id").Id(request.session(), "session");
  check.Range(request.devices_free(), 0, kMaxDevices, "devices_free");
  check.That(request.held_size() <= kMaxHeld, "held", absl::StrCat("more than ", kMaxHeld));
  for (const v1::HeldJob& held : request.held()) {
    check.Lease(held.has_lease(), held.lease(), "held.lease");
    check.That(held.phase() == v1::LEASED || held.phase() == v1::RUNNING || held.phase() == v1::FINALIZING,
               "held.phase", "must be LEASED, RUNNING or FINALIZING");
  }
  check.That(request.gpus_size() <= kMaxDevices, "gpus", absl::StrCat("more than ", kMaxDevices));
  for (const v1::GpuUse& gpu : request.gpus()) {
    check.Range(gpu.memory_bytes(), 0, kMaxGpuBytes, "gpus.memory_bytes");
    check.Range(gpu.memory_used_bytes(), 0, gpu.memory_bytes(), "gpus.memory_used_bytes");
    check.Range(gpu.busy_percent(), 0, 100, "gpus.busy_percent");
  }
  return check;
}

absl::Status Validate(const v1::JoinRequest& request) {
  return Checker()
      .Id(request.worker_id(), "worker_id")
      .Bytes(request.request(), "request", kMaxSigningRequest)
      .That(IsHost(request.advertise()), "advertise", "must be a host name or an address, without a port");
}

absl::Status Validate(const v1::LogInRequest& request) {
  return Checker().Bytes(request.request(), "request", kMaxSigningRequest);
}

absl::Status Validate(const v1::CreateTokenRequest& request) {
  Checker check;
  check.Bytes(request.request(), "request", kMaxSigningRequest);
  const bool join = request.kind() == "join";
  check.That(join || request.kind() == "login" || request.kind() == "token", "kind", "must be join, login or token");
  check.Range(request.ttl_ms(), 1'000, kMaxTokenMs, "ttl_ms").Range(request.uses(), 0, kMaxUses, "uses");
  const std::string& hash = request.secret_sha256();
  check.That(request.kind() == "token" ? hash.size() == 64 && IsLowerHex(hash) : hash.empty(), "secret_sha256",
             "must be 64 hex digits of a token, and nothing of others; sinkctl may be older than the coordinator");
  if (join) return check.That(request.name().empty() && request.role().empty(), "name", "a join token is nobody's");
  check.Name(request.name(), "name");
  return check.That(request.name() != "admin", "name", "admin is the coordinator's own user");
}

absl::Status Validate(const v1::RevokeRequest& request) {
  return Checker().Text(request.principal(), "principal", kMaxText);
}

absl::Status Validate(const v1::ListAuditRequest& request) {
  return Checker().Range(request.limit(), 0, kMaxAuditPage, "limit").That(request.before() >= 0, "before", "negative");
}

absl::Status Validate(const v1::ReportRequest& request) {
  Checker check;
  check.Leased(request);
  check.That(request.events_size() <= kMaxEvents, "events", absl::StrCat("more than ", kMaxEvents));
  size_t bytes = 0;
  for (int i = 0; i < request.events_size() && check.ok(); ++i) {
    const v1::Event& event = request.events(i);
    bytes += event.record().size();
    check.That(event.seq() >= 1, "events.seq", "starts from 1").Seq(event.seq(), "events.seq");
    if (i > 0) check.That(event.seq() == request.events(i - 1).seq() + 1, "events.seq", "has a gap");
  }
  return check.That(bytes <= kMaxEventBytes, "events", absl::StrCat("more than ", kMaxEventBytes >> 10, " KiB"));
}

absl::Status Validate(const v1::BeginCheckpointRequest& request) {
  Checker check;
  check.Leased(request).Range(request.step(), 1, kMaxStep, "step").Id(request.manifest_hash(), "manifest_hash");
  check.That(request.files_size() >= 1 && request.files_size() <= kMaxCheckpointFiles, "files",
             absl::StrCat("must be 1 to ", kMaxCheckpointFiles));
  std::set<std::string> names;
  bool has_manifest = false;
  for (const v1::CheckpointFile& file : request.files()) {
    check.That(run::IsStoredCheckpointFile(file.name()), "files.name",
               absl::StrCat("\"", Shown(file.name()), "\" is not a name of a file in a checkpoint"));
    check.That(names.insert(file.name()).second, "files.name", absl::StrCat(Shown(file.name()), " is there twice"));
    check.That(file.size() <= kMaxFileBytes, "files.size", "over 1 TiB").Id(file.xxh3(), "files.xxh3");
    has_manifest |= file.name() == run::kManifestName && file.xxh3() == request.manifest_hash();
  }
  return check.That(has_manifest, "files", "manifest.json with the hash in manifest_hash must be one of them");
}

absl::Status ValidateFirst(const v1::WriteCheckpointRequest& request) {
  Checker check;
  check.Leased(request).Range(request.step(), 1, kMaxStep, "step");
  return check.ok() ? ValidateNext(request) : check;
}

absl::Status ValidateNext(const v1::WriteCheckpointRequest& request) {
  return Checker()
      .That(run::IsCheckpointFileName(request.file()), "file",
            absl::StrCat("\"", Shown(request.file()), "\" is not a name of a file in a checkpoint"))
      .That(request.offset() <= kMaxFileBytes, "offset", "over 1 TiB")
      .That(request.data().size() <= kMaxChunk, "data", absl::StrCat("more than ", kMaxChunk >> 10, " KiB"));
}

absl::Status Validate(const v1::CommitCheckpointRequest& request) {
  return Checker()
      .Leased(request)
      .Range(request.step(), 1, kMaxStep, "step")
      .Id(request.manifest_hash(), "manifest_hash")
      .Seq(request.events_seq(), "events_seq");
}

absl::Status Validate(const v1::FetchCheckpointRequest& request) {
  return Checker().Leased(request).Range(request.step(), 0, kMaxStep, "step");
}

absl::Status Validate(const v1::FinishRequest& request) {
  Checker check;
  check.Leased(request);
  check.Range(request.outcome(), v1::SUCCEEDED, v1::CANCELLED, "outcome");
  check.Range(request.failure_class(), v1::FAILURE_CLASS_NONE, v1::FailureClass_MAX, "failure_class");
  check.That((request.outcome() == v1::FAILED) == (request.failure_class() != v1::FAILURE_CLASS_NONE), "failure_class",
             "must be given exactly when the outcome is FAILED");
  const auto check_size = [&check](const std::string& text, const char* field) {
    check.That(text.size() <= kMaxMessage, field, absl::StrCat("over ", kMaxMessage >> 10, " KiB"));
  };
  check_size(request.message(), "message");
  check_size(request.undelivered(), "undelivered");
  return check.Seq(request.last_seq(), "last_seq");
}

}  // namespace sink
