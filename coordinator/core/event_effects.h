// What a trainer's event records do to a job: parsed before the transaction, applied within it. Values only; any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/core/requests.h"
#include "coordinator/job/job.h"
#include "proto/pipe/events.h"

namespace sink {

// Names of metrics that one job may have.
inline constexpr size_t kMaxSeries = 1000;

struct ParsedEvent {
  uint64_t seq = 0;
  int64_t time_ms = 0;
  pipe::ParseResult record;
};
std::vector<ParsedEvent> ParseEvents(const std::vector<Event>& events);

// Rows to store and what changes in the job.
struct EventEffects {
  std::vector<MetricPoint> metrics;
  std::vector<Heatmap> heatmaps;
  std::vector<LogLine> logs;
  bool said_hello = false;
};

// Applies the events after job->event_cursor, in order, to progress and cursor. Returns false, with nothing changed,
// when events are missing before the first new one. A record that cannot be read becomes an error line in the log.
bool ApplyEvents(const std::vector<ParsedEvent>& events, Job* job, EventEffects* effects);

}  // namespace sink
