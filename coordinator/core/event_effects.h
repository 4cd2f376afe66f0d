// What a trainer's event records do to a job: parsed before the transaction, applied within it. Values only; any
// thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/core/requests.h"
#include "coordinator/job/job.h"
#include "proto/pipe/events.h"

namespace sink {

// Names of metrics that one job may have, and as many of heat maps.
inline constexpr size_t kMaxSeries = 1000;
// Points and cells of heat maps that are kept of one job over all its attempts: some 180 MB in the database, a hundred
// times what the longest run of the study measures. Beyond it the newest values are still told. What a retry from a
// step takes away does not count any more.
inline constexpr int64_t kMaxNumbers = 20'000'000;
// A heat map counts as so many numbers at least: its row has a cost of its own.
inline constexpr int64_t kLeastNumbersOfMap = 64;
inline int64_t NumbersOfMap(int64_t cells) { return std::max(kLeastNumbersOfMap, cells); }

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

bool HasHeatmaps(const std::vector<ParsedEvent>& events);

// Applies the events after job->event_cursor, in order, to progress and cursor. Returns false, with nothing changed,
// when events are missing before the first new one. A record that cannot be read becomes an error line in the log.
// `maps`: the names of the heat maps that the job has; only needed where HasHeatmaps.
bool ApplyEvents(const std::vector<ParsedEvent>& events, const std::vector<std::string>& maps, Job* job,
                 EventEffects* effects);

}  // namespace sink
