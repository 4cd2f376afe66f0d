// The maps of a job by layer and head, for the page that plays them.
//
// whole   {"maps": [{"name": "alpha/1", "step": 40, "layers": 3, "heads": 4, "values": [row-major]}, ...]}
// change  the same, those of later steps
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/web/changed_jobs.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

using Maps = std::vector<Heatmap>;

void AppendMap(const Heatmap& map, std::string* json) {
  absl::StrAppend(json, "{\"name\":", Quoted(map.name), ",\"step\":", map.step, ",\"layers\":", map.layers,
                  ",\"heads\":", map.heads, ",\"values\":[");
  for (const double& value : map.values) {
    if (&value != map.values.data()) *json += ',';
    if (std::isfinite(value)) {
      absl::StrAppendFormat(json, "%.3g", value);
    } else {
      *json += "null";
    }
  }
  *json += "]}";
}

std::string Render(const Maps& maps) {
  std::string json = "{\"maps\":[";
  for (const Heatmap& map : maps) {
    if (&map != maps.data()) json += ',';
    AppendMap(map, &json);
  }
  return json += "]}";
}

// The newest attempt that measured one; a later one goes over steps that were told.
int AttemptOf(const Maps& maps) {
  int attempt = 0;
  for (const Heatmap& map : maps) attempt = std::max(attempt, map.attempt);
  return attempt;
}

class HeatTopic final : public Topic {
 public:
  HeatTopic(const TopicSources& sources, std::string id)
      : queries_(sources.queries), id_(std::move(id)), changed_(&sources.queries->feed()) {
    changed_.Watch(id_);
  }

  absl::StatusOr<std::string> Whole() override {
    SINK_ASSIGN_OR_RETURN(const Maps maps, queries_->ReadHeatmaps(id_));
    if (!std::exchange(begun_, true)) Remember(maps);
    return Render(maps);
  }

  absl::StatusOr<Change> Changes() override {
    const ChangedJobs::News news = changed_.Next();
    if (news.jobs.empty() && !news.unknown) return Change{};
    SINK_ASSIGN_OR_RETURN(Maps maps, queries_->ReadHeatmaps(id_));
    const bool again = AttemptOf(maps) != attempt_;
    const auto told = told_;
    Remember(maps);
    if (again) return Change{.whole = true, .json = Render(maps)};
    std::erase_if(maps, [&told](const Heatmap& map) {
      const auto found = told.find(map.name);
      return found != told.end() && map.step <= found->second;
    });
    return maps.empty() ? Change{} : Change{.whole = false, .json = Render(maps)};
  }

 private:
  void Remember(const Maps& maps) {
    attempt_ = AttemptOf(maps);
    told_.clear();
    for (const Heatmap& map : maps) told_[map.name] = std::max(told_[map.name], map.step);
  }

  JobQueries* const queries_;
  const std::string id_;
  ChangedJobs changed_;
  bool begun_ = false;
  int attempt_ = 0;
  std::map<std::string, int64_t> told_;  // newest step by name
};

}  // namespace

std::unique_ptr<Topic> MakeHeatTopic(const TopicSources& sources, std::string id) {
  return std::make_unique<HeatTopic>(sources, std::move(id));
}

}  // namespace sink::web
