// See evidence.h.
#include "coordinator/report/evidence.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "proto/pipe/metric_name.h"

namespace sink::report {
namespace {

constexpr char kRate[] = "sink_rate_percent";
constexpr char kRateAt[] = "sink_rate_percent_at_";  // and a position
constexpr char kBiasRate[] = "bias_sink_rate_percent";

std::set<double> ValuesOfKey(const std::vector<Case>& cases, const std::string& key) {
  std::set<double> values;
  for (const Case& c : cases) values.insert(NumberOf(*c.run, key));
  return values;
}

}  // namespace

bool Matches(const Run& run, const Where& where) {
  return std::all_of(where.begin(), where.end(),
                     [&run](const auto& want) { return SettingText(run, want.first) == want.second; });
}

double NumberOf(const Run& run, const std::string& key) {
  const Json& value = Setting(run, key);
  if (key == "model.variant.window" && value == 0) return INFINITY;
  return value.is_number() ? value.get<double>() : 0;
}

std::string PositionOf(const Run& run) {
  const Json& fixed = Setting(run, "data.fixed_token_position");
  return fixed.is_number() && fixed.get<int>() > 1 ? std::to_string(fixed.get<int>()) : "1";
}

std::vector<Case> Evidence::Cases(const Experiment& experiment, const Where& where) const {
  std::vector<Case> cases;
  for (size_t i = 0; i < experiment.points.size(); ++i) {
    const std::vector<std::string>& runs = experiment.points[i].runs;
    const auto run = std::find_if(runs.begin(), runs.end(), [this](const std::string& id) {
      return source_ == Source::kPaper || study_.run(id).succeeded();
    });
    if (run == runs.end() || !Matches(study_.run(*run), where)) continue;
    const Case found{&experiment, i, &study_.run(*run)};
    if (!Positions(found).empty()) cases.push_back(found);
  }
  return cases;
}

std::vector<Case> Evidence::CasesOfSweep(const Experiment& first, const Where& where) const {
  std::vector<Case> cases = Cases(first, where);
  for (const Experiment& experiment : study_.experiments) {
    if (&experiment == &first) continue;
    const std::vector<Case> more = Cases(experiment, where);
    cases.insert(cases.end(), more.begin(), more.end());
  }
  return cases;
}

std::vector<std::pair<std::string, double>> Evidence::ByRun(const Case& c, Measure measure, const std::string& position,
                                                            int64_t step) const {
  std::vector<std::pair<std::string, double>> values;
  if (source_ == Source::kPaper) {
    const auto published = measure == Measure::kSinkRate ? Published(c, position) : std::nullopt;
    if (published) values.emplace_back("", *published);
    return values;
  }
  for (const std::string& id : c.point().runs) {
    const Run& run = study_.run(id);
    if (!run.succeeded()) continue;
    if (const auto value = Value(run, measure, position, step)) values.emplace_back(id, *value);
  }
  return values;
}

Seeds Evidence::Values(const Case& c, Measure measure, const std::string& position, int64_t step) const {
  Seeds values;
  for (const auto& [run, value] : ByRun(c, measure, position, step))
    values.Add(value, run.empty() ? 0 : SeedOf(study_.run(run)));
  return values;
}

std::optional<double> Evidence::Published(const Case& c, const std::string& position) const {
  const auto number = [&c](const std::string& key) -> std::optional<double> {
    const auto list = c.experiment->paper.find(key);
    if (list == c.experiment->paper.end() || !list->is_array() || c.index >= list->size()) return std::nullopt;
    const Json& value = (*list)[c.index];
    return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
  };
  if (position == pipe::kBiasPosition) return number(kBiasRate);
  return position == PositionOf(*c.run) ? number(kRate) : number(kRateAt + position);
}

std::set<std::string> Evidence::Positions(const Case& c) const {
  std::set<std::string> positions;
  if (source_ == Source::kPaper) {
    for (const std::string& position : {std::string(pipe::kBiasPosition), PositionOf(*c.run)})
      if (Published(c, position)) positions.insert(position);
    for (const auto& [key, values] : c.experiment->paper.items())
      if (key.starts_with(kRateAt) && Published(c, key.substr(sizeof(kRateAt) - 1)))
        positions.insert(key.substr(sizeof(kRateAt) - 1));
    return positions;
  }
  for (const auto& [text, curve] : c.run->curves) {
    const auto name = pipe::ParseMetricName(text);
    if (name && (name->kind == pipe::MetricKind::kAlphaMax || name->kind == pipe::MetricKind::kSinkRate))
      positions.emplace(name->position);
  }
  return positions;
}

std::vector<Case> Series(const std::vector<Case>& cases, const std::string& key, const std::string& within,
                         const std::vector<std::string>& also) {
  std::vector<std::string> keys = also;
  keys.push_back(key);
  std::vector<std::pair<std::string, std::vector<Case>>> groups;  // in the order of their first case
  for (const Case& c : cases) {
    const std::string settings = SettingsWithout(*c.run, keys);
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == settings; });
    (group == groups.end() ? groups.emplace_back(settings, std::vector<Case>()) : *group).second.push_back(c);
  }
  const std::vector<Case>* best = nullptr;
  for (const auto& [settings, group] : groups) {
    const size_t values = ValuesOfKey(group, key).size();
    if (values < 2) continue;
    const bool better =
        !best || (within.empty() ? values > ValuesOfKey(*best, key).size()
                                 : NumberOf(*group[0].run, within) < NumberOf(*best->front().run, within));
    if (better) best = &group;
  }
  return best ? *best : std::vector<Case>();
}

}  // namespace sink::report
