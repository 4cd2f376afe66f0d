#include "coordinator/cli/views/follow.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/overview.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);  // with a coordinator that has gone away
constexpr absl::Duration kRedraw = absl::Seconds(1);
constexpr int64_t kSummaryMs = 10'000;
constexpr size_t kJobsInSummary = 4;

Outcome Interrupted() {
  return {kInterrupted, "stopped watching; the jobs go on, see them again with `sinkctl status`"};
}

std::string Elapsed(int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "[%3d:%02d]", static_cast<int>(ms / 60'000), static_cast<int>(ms / 1000 % 60));
  return text;
}

// "loss 2.310", "valid 2.401", "sink 12.5%": what is known of a job.
void AddMeasurements(const v1::Progress& progress, std::vector<Cell>& line) {
  const Measurements m = Measure(progress);
  if (m.train_loss) line.push_back({"loss " + FormatFixed(*m.train_loss, 3)});
  if (m.validation_loss) line.push_back({"valid " + FormatFixed(*m.validation_loss, 3)});
  if (m.sink_rate) line.push_back({"sink " + FormatFixed(100 * *m.sink_rate, 1) + "%"});
  if (m.alpha_mean) line.push_back({"alpha1 " + FormatFixed(*m.alpha_mean, 3)});
}

std::string Steps(const v1::Progress& progress) {
  return std::to_string(progress.step()) +
         (progress.max_steps() > 0 ? "/" + std::to_string(progress.max_steps()) : std::string());
}

// Tells about an outage once, and how long it may still last.
class Outage {
 public:
  explicit Outage(Session& session) : session_(session) {}
  void Over() { since_ms_ = 0; }
  // After a failed call: waits a little; an outcome when it is time to give up.
  std::optional<Outcome> Wait(const absl::Status& status) {
    if (session_.world().interrupt.triggered()) return Interrupted();
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return FromStatus(status);
    const int64_t now = session_.world().now_ms();
    if (since_ms_ == 0) {
      since_ms_ = now;
      session_.world().err << "sinkctl: the coordinator does not answer; trying for a minute (jobs go on)" << std::endl;
    }
    if (now - since_ms_ > absl::ToInt64Milliseconds(kPatience)) return FromStatus(status);
    if (!session_.world().interrupt.Sleep(kRedraw)) return Interrupted();
    return std::nullopt;
  }

 private:
  Session& session_;
  int64_t since_ms_ = 0;
};

}  // namespace

size_t LivePage::RoomForRows(size_t other_lines) const {
  const int rows = session_.world().window().rows;
  const size_t room = rows > 0 ? static_cast<size_t>(rows) : 24;
  return room > other_lines + 2 ? room - other_lines - 2 : 2;
}

void LivePage::Show(const Page& page) {
  const std::string text = RenderPage(page, session_.width(), session_.color());
  std::ostream& out = session_.world().out;
  if (shown_lines_ > 0) out << "\x1b[" << shown_lines_ << "A\r";
  out << "\x1b[J" << text << std::flush;
  shown_lines_ = static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

bool WatchedSweep::Take(const v1::GetSweepResponse& update) {
  if (!update.changed_only()) {
    status_.Clear();
    places_.clear();
  }
  *status_.mutable_sweep() = update.sweep();
  *status_.mutable_warnings() = update.warnings();
  status_.set_disk_full(update.disk_full());
  for (const v1::Job& job : update.jobs()) {
    const auto [place, is_new] = places_.try_emplace(job.id(), status_.jobs_size());
    *(is_new ? status_.add_jobs() : status_.mutable_jobs(place->second)) = job;
  }
  return !update.more();
}

void ChangeLog::Show(const v1::GetSweepResponse& status, int64_t now_ms) {
  const Cell time = {Elapsed(now_ms - start_ms_), Style::kDim};
  const bool first = states_.empty();
  std::vector<Cell> running_jobs;
  size_t running = 0;
  for (const v1::Job& job : status.jobs()) {
    const v1::JobState before = std::exchange(states_[job.id()], job.state());
    const std::string id = job.id().substr(0, kShortId);
    const bool runs = job.state() == v1::RUNNING && !IsLeftToOthers(job, status.sweep().name());
    if (runs && running++ < kJobsInSummary) {
      std::vector<Cell> about = {{id + " " + Steps(job.progress())}};
      AddMeasurements(job.progress(), about);
      std::string text;
      for (const Cell& cell : about) text += (text.empty() ? "" : " ") + cell.text;
      running_jobs.push_back({text});
    }
    const bool waiting = job.state() == v1::QUEUED || job.state() == v1::LEASED || job.state() == v1::FINALIZING;
    const bool tried_again = job.state() == v1::QUEUED && job.attempt() > 0;
    if (before == job.state() || first || (waiting && !tried_again)) continue;
    std::vector<Cell> line = {time, {id}, StateCell(StateName(job.state()))};
    line.push_back({ShortLabel(PlaceIn(job, status.sweep().name()).label())});
    if (job.state() == v1::RUNNING) line.push_back({"on " + job.worker()});
    if (IsFinal(job.state())) {
      line.push_back({"step " + Steps(job.progress())});
      AddMeasurements(job.progress(), line);
    }
    if (!job.message().empty()) line.push_back({job.message()});
    printer_.PrintItem({}, line);
  }
  const std::string warning = status.warnings().empty() ? "" : status.warnings(0);
  if (warning != warning_ && !warning.empty()) printer_.PrintItem({}, {time, {warning, Style::kRed}});
  warning_ = warning;
  const SweepTotals totals = Total(status, now_ms);
  const bool finished = totals.done == totals.jobs;
  if (!first && !finished && now_ms - last_summary_ms_ < kSummaryMs) return;
  last_summary_ms_ = now_ms;
  std::vector<Cell> line = {time,
                            {status.sweep().name(), Style::kBold},
                            {FormatFixed(std::floor(100 * totals.fraction), 0) + "%"},
                            {std::to_string(totals.done) + "/" + std::to_string(totals.jobs) + " jobs done"}};
  if (totals.failed > 0) line.push_back({std::to_string(totals.failed) + " failed", Style::kRed});
  if (!finished && totals.left) line.push_back({FormatTimeLeft(*totals.left)});
  line.insert(line.end(), running_jobs.begin(), running_jobs.end());
  if (running > kJobsInSummary) line.push_back({"and " + std::to_string(running - kJobsInSummary) + " more"});
  printer_.PrintItem({}, line);
}

namespace {

// Until every job is over for the sweep, or `go_on` does not hold; it gets every whole status.
Outcome Receive(Session& session, const std::string& sweep, WatchedSweep* watched,
                absl::FunctionRef<bool(const v1::GetSweepResponse&)> go_on) {
  const Interrupt& interrupt = session.world().interrupt;
  Outage outage(session);
  v1::WatchSweepRequest request;
  request.set_name(sweep);
  request.set_changes_only(true);
  for (;;) {
    const absl::Status status = session.client().WatchSweep(request, [&](const v1::GetSweepResponse& update) {
      outage.Over();
      const bool stay = !watched->Take(update) || go_on(watched->status());
      return stay && !interrupt.triggered();
    });
    if (interrupt.triggered()) return Interrupted();
    if (status.ok()) return {};
    if (const auto outcome = outage.Wait(status)) return *outcome;
  }
}

// Watches until every job is over for the sweep; `show` gets every whole status.
Outcome Watch(Session& session, const std::string& sweep, WatchedSweep* watched,
              absl::FunctionRef<void(const v1::GetSweepResponse&)> show) {
  Outcome outcome = Receive(session, sweep, watched, [&show](const v1::GetSweepResponse& status) {
    show(status);
    return true;
  });
  if (outcome.code != kOk) return outcome;
  if (const int failed = Total(watched->status(), session.world().now_ms()).failed; failed > 0) {
    JobsOfOthers kept;
    AddJobsOfOthers(watched->status(), &kept);
    const std::string others = kept.jobs.empty() ? "" : " (" + GoesOnText(kept) + ")";
    return {kFailedWork, std::to_string(failed) + " of " + std::to_string(watched->status().jobs_size()) +
                             " jobs did not succeed" + others + "; see `sinkctl status " + sweep +
                             "`, `sinkctl logs ID`, then `sinkctl retry " + sweep + "`"};
  }
  return {};
}

}  // namespace

Outcome FollowSweep(Session& session, const std::string& sweep) {
  World& world = session.world();
  const bool in_place = world.out_is_terminal && session.format() == Format::kTable;
  LivePage live(session);
  ChangeLog changes(session.printer(), world.now_ms());
  WatchedSweep watched;
  return Watch(session, sweep, &watched, [&](const v1::GetSweepResponse& status) {
    const int64_t now = world.now_ms();
    if (session.format() == Format::kJson) {
      session.printer().PrintItem(SweepPage(status, now).document, {});
    } else if (in_place) {
      live.Show(SweepPage(status, now, live.RoomForRows(/*headline, heading, footer, failures=*/8)));
    } else {
      changes.Show(status, now);
    }
  });
}

Outcome WaitForSweep(Session& session, const std::string& sweep, v1::GetSweepResponse* last) {
  WatchedSweep watched;
  Outcome outcome = Watch(session, sweep, &watched, [](const v1::GetSweepResponse&) {});
  *last = watched.status();
  return outcome;
}

Outcome WatchUntil(Session& session, const std::string& sweep,
                   absl::FunctionRef<bool(const v1::GetSweepResponse&)> enough) {
  WatchedSweep watched;
  return Receive(session, sweep, &watched, [&enough](const v1::GetSweepResponse& status) { return !enough(status); });
}

Outcome WaitForJob(Session& session, const std::string& id, v1::Job* last) {
  Outage outage(session);
  v1::GetJobRequest request;
  request.set_id(id);
  for (;;) {
    const auto response = session.client().GetJob(request);
    if (!response.ok()) {
      if (const auto outcome = outage.Wait(response.status())) return *outcome;
      continue;
    }
    outage.Over();
    *last = response->job();
    if (IsFinal(last->state())) break;
    if (!session.world().interrupt.Sleep(kRedraw)) return Interrupted();
  }
  if (last->state() == v1::SUCCEEDED) return {};
  return {kFailedWork, "job " + last->id().substr(0, kShortId) + " did not succeed; see `sinkctl why " +
                           last->id().substr(0, kShortId) + "`"};
}

Outcome FollowAll(Session& session) {
  World& world = session.world();
  LivePage live(session);
  Outage outage(session);
  std::string before;
  for (;;) {
    const auto overview = FetchOverview(session);
    if (!overview.ok()) {
      if (const auto outcome = outage.Wait(overview.status())) return *outcome;
      continue;
    }
    outage.Over();
    const Page page = OverviewPage(*overview, session.coordinator, live.RoomForRows(10));
    if (session.format() == Format::kJson) {
      session.printer().PrintItem(page.document, {});
    } else if (world.out_is_terminal) {
      live.Show(page);
    } else {
      const std::vector<Cell> line = OverviewLine(*overview);
      std::string text;
      for (const Cell& cell : line) text += cell.text + "  ";
      if (text != before) session.printer().PrintItem({}, line);
      before = text;
    }
    if (Outstanding(*overview) == 0) return {};
    if (!world.interrupt.Sleep(kRedraw)) return Interrupted();
  }
}

}  // namespace sink::cli
