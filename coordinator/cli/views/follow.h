// Watches a sweep until every job is final, or the sweep is cancelled and what has not ended goes on for others:
// redrawn in place on a terminal, a line for each change elsewhere, a JSON document for each update with --json. Used
// by submit --follow, status --watch and wait, on the main thread.
#pragma once

#include <map>
#include <string>

#include "absl/functional/function_ref.h"
#include "coordinator/cli/base/command.h"
#include "sink/v1/client.pb.h"

namespace sink::cli {

// kFailedWork when a job has failed or was cancelled, be it for this sweep alone; kInterrupted after Ctrl-C, which
// leaves the jobs alone. A coordinator that goes away is waited for, for a minute.
Outcome FollowSweep(Session& session, const std::string& sweep);

// The same without a word until it is over. `last`: the status then, as it was sent.
Outcome WaitForSweep(Session& session, const std::string& sweep, v1::GetSweepResponse* last);

// The same until `enough` holds of its status, or the sweep is over; what has failed by then is no failure of it.
Outcome WatchUntil(Session& session, const std::string& sweep,
                   absl::FunctionRef<bool(const v1::GetSweepResponse&)> enough);

// Asks once a second until the job is final; codes as FollowSweep's. `last`: the job then.
Outcome WaitForJob(Session& session, const std::string& id, v1::Job* last);

// The same for every sweep that is stored: redraws the overview, each second, until nothing is left to run. Then kOk,
// whatever has failed: much of it was there before, and is no news.
Outcome FollowAll(Session& session);

// A page that replaces the one before it on a terminal.
class LivePage {
 public:
  explicit LivePage(Session& session) : session_(session) {}
  // Rows of tables that the window has room for, when everything else takes `other_lines`.
  size_t RoomForRows(size_t other_lines) const;
  void Show(const Page& page);

 private:
  Session& session_;
  int shown_lines_ = 0;
};

// The whole status of a sweep, put together from what WatchSweep sends with changes_only.
class WatchedSweep {
 public:
  // False while more of the status is to come: it is not to be shown yet.
  bool Take(const v1::GetSweepResponse& update);
  const v1::GetSweepResponse& status() const { return status_; }

 private:
  v1::GetSweepResponse status_;
  std::map<std::string, int> places_;  // in status_.jobs, by id
};

// What changed in a sweep since the last update, as lines for a log file.
class ChangeLog {
 public:
  ChangeLog(Printer& printer, int64_t start_ms) : printer_(printer), start_ms_(start_ms) {}
  void Show(const v1::GetSweepResponse& status, int64_t now_ms);

 private:
  Printer& printer_;
  const int64_t start_ms_;
  int64_t last_summary_ms_ = 0;
  std::map<std::string, v1::JobState> states_;
  std::string warning_;  // the last that was shown
};

}  // namespace sink::cli
