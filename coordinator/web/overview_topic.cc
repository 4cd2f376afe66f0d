// Every sweep with its totals, and how many workers there are, for the first page.
//
// whole   {"sweeps": [{"sweep": Sweep, "totals": sweep_totals.h}, ...],
//          "fleet": {"workers": 3, "devices": 8, "devices_free": 2}, "warning": ""}
// change  the same, of the sweeps that have changed
//
// fleet: those that are there. However many jobs change, a bounded number of them is looked at for one change: counts
// by state are then of this moment, totals may be some seconds older.
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/convert.h"
#include "coordinator/web/changed_jobs.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/sweep_totals.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

class OverviewTopic final : public Topic {
 public:
  explicit OverviewTopic(const TopicSources& sources) : sources_(sources), changed_(&sources.queries->feed()) {
    changed_.WatchAll();
  }

  absl::StatusOr<std::string> Whole() override {
    if (!std::exchange(begun_, true)) {
      SINK_RETURN_IF_ERROR(Look({}).status());
      SINK_ASSIGN_OR_RETURN(fleet_, Fleet());
    }
    std::string sweeps;
    for (const auto& [name, shown] : sweeps_) absl::StrAppend(&sweeps, sweeps.empty() ? "" : ",", shown.json);
    return Render(sweeps);
  }

  absl::StatusOr<Change> Changes() override {
    const ChangedJobs::News news = changed_.Next();
    SINK_ASSIGN_OR_RETURN(const Seen seen, Look(news));
    SINK_ASSIGN_OR_RETURN(std::string fleet, Fleet());
    const bool same_fleet = std::exchange(fleet_, fleet) == fleet;
    if (seen.gone) {
      SINK_ASSIGN_OR_RETURN(std::string whole, Whole());
      return Change{.whole = true, .json = std::move(whole), .behind = news.more};
    }
    if (seen.sweeps.empty() && same_fleet && warning_ == sources_.disk->Warning()) return Change{.behind = news.more};
    return Change{.json = Render(seen.sweeps), .behind = news.more};
  }

 private:
  struct Shown {
    SweepTotals totals;
    std::vector<std::pair<JobState, int>> counts;
    std::string json;
  };
  struct Seen {
    bool gone = false;   // a sweep is no longer there
    std::string sweeps;  // JSON of those that have changed, with commas between
  };

  // Brings sweeps_ up to what is stored.
  absl::StatusOr<Seen> Look(const ChangedJobs::News& news) {
    SINK_ASSIGN_OR_RETURN(const std::vector<Sweep> listed, sources_.queries->ListSweeps());
    Seen seen;
    std::set<std::string> names;
    for (const Sweep& sweep : listed) names.insert(sweep.name);
    std::vector<std::string> gone;
    for (const auto& [name, shown] : sweeps_)
      if (!names.contains(name)) gone.push_back(name);
    for (const std::string& name : gone) Forget(name);
    seen.gone = !gone.empty();
    std::map<std::string, std::vector<std::string>> changed;  // ids, by sweep
    for (const std::string& id : news.jobs) {
      const auto places = sweeps_of_.find(id);
      if (places == sweeps_of_.end()) continue;
      for (const std::string& name : places->second) changed[name].push_back(id);
    }
    const bool full = sources_.disk->full();
    const bool turned = std::exchange(disk_full_, full) != full;
    for (const Sweep& sweep : listed) {
      if (news.unknown || news.HasSweep(sweep.name)) Forget(sweep.name);
      SINK_ASSIGN_OR_RETURN(const bool is_new, Refresh(sweep, changed[sweep.name], turned));
      if (is_new) absl::StrAppend(&seen.sweeps, seen.sweeps.empty() ? "" : ",", sweeps_[sweep.name].json);
    }
    return seen;
  }

  void Forget(const std::string& name) {
    const auto found = sweeps_.find(name);
    if (found == sweeps_.end()) return;
    for (const std::string& id : found->second.totals.ids()) {
      const auto places = sweeps_of_.find(id);
      if (std::erase(places->second, name) > 0 && places->second.empty()) sweeps_of_.erase(places);
    }
    sweeps_.erase(found);
  }

  // Whether it is another one now than was shown. One that is deleted between two reads is missing at the next look.
  // `turned`: the disk is full and was not, or the other way round.
  absl::StatusOr<bool> Refresh(const Sweep& sweep, const std::vector<std::string>& ids, bool turned) {
    const bool first = !sweeps_.contains(sweep.name);
    Shown& shown = sweeps_[sweep.name];
    if (!first && !turned && ids.empty() && shown.counts == sweep.jobs_by_state) return false;
    const auto put = [&](const Job& job) {
      if (first) sweeps_of_[job.id].push_back(sweep.name);
      shown.totals.Put(job);
    };
    if (first || !ids.empty()) {
      const auto read =
          first ? sources_.queries->VisitSweep(sweep.name, put) : sources_.queries->VisitJobsOf(sweep.name, ids, put);
      if (!read.ok() && !absl::IsNotFound(read.status())) return read.status();
    }
    shown.counts = sweep.jobs_by_state;
    v1::Sweep message;
    ToProto(sweep, &message);
    shown.json = absl::StrCat("{\"sweep\":", ToJson(message),
                              ",\"totals\":", shown.totals.Json(sources_.now().unix_ms, disk_full_), "}");
    return true;
  }

  absl::StatusOr<std::string> Fleet() {
    SINK_ASSIGN_OR_RETURN(const FleetSize fleet, sources_.queries->CountFleet(sources_.now()));
    return absl::StrCat("{\"workers\":", fleet.workers, ",\"devices\":", fleet.devices,
                        ",\"devices_free\":", fleet.devices_free, "}");
  }

  std::string Render(const std::string& sweeps) {
    warning_ = sources_.disk->Warning();
    return absl::StrCat("{\"sweeps\":[", sweeps, "],\"fleet\":", fleet_, ",\"warning\":", Quoted(warning_), "}");
  }

  const TopicSources sources_;
  ChangedJobs changed_;
  bool begun_ = false;
  std::map<std::string, Shown> sweeps_;
  absl::flat_hash_map<std::string, std::vector<std::string>> sweeps_of_;  // names, by job
  std::string fleet_;                                                     // as JSON
  bool disk_full_ = false;                                                // as the totals that are shown say it
  std::string warning_;
};

}  // namespace

std::unique_ptr<Topic> MakeOverviewTopic(const TopicSources& sources) {
  return std::make_unique<OverviewTopic>(sources);
}

}  // namespace sink::web
