// See client_service.h.
#include "coordinator/service/client_service.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/service/convert.h"
#include "coordinator/service/service_time.h"
#include "coordinator/service/study_document.h"
#include "coordinator/service/submission.h"
#include "coordinator/service/sweep_watch.h"
#include "coordinator/service/validate.h"

namespace sink {
namespace {

using std::chrono::milliseconds;

constexpr int kDefaultJobsListed = 1000;
constexpr int kLinesAPage = 1000;
constexpr int kPointsAMessage = 2000;
constexpr size_t kDamagedTold = 100;  // checkpoints
constexpr milliseconds kWatchInterval{1000};
constexpr milliseconds kLogInterval{100};  // between looks at a log that is followed

absl::StatusOr<Sweep> ReadSweep(JobQueries& queries, const std::string& name, v1::GetSweepResponse* response) {
  Gangs gangs;
  const auto sweep = queries.VisitSweep(
      name, [response](const Job& job) { ToProto(job, response->add_jobs()); }, &gangs);
  AddGangs(gangs, response->mutable_jobs());
  if (sweep.ok()) ToProto(*sweep, response->mutable_sweep());
  return sweep;
}

template <typename Response>
void AddWarning(const DiskWatch& disk, Response* response) {
  if (std::string warning = disk.Warning(); !warning.empty()) response->add_warnings(std::move(warning));
  response->set_disk_full(disk.full());
}

// `messages`: of these checkpoints, in their order.
void AddDamage(CheckpointGuard& guard, const std::vector<Checkpoint>& checkpoints,
               google::protobuf::RepeatedPtrField<v1::Checkpoint>* messages) {
  for (size_t i = 0; i < checkpoints.size(); ++i)
    messages->at(static_cast<int>(i)).set_damage(guard.DamageOf(checkpoints[i]));
}

void Answer(const DeleteResult& result, v1::DeleteSweepResponse* response) {
  response->set_deleted(result.deleted);
  response->set_kept(result.kept);
}

grpc::Status ClientHasLeft() { return ToGrpc(absl::CancelledError("the client has left")); }

}  // namespace

grpc::Status ClientServiceImpl::SubmitSweep(grpc::ServerContext* context, const v1::SubmitSweepRequest* request,
                                            v1::SubmitSweepResponse* response) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  if (absl::Status status = disk_->CheckRoom(); !status.ok() && !request->dry_run()) return ToGrpc(status);
  const auto submit = ExpandSubmission(*request);
  if (!submit.ok()) return ToGrpc(submit.status());
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  const absl::Status allowed = access_->MaySubmit(*caller, *submit);
  const auto result = allowed.ok() ? clients_->Submit(*submit, now_()) : allowed;
  if (!submit->dry_run) access_->Record(*context, *caller, "SubmitSweep", submit->sweep, result.status());
  if (!result.ok()) return fail_stop_->Answer(result.status());
  ToProto(*submit, *result, response);
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::ListSweeps(grpc::ServerContext* context, const v1::ListSweepsRequest* request,
                                           v1::ListSweepsResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto sweeps = queries_->ListSweeps();
  if (!sweeps.ok()) return fail_stop_->Answer(sweeps.status());
  for (const Sweep& sweep : *sweeps) ToProto(sweep, response->add_sweeps());
  AddWarning(*disk_, response);
  for (const auto& [checkpoint, damage] : guard_->Damaged(kDamagedTold)) {
    v1::Checkpoint* message = response->add_damaged();
    ToProto(checkpoint, message);
    message->set_damage(damage);
  }
  response->set_version(SINK_VERSION);
  response->set_now_ms(now_().unix_ms);
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::GetSweep(grpc::ServerContext* context, const v1::GetSweepRequest* request,
                                         v1::GetSweepResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  if (request->without_jobs()) {
    const auto alone = queries_->GetSweep(request->name());
    if (!alone.ok()) return fail_stop_->Answer(alone.status());
    ToProto(*alone, response->mutable_sweep());
    AddWarning(*disk_, response);
    return grpc::Status::OK;
  }
  const auto sweep = ReadSweep(*queries_, request->name(), response);
  AddWarning(*disk_, response);
  return sweep.ok() ? grpc::Status::OK : fail_stop_->Answer(sweep.status());
}

grpc::Status ClientServiceImpl::GetStudy(grpc::ServerContext* context, const v1::GetStudyRequest* request,
                                         v1::GetStudyResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto stored = queries_->GetStudy(request->name());
  if (!stored.ok()) return fail_stop_->Answer(stored.status());
  if (stored->empty()) {
    std::vector<std::pair<Membership, std::string>> places;
    const auto sweep = queries_->VisitSweep(request->name(), [&places](const Job& job) {
      for (const Membership& place : job.sweeps) places.emplace_back(place, job.id);
    });
    if (!sweep.ok()) return fail_stop_->Answer(sweep.status());
    StudyFromLabels(std::move(places), response);
  } else if (absl::Status status = DecodeStudy(*stored, response); !status.ok()) {
    return ToGrpc(status);  // one sweep's document is damaged, not the store
  }
  response->set_sweep(request->name());
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                                         v1::ListJobsResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  store::JobQuery query{.sweep = request->sweep(),
                        .states = {},
                        .limit = request->limit() == 0 ? kDefaultJobsListed : request->limit(),
                        .after = request->after()};
  for (int state : request->states()) query.states.push_back(static_cast<JobState>(state));
  AddWarning(*disk_, response);
  Gangs gangs;
  if (request->with_config()) {
    query.limit = std::min(query.limit, kDefaultJobsListed);
    const auto jobs = queries_->ListJobsWithConfigs(query, &gangs);
    if (!jobs.ok()) return fail_stop_->Answer(jobs.status());
    for (const JobWithConfig& entry : *jobs) {
      v1::Job* message = response->add_jobs();
      ToProto(entry.job, message);
      message->set_config_json(entry.config_json);
      message->set_data_set(entry.job.data_set);
      message->set_data_content(entry.job.data_content);
    }
    AddGangs(gangs, response->mutable_jobs());
    return grpc::Status::OK;
  }
  const absl::Status listed = queries_->VisitJobs(
      query, [response](const Job& job) { ToProto(job, response->add_jobs()); }, &gangs);
  AddGangs(gangs, response->mutable_jobs());
  return listed.ok() ? grpc::Status::OK : fail_stop_->Answer(listed);
}

grpc::Status ClientServiceImpl::GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                                       v1::GetJobResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto details = queries_->GetJob(request->id());
  if (!details.ok()) return fail_stop_->Answer(details.status());
  ToProto(*details, response);
  AddDamage(*guard_, details->checkpoints, response->mutable_checkpoints());
  AddWarning(*disk_, response);
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::WhyJob(grpc::ServerContext* context, const v1::WhyJobRequest* request,
                                       v1::WhyJobResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  auto explanation = queries_->Explain(request->id(), now_());
  if (!explanation.ok()) return fail_stop_->Answer(explanation.status());
  if (std::string warning = disk_->WarningFor(explanation->job); !warning.empty())
    explanation->reasons.insert(explanation->reasons.begin(), std::move(warning));
  ToProto(*explanation, response);
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::WatchSweep(grpc::ServerContext* context, const v1::WatchSweepRequest* request,
                                           grpc::ServerWriter<v1::GetSweepResponse>* writer) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto ticket = gate_->Enter(context);
  if (!ticket.ok()) return ToGrpc(ticket.status());
  const milliseconds interval = request->interval_ms() == 0 ? kWatchInterval : milliseconds(request->interval_ms());
  SweepWatch watch(queries_, request->name(), request->changes_only());
  uint64_t told = disk_->changes();  // of its warning
  for (;;) {
    const uint64_t seen = queries_->feed().signal().version();
    const uint64_t disk = disk_->changes();
    const bool warn = !disk_->Warning().empty();
    const auto write = [&](const v1::GetSweepResponse& status) {
      told = disk;
      if (!warn) return ticket->Write(writer, status);
      v1::GetSweepResponse warned = status;
      AddWarning(*disk_, &warned);
      return ticket->Write(writer, warned);
    };
    const auto done = watch.Tell(write);
    if (!done.ok()) return fail_stop_->Answer(done.status());
    if (*done) return grpc::Status::OK;
    // Nothing may change any more when the disk is full: that is news by itself.
    if (told != disk) {
      v1::GetSweepResponse news;
      const auto sweep =
          request->changes_only() ? queries_->GetSweep(request->name()) : ReadSweep(*queries_, request->name(), &news);
      if (!sweep.ok()) return fail_stop_->Answer(sweep.status());
      ToProto(*sweep, news.mutable_sweep());
      news.set_changed_only(request->changes_only());
      if (!write(news)) return ClientHasLeft();
    }
    const absl::Status waited = gate_->Wait(*context, queries_->feed().signal(), seen, interval,
                                            [this, disk] { return disk_->changes() != disk; });
    if (!waited.ok()) return ToGrpc(waited);
  }
}

grpc::Status ClientServiceImpl::Cancel(grpc::ServerContext* context, const v1::CancelRequest* request,
                                       v1::CancelResponse* response) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  auto result = changes_->Cancel({*caller, PeerAddress(*context)}, *request);
  if (!result.ok()) return fail_stop_->Answer(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::Retry(grpc::ServerContext* context, const v1::RetryRequest* request,
                                      v1::RetryResponse* response) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  auto result = changes_->Retry({*caller, PeerAddress(*context)}, *request);
  if (!result.ok()) return fail_stop_->Answer(result.status());
  *response = *std::move(result);
  if (request->has_from_step()) {
    for (const std::string& id : response->job_ids()) guard_->RemoveLeftovers(id);
  }
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::DeleteSweep(grpc::ServerContext* context, const v1::DeleteSweepRequest* request,
                                            v1::DeleteSweepResponse* response) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  const RequestName name = RequestNameOf(*request, caller->name);
  const auto before = clients_->DeletedBefore(name);  // by this caller, whose sweep it is no more
  if (!before.ok()) return fail_stop_->Answer(before.status());
  if (*before) {
    Answer(**before, response);
    return grpc::Status::OK;
  }
  const absl::Status allowed = access_->MayChange(*caller, {request->name(), {}});
  const auto generation = request->has_generation() ? std::optional(request->generation()) : std::nullopt;
  const auto result = allowed.ok() ? clients_->DeleteSweep(request->name(), SystemNow(), generation, name) : allowed;
  access_->Record(*context, *caller, "DeleteSweep", request->name(), result.status());
  if (!result.ok()) return fail_stop_->Answer(result.status());
  if (absl::Status status = access_->principals().Release(request->name()); !status.ok()) return ToGrpc(status);
  fail_stop_->Report(guard_->RemoveDeleted());  // they are deleted, even where their files are not yet
  Answer(*result, response);
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::ReadLogs(grpc::ServerContext* context, const v1::ReadLogsRequest* request,
                                         grpc::ServerWriter<v1::LogLine>* writer) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto ticket = gate_->Enter(context);
  if (!ticket.ok()) return ToGrpc(ticket.status());
  int64_t after = request->after();
  for (int tail = request->tail();; tail = 0) {
    const uint64_t seen = queries_->changes().version();
    const auto page = queries_->ReadLogs(request->job_id(), after, tail, kLinesAPage);
    if (!page.ok()) return fail_stop_->Answer(page.status());
    for (const LogLine& line : page->lines) {
      v1::LogLine message;
      ToProto(line, &message);
      if (!ticket->Write(writer, message)) return ClientHasLeft();
      after = line.cursor;
    }
    const bool end = static_cast<int>(page->lines.size()) < kLinesAPage;
    if (end && (!request->follow() || (page->job_final && page->lines.empty()))) return grpc::Status::OK;
    if (!end || page->job_final) continue;
    const absl::Status waited = gate_->Wait(*context, queries_->changes(), seen, kLogInterval);
    if (!waited.ok()) return ToGrpc(waited);
  }
}

grpc::Status ClientServiceImpl::ReadMetrics(grpc::ServerContext* context, const v1::ReadMetricsRequest* request,
                                            grpc::ServerWriter<v1::MetricPoints>* writer) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto ticket = gate_->EnterTransfer(context);
  if (!ticket.ok()) return ToGrpc(ticket.status());
  const auto ids = JobsOf(*request);
  if (!ids.ok()) return fail_stop_->Answer(ids.status());
  for (const std::string& id : *ids) {
    store::MetricQuery query{.names = {request->names().begin(), request->names().end()},
                             .from_step = request->from_step(),
                             .limit = kPointsAMessage};
    for (bool more = true; more;) {
      const auto points = queries_->ReadMetrics(id, query);
      if (!points.ok()) return fail_stop_->Answer(points.status());
      if (points->empty()) break;
      v1::MetricPoints message;
      message.set_job_id(id);
      for (const MetricPoint& point : *points) ToProto(point, message.add_points());
      if (!ticket->Write(writer, message)) return ClientHasLeft();
      query.after = points->back().id;
      more = points->size() == static_cast<size_t>(kPointsAMessage);
    }
  }
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::ReadHeatmaps(grpc::ServerContext* context, const v1::ReadHeatmapsRequest* request,
                                             grpc::ServerWriter<v1::Heatmap>* writer) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto ticket = gate_->EnterTransfer(context);
  if (!ticket.ok()) return ToGrpc(ticket.status());
  const auto ids = JobsOf(*request);
  if (!ids.ok()) return fail_stop_->Answer(ids.status());
  for (const std::string& id : *ids) {
    const auto heatmaps = queries_->ReadHeatmaps(id);
    if (!heatmaps.ok()) return fail_stop_->Answer(heatmaps.status());
    for (const Heatmap& heatmap : *heatmaps) {
      v1::Heatmap message;
      ToProto(heatmap, &message);
      message.set_job_id(id);
      if (!ticket->Write(writer, message)) return ClientHasLeft();
    }
  }
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest* request,
                                            v1::ListWorkersResponse* response) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const Now now = now_();
  const auto workers = queries_->ListWorkers(now, request->retired());
  if (!workers.ok()) return fail_stop_->Answer(workers.status());
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  for (const Worker& worker : *workers) {
    v1::Worker* message = response->add_workers();
    ToProto(worker, message);
    if (caller->role == Role::kAdmin) continue;
    message->clear_id();  // where a machine is, is for those who run it
    message->clear_address();
  }
  response->set_now_ms(now.unix_ms);
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::ListCheckpoints(grpc::ServerContext* context, const v1::ListCheckpointsRequest* request,
                                                v1::ListCheckpointsResponse* response) {
  if (const auto caller = access_->callers().Of(*context); !caller.ok()) return ToGrpc(caller.status());
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto rows = queries_->ListCheckpoints(request->job_id());
  if (!rows.ok()) return fail_stop_->Answer(rows.status());
  ToProto(*rows, response->mutable_checkpoints());
  AddDamage(*guard_, *rows, response->mutable_checkpoints());
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::DownloadCheckpoint(grpc::ServerContext* context,
                                                   const v1::DownloadCheckpointRequest* request,
                                                   grpc::ServerWriter<v1::CheckpointChunk>* writer) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  const auto record = [&](const absl::Status& done) {
    access_->Record(*context, *caller, "DownloadCheckpoint", request->job_id(), done);
  };
  const absl::Status allowed = access_->MayDownload(*caller, request->job_id());
  if (!allowed.ok()) record(allowed);
  if (!allowed.ok()) return fail_stop_->Answer(allowed);
  const auto ticket = gate_->EnterTransfer(context);
  if (!ticket.ok()) {  // which a client does not take for an answer, and asks again
    access_->RecordRefusal({*caller, PeerAddress(*context)}, "DownloadCheckpoint", ticket.status());
    return ToGrpc(ticket.status());
  }
  const auto rows = queries_->ListCheckpoints(request->job_id());
  if (!rows.ok()) record(rows.status());
  if (!rows.ok()) return fail_stop_->Answer(rows.status());
  bool begun = false;
  const auto send = [&](const v1::CheckpointChunk& chunk) {
    if (!begun) record(absl::OkStatus());  // before any byte is handed out, and once more if it does not end well
    begun = true;
    return ticket->Write(writer, chunk);
  };
  const absl::Status sent = guard_->Send(*rows, request->step(), SentTo::kPeople, send);
  if (!sent.ok()) record(sent);
  return ToGrpc(sent);
}

grpc::Status ClientServiceImpl::VerifyCheckpoints(grpc::ServerContext* context,
                                                  const v1::VerifyCheckpointsRequest* request,
                                                  v1::VerifyCheckpointsResponse* response) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto ticket = gate_->EnterTransfer(context);
  if (!ticket.ok()) return ToGrpc(ticket.status());
  const auto rows = queries_->ListCheckpoints(request->job_id());
  if (!rows.ok()) return fail_stop_->Answer(rows.status());
  const auto found = guard_->Verify(*rows);
  if (!found.ok()) return ToGrpc(found.status());
  for (const auto& [checkpoint, damage] : *found) {
    v1::CheckpointHealth* health = response->add_checkpoints();
    ToProto(checkpoint, health->mutable_checkpoint());
    health->set_damage(damage);
  }
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::DropCheckpoints(grpc::ServerContext* context, const v1::DropCheckpointsRequest* request,
                                                v1::DropCheckpointsResponse*) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  absl::Status dropped = access_->MayChange(*caller, {.sweep = "", .jobs = {request->job_id()}});
  if (dropped.ok()) dropped = checkpoints_->Drop(request->job_id(), {request->steps().begin(), request->steps().end()});
  access_->Record(*context, *caller, "DropCheckpoints", request->job_id(), dropped);
  if (dropped.ok()) guard_->RemoveLeftovers(request->job_id());
  return fail_stop_->Answer(dropped);
}

grpc::Status ClientServiceImpl::PinCheckpoint(grpc::ServerContext* context, const v1::PinCheckpointRequest* request,
                                              v1::PinCheckpointResponse*) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  // What one pins nobody loses; what others want as well one does not give up alone.
  absl::Status done = request->pinned() ? access_->MayPin(*caller, request->job_id())
                                        : access_->MayChange(*caller, {.sweep = "", .jobs = {request->job_id()}});
  if (done.ok()) done = checkpoints_->Pin(request->job_id(), request->step(), request->pinned());
  access_->Record(*context, *caller, request->pinned() ? "PinCheckpoint" : "UnpinCheckpoint", request->job_id(), done);
  return fail_stop_->Answer(done);
}

grpc::Status ClientServiceImpl::HoldWorkers(grpc::ServerContext* context, const v1::HoldWorkersRequest* request,
                                            v1::HoldWorkersResponse*) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  return fail_stop_->Answer(changes_->HoldWorkers({*caller, PeerAddress(*context)}, *request));
}

grpc::Status ClientServiceImpl::SetPriority(grpc::ServerContext* context, const v1::SetPriorityRequest* request,
                                            v1::SetPriorityResponse* response) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  auto result = changes_->SetPriority({*caller, PeerAddress(*context)}, *request);
  if (!result.ok()) return fail_stop_->Answer(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

grpc::Status ClientServiceImpl::CollectGarbage(grpc::ServerContext* context, const v1::CollectGarbageRequest* request,
                                               v1::CollectGarbageResponse* response) {
  if (absl::Status status = Validate(*request); !status.ok()) return ToGrpc(status);
  const RetentionPolicy policy{.full_for_ms = request->older_than_ms(), .best = request->keep_best()};
  const auto caller = access_->callers().Of(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  const auto result =
      retention_->Collect(policy, request->dry_run(), now_(), [context] { return context->IsCancelled(); });
  if (!request->dry_run()) access_->Record(*context, *caller, "CollectGarbage", "", result.status());
  if (!result.ok()) return fail_stop_->Answer(result.status());
  response->set_jobs(result->jobs);
  response->set_points_before(result->points_before);
  response->set_points_after(result->points_after);
  return grpc::Status::OK;
}

}  // namespace sink
