#include "sweeps/expand.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "proto/base/counted.h"
#include "sweeps/diagnostics.h"
#include "sweeps/experiment.h"
#include "sweeps/settings.h"
#include "sweeps/spec.h"

namespace sink {
namespace sweeps {
namespace {

using nlohmann::json;

constexpr int64_t kMaxCandidates = 100'000;  // points before `exclude`: each costs its evaluation

// Points of the product before `exclude`, no more than `limit` + 1.
int64_t ProductSize(const Experiment& experiment, int64_t limit) {
  if (experiment.axes.empty()) return experiment.include.empty() ? 1 : 0;
  int64_t size = 1;
  for (const Axis& axis : experiment.axes) size = std::min<int64_t>(size * axis.values.size(), limit + 1);
  return size;
}

// One key of a profile's `proportional`: the study's value v becomes v x to / from.
struct Scale {
  FieldIndex field;
  double from, to;

  json Of(const json& value) const {
    const FieldInfo& info = FieldAt(field);
    if (!value.is_number()) return value;  // auto stays what it is
    const double v = value.get<double>();
    const double scaled = v == from ? to : v * (to / from);
    if (info.type == FieldType::kInteger) {
      return json(static_cast<int64_t>(std::clamp(std::round(scaled), info.min, info.max)));
    }
    // 4e-4 x 5 is 2e-3 to a person: twelve digits hide the binary tail, which would show in every label.
    double rounded = scaled;
    return absl::SimpleAtod(absl::StrFormat("%.12g", scaled), &rounded) ? json(rounded) : json(scaled);
  }
};

// A point of an experiment while it is being made.
struct Point {
  Values values;
  std::vector<const Settings*> layers;  // what was applied, the strongest last: where an error comes from
  std::vector<FieldIndex> varying;      // for the label, in order
  std::string label;                    // an included point's own
  bool scaled = false;                  // to the profile's size
};

class Expander {
 public:
  explicit Expander(SweepSpec spec) : spec_(std::move(spec)), sweep_(spec_.header) {}

  absl::StatusOr<ExpandedSweep> Expand() {
    if (absl::Status status = LayBase(); !status.ok()) return status;
    if (absl::Status status = CheckCount(); !status.ok()) return status;
    Mistakes mistakes;
    for (const Experiment& experiment : spec_.experiments) mistakes.Add(ExpandExperiment(experiment));
    if (absl::Status status = mistakes.status(); !status.ok()) return status;
    return std::move(sweep_);
  }

 private:
  // What every job starts from, in the study's own proportions: a proportional key keeps the sweep's value until the
  // end, so that conditions and swept values speak of the same scale.
  absl::Status LayBase() {
    base_ = DefaultValues();
    Apply(spec_.settings, &base_);
    Settings direct = spec_.profile;
    for (const ProportionalKey& key : spec_.proportional) {
      const std::string& path = FieldAt(key.field).path;
      const auto set = direct.find(key.field);
      if (set == direct.end()) {
        return ErrorAt(key.at, absl::StrCat(path, " is proportional, but the profile gives no value for it; add one"));
      }
      if (!base_[key.field].is_number() || !set->second.value.is_number())
        return ErrorAt(key.at, absl::StrCat(path, " is no number: nothing is proportional to it"));
      const double from = base_[key.field].get<double>(), to = set->second.value.get<double>();
      if (from == 0)
        return ErrorAt(key.at, absl::StrCat("the sweep's own ", path, " is 0: nothing is proportional to it"));
      if (from != to) scales_.push_back({key.field, from, to});
      direct.erase(set);
    }
    Apply(direct, &base_);
    // A model that is measured and not trained is the same with every seed.
    static const FieldIndex kKind = *FindField("kind", {});
    const bool trains = base_[kKind] == std::string(NameOf(JobKind::kTrain));
    replicas_ = spec_.profile_replicas > 0 && trains ? spec_.profile_replicas : spec_.replicas;
    ScaleEarlyStop();
    return absl::OkStatus();
  }

  // Rungs are counted in steps, so they shrink with them.
  void ScaleEarlyStop() {
    static const FieldIndex kSteps = *FindField("train.max_steps", {});
    for (const Scale& scale : scales_) {
      if (scale.field == kSteps && !sweep_.early_stop.metric.empty())
        sweep_.early_stop.first_rung = scale.Of(json(sweep_.early_stop.first_rung)).get<int64_t>();
    }
  }

  absl::Status TooMany(const std::string& jobs) const {
    return ErrorAt(spec_.max_jobs_at, absl::StrCat("the sweep has ", jobs, " jobs, but limits.max_jobs is ",
                                                   sweep_.max_jobs, "; raise it or sweep less"));
  }

  // Before anything is made: no loop below runs longer than the limits say.
  absl::Status CheckCount() const {
    int64_t jobs = 0, candidates = 0;
    for (const Experiment& experiment : spec_.experiments) {
      const int64_t product = ProductSize(experiment, kMaxCandidates);
      candidates += product;
      if (candidates > kMaxCandidates) {
        return ErrorAt(experiment.at, absl::StrCat("the grid has more than ", kMaxCandidates, " points; sweep less"));
      }
      const int64_t surely = (experiment.exclude.empty() ? product : 0) + experiment.include.size();
      jobs += surely * ReplicasOf(experiment);
    }
    return jobs > sweep_.max_jobs ? TooMany(absl::StrCat(jobs)) : absl::OkStatus();
  }

  absl::Status ExpandExperiment(const Experiment& experiment) {
    ExpandedExperiment summary;
    summary.name = experiment.name;
    const int64_t product = ProductSize(experiment, kMaxCandidates);
    int excluded = 0;
    for (int64_t i = 0; i < product; ++i) {
      Point point = MakePoint(experiment, i);
      if (absl::Status status = Derive(experiment, &point); !status.ok()) return status;
      if (IsExcluded(experiment, point)) {
        ++excluded;
      } else {
        ScaleTo(&point);
        absl::Status status = Derive(experiment, &point);  // anew: what follows from a scaled number follows it
        if (status.ok()) status = AddJobs(experiment, point, &summary);
        if (!status.ok()) return status;
      }
    }
    for (const IncludedPoint& included : experiment.include) {
      Point point = StartPoint(experiment);
      Lay(included.set, &point);
      point.label = included.label;
      ScaleTo(&point);
      if (absl::Status status = AddJobs(experiment, point, &summary); !status.ok()) return status;
    }
    if (summary.points == 0)
      return ErrorAt(experiment.at, absl::StrCat("every point of ", Quoted(experiment.name), " is excluded"));
    if (absl::Status status = CheckPaper(experiment, summary.points); !status.ok()) return status;
    summary.paper_json = experiment.paper.dump();
    summary.arithmetic = Arithmetic(experiment, excluded, summary.jobs);
    sweep_.experiments.push_back(std::move(summary));
    return absl::OkStatus();
  }

  static void Lay(const Settings& settings, Point* point) {
    Apply(settings, &point->values);
    point->layers.push_back(&settings);
  }

  Point StartPoint(const Experiment& experiment) const {
    Point point{base_, {&spec_.settings, &spec_.profile}, {}, ""};
    Lay(experiment.set, &point);
    return point;
  }

  // The index-th point of the product: the axes are its digits, the last one fastest.
  Point MakePoint(const Experiment& experiment, int64_t index) const {
    Point point = StartPoint(experiment);
    std::vector<const Settings*> chosen(experiment.axes.size());
    for (size_t i = experiment.axes.size(); i-- > 0;) {
      const std::vector<Settings>& values = experiment.axes[i].values;
      chosen[i] = &values[index % values.size()];
      index /= values.size();
    }
    for (size_t i = 0; i < chosen.size(); ++i) {
      Lay(*chosen[i], &point);
      point.varying.insert(point.varying.end(), experiment.axes[i].keys.begin(), experiment.axes[i].keys.end());
    }
    if (experiment.axes.empty()) {
      for (const auto& [field, setting] : experiment.set) point.varying.push_back(field);
    }
    for (const WhenRule& rule : experiment.when) {
      if (!rule.condition.IsTrue(point.values)) continue;
      Lay(rule.set, &point);
      for (const auto& [field, setting] : rule.set) {
        const bool shown = std::count(point.varying.begin(), point.varying.end(), field) > 0;
        if (!shown) point.varying.push_back(field);
      }
    }
    return point;
  }

  bool IsProportional(FieldIndex field) const {
    return std::any_of(scales_.begin(), scales_.end(), [field](const Scale& scale) { return scale.field == field; });
  }

  // To the size of the profile.
  void ScaleTo(Point* point) const {
    for (const Scale& scale : scales_) point->values[scale.field] = scale.Of(point->values[scale.field]);
    point->scaled = true;
  }

  absl::Status Derive(const Experiment& experiment, Point* point) const {
    for (const DerivedField& derived : experiment.derive) {
      if (point->scaled && IsProportional(derived.field)) continue;  // derived at the study's size, and scaled
      const FieldInfo& info = FieldAt(derived.field);
      const double value = derived.value.Calculate(point->values) + 0.0;
      const auto wrong = [&](absl::string_view what) {
        return ErrorAt(derived.at, absl::StrFormat("%s is derived as %.12g, but it must be %s (experiment %s)",
                                                   info.path, value, what, experiment.name));
      };
      if (!(value >= info.min && value <= info.max))
        return wrong(absl::StrFormat("between %.16g and %.16g", info.min, info.max));
      if (info.type == FieldType::kInteger && value != std::floor(value)) return wrong("a whole number; round(...) it");
      point->values[derived.field] = info.type == FieldType::kInteger ? json(static_cast<int64_t>(value)) : json(value);
    }
    return absl::OkStatus();
  }

  static bool IsExcluded(const Experiment& experiment, const Point& point) {
    return std::any_of(experiment.exclude.begin(), experiment.exclude.end(),
                       [&](const Expression& condition) { return condition.IsTrue(point.values); });
  }

  // Those of a profile are not for an experiment whose settings are the seeds themselves.
  int ReplicasOf(const Experiment& experiment) const {
    static const FieldIndex kSeed = *FindField("train.seed", {});
    const bool seeds = std::any_of(experiment.axes.begin(), experiment.axes.end(), [](const Axis& axis) {
      return std::count(axis.keys.begin(), axis.keys.end(), kSeed) > 0;
    });
    return seeds ? spec_.replicas : replicas_;
  }

  // The jobs of one point, one a replica.
  absl::Status AddJobs(const Experiment& experiment, Point& point, ExpandedExperiment* summary) {
    static const FieldIndex kSeed = *FindField("train.seed", {});
    FitMicroBatch(&point.values);
    const int64_t seed = point.values[kSeed].get<int64_t>();
    const int replicas = ReplicasOf(experiment);
    for (int replica = 1; replica <= replicas; ++replica) {
      if (static_cast<int>(sweep_.jobs.size()) >= sweep_.max_jobs) {
        return TooMany(absl::StrCat("more than ", sweep_.max_jobs));
      }
      point.values[kSeed] = seed + replica - 1;
      ExpandedJob job;
      job.experiment = experiment.name;
      job.label = Label(point, replicas > 1 ? replica : 0);
      job.index = static_cast<int>(sweep_.jobs.size());
      job.point = summary->points;
      JobConfigResult made = MakeJobConfig(point.values);
      if (!made.config) return Impossible(experiment, point, job.label, made);
      if (auto [path, error] = CheckRanks(*made.config); !error.empty())
        return Impossible(experiment, point, job.label, {std::nullopt, std::move(path), std::move(error)});
      job.config = *std::move(made.config);
      job.config_json = PrintJobConfig(job.config);
      job.id = JobIdOfPrinted(job.config_json);
      NoteDuplicate(job);
      sweep_.jobs.push_back(std::move(job));
      ++summary->jobs;
    }
    ++summary->points;
    return absl::OkStatus();
  }

  // A batch that a profile has scaled below the micro batch, or to no multiple of it, is cut into smaller passes.
  void FitMicroBatch(Values* values) const {
    static const FieldIndex kBatch = *FindField("train.global_batch_size", {});
    static const FieldIndex kMicro = *FindField("train.micro_batch_size", {});
    const int64_t of_a_rank = (*values)[kBatch].get<int64_t>() / sweep_.devices;
    const bool is_auto = !(*values)[kMicro].is_number();
    if (IsProportional(kBatch) && of_a_rank > 0 && !is_auto)
      (*values)[kMicro] = std::gcd((*values)[kMicro].get<int64_t>(), of_a_rank);
  }

  // Whether the job can run as one rank a device, as (path, error); both empty when it can.
  std::pair<std::string, std::string> CheckRanks(const JobConfig& config) const {
    const int devices = sweep_.devices;
    if (devices == 1) return {};
    if (config.kind == JobKind::kEvaluate) return {"kind", "evaluate runs on one device; set resources.devices to 1"};
    const int64_t step = std::max<int64_t>(config.train.micro_batch_size, 1) * devices;
    if (config.train.global_batch_size % step == 0) return {};
    if (config.train.micro_batch_size == 0)
      return {"train.global_batch_size",
              absl::StrCat(config.train.global_batch_size, " must be a multiple of resources.devices ", devices)};
    return {"train.global_batch_size",
            absl::StrCat(config.train.global_batch_size, " must be a multiple of train.micro_batch_size ",
                         config.train.micro_batch_size, " x resources.devices ", devices)};
  }

  // `replica`: 0 where there is one alone.
  static std::string Label(const Point& point, int replica) {
    std::vector<std::string> parts;
    if (!point.label.empty()) parts.push_back(point.label);
    for (const FieldIndex field : point.varying) parts.push_back(PrintValue(field, point.values[field]));
    if (replica > 0) parts.push_back(absl::StrCat("replica=", replica));
    return parts.empty() ? "default" : absl::StrJoin(parts, " ");
  }

  // Every single value was checked where it stands; this is a combination, such as heads that do not divide the width.
  static absl::Status Impossible(const Experiment& experiment, const Point& point, const std::string& label,
                                 const JobConfigResult& made) {
    Location place = experiment.at;
    for (const Settings* layer : point.layers) {
      for (const auto& [field, setting] : *layer) {
        if (FieldAt(field).path == made.path) place = setting.at;
      }
    }
    return ErrorAt(place, absl::StrCat(made.path, " ", made.error, " (experiment ", experiment.name, ", ", label, ")"));
  }

  void NoteDuplicate(const ExpandedJob& job) {
    const auto [first, is_new] = first_with_id_.emplace(job.id, job.index);
    if (is_new) return;
    const ExpandedJob& other = sweep_.jobs[first->second];
    sweep_.duplicates.push_back(
        absl::StrCat(job.experiment, " ", job.label, " (as ", other.experiment, " ", other.label, ")"));
  }

  static absl::Status CheckPaper(const Experiment& experiment, int points) {
    for (const auto& [measure, values] : experiment.paper.items()) {
      if (!values.is_array() || static_cast<int>(values.size()) == points) continue;
      return ErrorAt(experiment.paper_at,
                     absl::StrCat("paper ", Quoted(measure), " has ", values.size(), " values, but the experiment has ",
                                  points, " points; give one (or null) a point"));
    }
    return absl::OkStatus();
  }

  std::string Arithmetic(const Experiment& experiment, int excluded, int jobs) const {
    std::vector<std::string> factors;
    for (const Axis& axis : experiment.axes) factors.push_back(absl::StrCat(axis.values.size(), " (", axis.name, ")"));
    const bool one = experiment.axes.empty() && experiment.include.empty();
    if (one && ReplicasOf(experiment) <= 1) return absl::StrCat(experiment.name, ": ", Counted(jobs, "job"));
    std::string points = one ? "1" : absl::StrJoin(factors, " x ");
    if (excluded > 0) absl::StrAppend(&points, " - ", excluded, " excluded");
    if (!experiment.include.empty()) {
      absl::StrAppend(&points, points.empty() ? "" : " + ", experiment.include.size(), " included");
    }
    if (const int replicas = ReplicasOf(experiment); replicas > 1) {
      const bool is_sum = points.find(" - ") != std::string::npos || points.find(" + ") != std::string::npos;
      if (is_sum) points = absl::StrCat("(", points, ")");
      absl::StrAppend(&points, " x ", replicas, " replicas");
    }
    return absl::StrCat(experiment.name, ": ", points, " = ", Counted(jobs, "job"));
  }

  const SweepSpec spec_;
  ExpandedSweep sweep_;
  Values base_;
  int replicas_ = 1;
  std::vector<Scale> scales_;
  std::map<std::string, int> first_with_id_;
};

}  // namespace
}  // namespace sweeps

absl::StatusOr<ExpandedSweep> ExpandSweep(const SweepInput& input) {
  absl::StatusOr<sweeps::SweepSpec> spec = sweeps::LoadSweep(input);
  if (!spec.ok()) return sweeps::FirstOf(spec.status());
  absl::StatusOr<ExpandedSweep> sweep = sweeps::Expander(*std::move(spec)).Expand();
  if (!sweep.ok()) return sweeps::FirstOf(sweep.status());
  return sweep;
}

}  // namespace sink
