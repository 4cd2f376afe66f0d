// One handler a record type.
#include "coordinator/core/event_effects.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "coordinator/core/clean_text.h"

namespace sink {
namespace {

class Applier {
 public:
  Applier(const std::vector<std::string>& maps, Job* job, EventEffects* effects)
      : job_(*job), effects_(*effects), maps_(maps.begin(), maps.end()) {}
  ~Applier() {
    if (latest_) job_.progress.latest = latest_->Take();
    for (const auto& [why, dropped] : dropped_) {
      const std::string others = dropped.count > 1 ? absl::StrCat(" and ", dropped.count - 1, " more") : "";
      Log("error", absl::StrCat(dropped.first, others, " dropped: ", why));
    }
  }

  void Apply(const ParsedEvent& event) {
    time_ms_ = event.time_ms;
    if (!event.record.event) {
      Log("error", absl::StrCat("event ", event.seq, " could not be read: ", event.record.error));
    } else {
      std::visit(*this, *event.record.event);
    }
    job_.event_cursor = event.seq;
  }

  void operator()(const pipe::Hello& hello) {
    effects_.said_hello = true;
    // How far a job goes is said by its configuration; only one that trains nothing learns it here.
    if (job_.progress.max_steps == 0) job_.progress.max_steps = hello.max_steps;
    job_.start_step = job_.progress.step = Reached(hello.start_step);
    Log("info", absl::StrCat("trainer started on ", hello.device, " at step ", hello.start_step, " of ",
                             hello.max_steps, ", ", hello.parameters, " parameters, process ", hello.pid));
  }

  void operator()(const pipe::Progress& progress) {
    job_.progress.step = Reached(progress.step);
    job_.progress.tokens = progress.tokens;
    job_.progress.tokens_per_second = progress.tokens_per_second;
  }

  void operator()(const pipe::Metrics& metrics) {
    if (metrics.step != Reached(metrics.step))
      return Drop(absl::StrCat("values of step ", metrics.step), kBeyondTheEnd);
    if (!latest_) latest_.emplace(job_.progress.latest);
    for (const auto& [name, value] : metrics.values) {
      if (!IsMetricName(name)) {
        Drop(absl::StrCat("metric name \"", name, "\""),
             "it is not printable ASCII of 1 to 128 characters, with plain names between slashes");
      } else if (latest_->size() >= kMaxSeries && !latest_->Has(name)) {
        Drop(absl::StrCat("metric ", name), absl::StrCat("the job has ", kMaxSeries, " metrics already"));
      } else {
        latest_->Set(name, value);
        if (!Keep(1)) continue;
        MetricPoint& point = effects_.metrics.emplace_back();
        point.name = name;
        point.step = metrics.step;
        point.value = value;
        point.attempt = job_.attempt;
      }
    }
    job_.progress.step = std::max(job_.progress.step, metrics.step);
  }

  void operator()(const pipe::Heatmap& heatmap) {
    if (!IsMetricName(heatmap.name)) return Drop("a heatmap", "its name is not printable ASCII");
    if (heatmap.step != Reached(heatmap.step)) return Drop(absl::StrCat("heatmap ", heatmap.name), kBeyondTheEnd);
    if (maps_.size() >= kMaxSeries && !maps_.contains(heatmap.name)) {
      return Drop(absl::StrCat("heatmap ", heatmap.name),
                  absl::StrCat("the job has heatmaps of ", kMaxSeries, " names already"));
    }
    if (!Keep(NumbersOfMap(static_cast<int64_t>(heatmap.values.size())))) return;
    maps_.insert(heatmap.name);
    effects_.heatmaps.push_back(
        {heatmap.name, heatmap.step, job_.attempt, heatmap.layers, heatmap.heads, heatmap.values});
  }

  void operator()(const pipe::Checkpoint& checkpoint) {
    Log("info",
        absl::StrCat("checkpoint of step ", checkpoint.step, " saved on the worker (", checkpoint.manifest_hash, ")"));
  }

  void operator()(const pipe::Log& log) { Log(log.level, log.message); }

  void operator()(const pipe::Finished& finished) {
    job_.progress.step = Reached(finished.step);
    Log("info", absl::StrCat("trainer finished at step ", finished.step));
  }

  void operator()(const pipe::Failed& failed) {
    Log("error", absl::StrCat("trainer failed (", std::string(NameOf(failed.failure_class)), "): ", failed.message));
  }

 private:
  struct Dropped {
    std::string first;
    int count = 0;
  };
  static constexpr char kBeyondTheEnd[] = "the step is beyond the job's last one";

  // The step that was said, or the job's last one where that comes before.
  int64_t Reached(int64_t step) const {
    const int64_t last = job_.progress.max_steps;
    return last > 0 ? std::min(step, last) : step;
  }

  // Whether so many more numbers are kept. That they are not any more is one line of the job's log; one more than all
  // that are kept says that it was written.
  bool Keep(int64_t numbers) {
    int64_t& kept = job_.progress.numbers;
    if (numbers <= kMaxNumbers - kept) {
      kept += numbers;
      return true;
    }
    if (kept <= kMaxNumbers) {
      Log("error", absl::StrCat("the job has measured ", kMaxNumbers,
                                " numbers: from here on only its newest values are kept, no points and no heat maps"));
    }
    kept = kMaxNumbers + 1;
    return false;
  }

  // One line a report for each reason, however many there are.
  void Drop(const std::string& what, const std::string& why) {
    Dropped& dropped = dropped_[why];
    if (++dropped.count == 1) dropped.first = what;
  }

  void Log(std::string_view level, std::string_view text) {
    LogLine& line = effects_.logs.emplace_back();
    line.time_ms = time_ms_;
    line.attempt = job_.attempt;
    line.level = CleanText(level, 16);
    line.text = CleanText(text);
  }

  Job& job_;
  EventEffects& effects_;
  std::set<std::string> maps_;                  // names of heat maps
  std::optional<LatestValues::Editor> latest_;  // decoded once a batch
  int64_t time_ms_ = 0;
  std::map<std::string, Dropped> dropped_;  // by reason
};

}  // namespace

std::vector<ParsedEvent> ParseEvents(const std::vector<Event>& events) {
  std::vector<ParsedEvent> parsed;
  parsed.reserve(events.size());
  for (const Event& event : events) parsed.push_back({event.seq, event.time_ms, pipe::Parse(event.record)});
  return parsed;
}

bool HasHeatmaps(const std::vector<ParsedEvent>& events) {
  return std::any_of(events.begin(), events.end(), [](const ParsedEvent& event) {
    return event.record.event && std::holds_alternative<pipe::Heatmap>(*event.record.event);
  });
}

bool ApplyEvents(const std::vector<ParsedEvent>& events, const std::vector<std::string>& maps, Job* job,
                 EventEffects* effects) {
  uint64_t cursor = job->event_cursor;
  for (const ParsedEvent& event : events) {
    if (event.seq > cursor + 1) return false;
    cursor = std::max(cursor, event.seq);
  }
  Applier applier(maps, job, effects);
  for (const ParsedEvent& event : events) {
    if (event.seq > job->event_cursor) applier.Apply(event);
  }
  return true;
}

}  // namespace sink
