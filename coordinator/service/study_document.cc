// See study_document.h.
#include "coordinator/service/study_document.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace sink {
namespace {

using Json = nlohmann::ordered_json;

std::string Text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The array of that name, or an empty one.
const Json& Array(const Json& object, const char* key) {
  static const Json kEmpty = Json::array();
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_array() ? *found : kEmpty;
}

}  // namespace

std::string PointLabel(const std::string& job_label) {
  const size_t space = job_label.rfind(' ');
  const size_t word = space == std::string::npos ? 0 : space + 1;
  if (job_label.compare(word, 8, "replica=") != 0) return job_label;
  return space == std::string::npos ? "default" : job_label.substr(0, space);
}

std::string EncodeStudy(const ExpandedSweep& sweep) {
  Json experiments = Json::array();
  for (const ExpandedExperiment& experiment : sweep.experiments) {
    Json points = Json::array();
    for (const ExpandedJob& job : sweep.jobs) {
      if (job.experiment != experiment.name) continue;
      const auto index = static_cast<size_t>(job.point);
      while (points.size() <= index) points.push_back({{"label", ""}, {"jobs", Json::array()}});
      points[index]["label"] = PointLabel(job.label);
      points[index]["jobs"].push_back(job.id);
    }
    experiments.push_back({{"name", experiment.name},
                           {"arithmetic", experiment.arithmetic},
                           {"paper", Json::parse(experiment.paper_json, nullptr, /*allow_exceptions=*/false)},
                           {"points", std::move(points)}});
  }
  return Json{{"experiments", std::move(experiments)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::Status DecodeStudy(const std::string& document, v1::GetStudyResponse* response) {
  const Json json = Json::parse(document, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("experiments"))
    return absl::DataLossError("the stored study of this sweep is damaged; submit the sweep again");
  for (const Json& experiment : Array(json, "experiments")) {
    v1::StudyExperiment* message = response->add_experiments();
    message->set_name(Text(experiment, "name"));
    message->set_arithmetic(Text(experiment, "arithmetic"));
    const auto paper = experiment.find("paper");
    message->set_paper_json(paper != experiment.end() && paper->is_object() ? paper->dump() : "{}");
    for (const Json& point : Array(experiment, "points")) {
      v1::StudyPoint* entry = message->add_points();
      entry->set_label(Text(point, "label"));
      for (const Json& id : Array(point, "jobs"))
        if (id.is_string()) entry->add_job_ids(id.get<std::string>());
    }
  }
  return absl::OkStatus();
}

void StudyFromLabels(std::vector<std::pair<Membership, std::string>> places, v1::GetStudyResponse* response) {
  response->set_from_labels(true);
  std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.first.index < b.first.index; });
  std::map<std::string, int> experiments;
  std::map<std::pair<int, std::string>, int> points;
  for (const auto& [place, id] : places) {
    const auto [experiment, new_experiment] = experiments.emplace(place.experiment, response->experiments_size());
    if (new_experiment) {
      v1::StudyExperiment* message = response->add_experiments();
      message->set_name(place.experiment);
      message->set_paper_json("{}");
    }
    v1::StudyExperiment* message = response->mutable_experiments(experiment->second);
    const std::string label = PointLabel(place.label);
    const auto [point, new_point] = points.emplace(std::pair(experiment->second, label), message->points_size());
    if (new_point) message->add_points()->set_label(label);
    message->mutable_points(point->second)->add_job_ids(id);
  }
}

}  // namespace sink
