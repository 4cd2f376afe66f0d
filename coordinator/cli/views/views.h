// How jobs, sweeps, workers and the rest look to a reader: columns over the documents of documents.h, and the pages
// that several commands share. Pure functions; any thread may call them.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/cli/print/printer.h"
#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/time_left.h"
#include "coordinator/report/study.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

inline constexpr int kLabelWidth = 21;  // least of a label in tables: "learning_rate=0.0004" and an ellipsis
inline constexpr size_t kShortId = 8;   // of a job's id in tables; enough to name it again

// A column that shows a field as it is; the number kinds are right-aligned. Null shows as "-".
Column TextColumn(std::string title, std::string field, int min_width = 0, int drop = 0);
Column FixedColumn(std::string title, std::string field, int decimals, int drop = 0);
Column CountColumn(std::string title, std::string field, int drop = 0);    // "12.3k"
Column PowerColumn(std::string title, std::string field, int drop = 0);    // "8.1e18"
Column IntegerColumn(std::string title, std::string field, int drop = 0);  // every digit
Column BytesColumn(std::string title, std::string field, int drop = 0);
Column DurationColumn(std::string title, std::string field, int drop = 0);  // of seconds
Column TimeColumn(std::string title, std::string field, int drop = 0);
Column JobIdColumn(std::string field);
Column StateColumn();
Column WorkerStateColumn();  // with its hold
Column MarkColumn();         // of a checkpoint among all of its job's: damaged, pinned, best

// A worker's document in which its state is told, in either case, as connected.
bool IsConnected(const Json& worker);
Cell StateCell(const std::string& state);  // "RUNNING" -> "running", in its colour
using report::ShortLabel;                  // "train.learning_rate=0.001" -> "learning_rate=0.001"

// Columns of a list of jobs; `in_sweep`: rows carry experiment and label.
std::vector<Column> JobColumns(bool in_sweep);

// What is left of a sweep. A job of a cancelled sweep that goes on for another one counts as CANCELLED.
struct SweepTotals {
  int jobs = 0, done = 0;  // done: in a final state
  int failed = 0;          // FAILED, or CANCELLED by a person
  int stopped_early = 0;   // CANCELLED by early stopping, as the sweep asks
  double fraction = 0;     // of all steps that are done, 0..1
  double tokens_per_second = 0;
  std::optional<TimeLeft> left;  // none: unknown, as long as nothing runs or the coordinator's disk is full
};
SweepTotals Total(const v1::GetSweepResponse& status, int64_t now_ms);

// The job's place in that sweep (its first one), or an empty place.
v1::Membership PlaceIn(const v1::Job& job, const std::string& sweep);

// Jobs of a cancelled sweep that go on, and the other sweeps that want them.
struct JobsOfOthers {
  std::set<std::string> jobs;  // ids
  std::set<std::string> sweeps;
};
void AddJobsOfOthers(const v1::GetSweepResponse& status, JobsOfOthers* kept);
std::string GoesOnText(const JobsOfOthers& kept);  // "2 jobs go on: sweep optimization wants them"

// {"sweep", "jobs", "totals" {jobs done failed stopped_early fraction eta_seconds eta_seconds_range [least, most]
// tokens_per_second}}, as headline, table and footer. At most `max_rows` jobs in the table; when there are more, those
// that run or have failed come first. Rates and what is left are null, and not shown, while the coordinator's disk is
// full: jobs may stand still, and the last that was heard of them would stay.
Page SweepPage(const v1::GetSweepResponse& status, int64_t now_ms, size_t max_rows = SIZE_MAX);

// "4 running", "1 failed", "7 queued": the counts of a sweep document, live states first.
std::vector<Cell> StateCounts(const Json& states);

}  // namespace sink::cli
