// sinkctl top: sweeps, jobs with their curves, and workers, live, on the whole of a terminal; once, as text, elsewhere.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>

#include "coordinator/cli/commands.h"
#include "coordinator/cli/top/render_top.h"
#include "coordinator/cli/views/views.h"

namespace sink::cli {
namespace {

constexpr std::chrono::seconds kAskEvery(1);
constexpr absl::Duration kNoticeEvery = absl::Milliseconds(200);  // Ctrl-C and the time
constexpr int kMostJobs = 1000;                                   // of a sweep, or at work
constexpr int kMostOthers = 200;                                  // that wait or have ended, where all sweeps are shown
constexpr size_t kCurvesAtOnce = 4;
constexpr size_t kJobsWithCurves = 100;  // that a text without keys looks up
constexpr int kLogLines = 1000;
constexpr char kLoss[] = "train_loss", kAlpha[] = "alpha_mean/1";

// Jobs that are at work, then some of the others; of one sweep: all, in its order.
absl::Status AskForJobs(Session& session, TopState* state) {
  std::vector<v1::ListJobsRequest> requests(state->sweep.empty() ? 2 : 1);
  requests[0].set_limit(kMostJobs);
  requests[0].set_sweep(state->sweep);
  if (state->sweep.empty()) {
    for (const v1::JobState at_work : {v1::LEASED, v1::RUNNING, v1::DISCONNECTED, v1::FINALIZING})
      requests[0].add_states(at_work);
    requests[1].set_limit(kMostOthers);
  }
  Json jobs = Json::array();
  std::set<std::string> seen;
  for (const v1::ListJobsRequest& request : requests) {
    const auto response = session.client().ListJobs(request);
    if (!response.ok()) return response.status();
    for (const v1::Job& job : response->jobs()) {
      if (!seen.insert(job.id()).second) continue;
      const std::string sweep = !state->sweep.empty() || job.sweeps_size() == 0 ? state->sweep : job.sweeps(0).sweep();
      jobs.push_back(ToJson(job, PlaceIn(job, sweep)));
      JobCurves& curves = state->curves[job.id()];
      const Measurements now = Measure(job.progress());
      const int64_t step = job.progress().step();
      if (now.train_loss && step > curves.loss.last_step()) curves.loss.Add(step, *now.train_loss);
      if (now.alpha_mean && step > curves.alpha.last_step()) curves.alpha.Add(step, *now.alpha_mean);
    }
  }
  std::erase_if(state->curves, [&seen](const auto& entry) { return !seen.contains(entry.first); });
  state->jobs = std::move(jobs);
  return absl::OkStatus();
}

absl::Status AskForLog(Session& session, TopState* state) {
  v1::ReadLogsRequest request;
  request.set_job_id(state->log_of);
  if (state->log.empty()) {
    request.set_tail(kLogLines);
  } else {
    request.set_after(state->log.back().cursor());
  }
  const size_t before = state->log.size();
  const absl::Status status = session.client().ReadLogs(request, [state](const v1::LogLine& line) {
    state->log.push_back(line);
    return true;
  });
  if (state->log_back > 0) state->log_back += state->log.size() - before;  // what is on the screen stays there
  return status;
}

absl::Status Ask(Session& session, TopState* state) {
  if (!state->log_of.empty()) return AskForLog(session, state);
  const auto sweeps = session.client().ListSweeps({});
  if (!sweeps.ok()) return sweeps.status();
  const auto workers = session.client().ListWorkers({});
  if (!workers.ok()) return workers.status();
  const auto has_name = [state](const v1::Sweep& sweep) { return sweep.name() == state->sweep; };
  if (std::none_of(sweeps->sweeps().begin(), sweeps->sweeps().end(), has_name)) state->sweep.clear();
  if (const absl::Status status = AskForJobs(session, state); !status.ok()) return status;
  if (sweeps->disk_full())
    for (Json& job : state->jobs) ForgetPace(&job);
  state->sweeps = state->workers = Json::array();
  for (const v1::Sweep& sweep : sweeps->sweeps()) state->sweeps.push_back(ToJson(sweep));
  for (const v1::Worker& worker : workers->workers()) state->workers.push_back(ToJson(worker));
  state->warnings.assign(sweeps->warnings().begin(), sweeps->warnings().end());
  state->now_ms = session.world().now_ms();
  return absl::OkStatus();
}

// What those jobs have measured before the first look at them; of at most `most` of them.
absl::Status ReadCurves(Session& session, const std::vector<std::string>& ids, size_t most, TopState* state) {
  for (const std::string& id : ids) {
    const auto found = state->curves.find(id);
    if (found == state->curves.end() || found->second.read) continue;
    if (most-- == 0) break;
    JobCurves curves;
    curves.read = true;
    v1::ReadMetricsRequest request;
    request.set_job_id(id);
    request.add_names(kLoss);
    request.add_names(kAlpha);
    const absl::Status status = session.client().ReadMetrics(request, [&curves](const v1::MetricPoints& batch) {
      for (const v1::MetricPoint& point : batch.points())
        (point.name() == kLoss ? curves.loss : curves.alpha).Add(point.step(), point.value());
      return true;
    });
    if (absl::IsAborted(status)) continue;  // thinned meanwhile: the next look reads it anew
    if (!status.ok()) return status;
    found->second = std::move(curves);
  }
  return absl::OkStatus();
}

void Draw(const std::vector<std::string>& lines, std::ostream& out) {
  std::string frame = "\x1b[H";
  for (size_t i = 0; i < lines.size(); ++i) frame += lines[i] + "\x1b[K" + (i + 1 < lines.size() ? "\r\n" : "");
  out << frame << "\x1b[J" << std::flush;
}

Outcome Once(Session& session, TopState* state) {
  absl::Status status = Ask(session, state);
  if (!status.ok()) return FromStatus(status);
  if (session.format() == Format::kJson) {
    Page page;
    page.document = {{"sweeps", state->sweeps}, {"jobs", state->jobs}, {"workers", state->workers}};
    session.printer().Print(page);
    return {};
  }
  const WindowSize window = {session.width(), 0};
  status = ReadCurves(session, VisibleJobs(*state, window), kJobsWithCurves, state);
  if (!status.ok()) return FromStatus(status);
  for (const std::string& line : RenderTop(*state, window, session.color())) session.world().out << line << "\n";
  session.world().out << std::flush;
  return {};
}

// A pipe is asked for nothing; what a terminal shows fills it.
Outcome Live(Session& session, FullScreen& screen, TopState* state) {
  World& world = session.world();
  std::vector<std::string> shown;
  WindowSize window;
  auto next = std::chrono::steady_clock::now();
  while (!world.interrupt.triggered()) {
    window = world.window();
    window.columns = session.width();
    window.rows = std::max(window.rows, 10);
    if (std::chrono::steady_clock::now() >= next) {
      absl::Status status = Ask(session, state);
      if (status.ok()) status = ReadCurves(session, VisibleJobs(*state, window), kCurvesAtOnce, state);
      state->trouble = status.ok() ? "" : std::string(status.message());
      next = std::chrono::steady_clock::now() + kAskEvery;
    }
    std::vector<std::string> lines = RenderTop(*state, window, session.color());
    if (lines != shown) Draw(lines, world.out);
    shown = std::move(lines);
    for (const Key& key : DecodeKeys(screen.ReadKeys(kNoticeEvery))) {
      switch (Press(key, PageOf(*state, window), state)) {
        case Wish::kQuit:
          return {};
        case Wish::kAskAgain:
          next = std::chrono::steady_clock::now();
          break;
        case Wish::kNothing:
          break;
      }
    }
    if (const WindowSize now = world.window(); now.columns != window.columns || now.rows != window.rows) shown.clear();
  }
  return {};
}

Outcome Top(Session& session, const std::string& sweep) {
  TopState state;
  state.coordinator = session.coordinator;
  state.sweep = sweep;
  if (!sweep.empty()) {
    v1::GetSweepRequest request;
    request.set_name(sweep);
    request.set_without_jobs(true);
    if (const auto found = session.client().GetSweep(request); !found.ok()) return FromStatus(found.status());
  }
  if (!session.world().out_is_terminal || session.format() != Format::kTable) return Once(session, &state);
  if (const absl::Status status = Ask(session, &state); !status.ok()) return FromStatus(status);
  const std::unique_ptr<FullScreen> screen = session.world().full_screen();
  return screen == nullptr ? Once(session, &state) : Live(session, *screen, &state);
}

}  // namespace

void AddTopCommand(Commands& commands) {
  args::Command command =
      commands.Add("top", "Sweeps, jobs with the curves of loss and alpha_1, and workers, live on the whole terminal",
                   Names::kSweep, {"sinkctl top", "sinkctl top optimization", "sinkctl top | less"});
  auto sweep = std::make_shared<std::string>();
  command.AddOption("SWEEP", *sweep, "Begin with the jobs of this sweep; without it those of all");
  commands.OnRun(command, [sweep](Session& session) { return Top(session, *sweep); });
}

}  // namespace sink::cli
