// What a store is asked for and what it answers, beside the coordinator's own rows (coordinator/job): plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coordinator/job/job.h"

namespace sink::store {

struct JobQuery {
  std::string sweep;             // empty: every sweep
  std::vector<JobState> states;  // empty: every state
  int limit = 0;                 // 0: no limit
  std::string after;             // id of the last job of the page before; NOT_FOUND when there is no such job
  bool places = false;           // with the memberships in every sweep
};

struct MetricQuery {
  std::vector<std::string> names;  // empty: all; a trailing '*' matches any ending
  int64_t from_step = 0;
  int64_t after = 0;  // point id, of an earlier answer; ABORTED where the job's points were thinned since: begin anew
  int limit = 1000;
};

// Some of a job's points, in order of id.
struct MetricSample {
  std::vector<MetricPoint> points;
  int64_t last = 0;  // id of the job's last point, whatever its name: what comes later has a larger one
};

// A job in a final state, as retention looks for it.
struct EndedJob {
  std::string id;
  int64_t finished_ms = 0;
  int64_t order = 0;  // submission order
};

// What thinning the measurements of a job came to.
struct Thinned {
  int64_t points_before = 0;
  int64_t points_after = 0;
  std::map<std::string, double> newest;  // of what is left, by curve
  std::vector<int64_t> map_cells = {};   // of each heat map that is left
};

// What is remembered of a request, to answer its repetition.
struct RequestRecord {
  std::string request_id;
  std::string body_hash;
  std::string response;
};

// A job whose rows are gone, and whose files may be there yet: those of its attempts up to `last_fence`, since a later
// job of this id writes with a higher one.
struct DeletedJob {
  std::string id;
  uint64_t last_fence = 0;

  bool operator==(const DeletedJob&) const = default;
};

}  // namespace sink::store
