// What pages may watch, by name:
//
//   overview              every sweep with its totals, and how many workers there are
//   workers               each of them, with its devices
//   sweep/NAME            a sweep and a row for each of its jobs
//   verdicts/NAME         which of the paper's takeaways it bears out
//   job/ID                a job in full, its attempts and checkpoints, and why it is where it is
//   curves/NAME/METRIC    one metric of every job of a sweep (of the first 400), over its steps
//   compare/IDS/METRIC    the same of some jobs, by their ids with commas between
//   points/ID             every metric of a job
//   heat/ID               a job's maps by layer and head
//   log/ID                the end of a job's log, and what follows
//
// ID is a job's whole id. The forms of their JSON are told beside each class; sweeps, jobs, attempts, checkpoints and
// workers are in them as protobuf's JSON of proto/sink/v1.
#pragma once

#include <memory>
#include <string>

#include "coordinator/core/job_queries.h"
#include "coordinator/service/disk_watch.h"
#include "coordinator/service/service_time.h"
#include "coordinator/web/topic.h"

namespace sink::web {

struct TopicSources {
  JobQueries* queries = nullptr;
  const DiskWatch* disk = nullptr;
  NowFn now;
};

// Nothing when no topic is called so. What `sources` points to outlives the topic.
std::unique_ptr<Topic> MakeTopic(const TopicSources& sources, const std::string& name);

std::unique_ptr<Topic> MakeOverviewTopic(const TopicSources& sources);
std::unique_ptr<Topic> MakeWorkersTopic(const TopicSources& sources);
std::unique_ptr<Topic> MakeSweepTopic(const TopicSources& sources, std::string sweep);
std::unique_ptr<Topic> MakeVerdictsTopic(const TopicSources& sources, std::string sweep);
std::unique_ptr<Topic> MakeJobTopic(const TopicSources& sources, std::string id);
// `sweep` or `jobs`; `metric` empty: all.
std::unique_ptr<Topic> MakeCurveTopic(const TopicSources& sources, std::string sweep, std::vector<std::string> jobs,
                                      std::string metric);
std::unique_ptr<Topic> MakeHeatTopic(const TopicSources& sources, std::string id);
std::unique_ptr<Topic> MakeLogTopic(const TopicSources& sources, std::string id);

}  // namespace sink::web
