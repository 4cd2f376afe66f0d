// A study as it is reported: the experiments of a sweep, the published values beside them, and what every run measured.
// Plain values that the caller fills (sinkctl: from the coordinator; a test: by hand). Everything in this folder is
// pure: no clock, no files, no network; the same study gives the same bytes. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/job/job_state.h"

namespace sink::report {

using Json = nlohmann::ordered_json;

struct Sample {
  int64_t step = 0;
  double value = 0;  // may be NaN or infinite
  int attempt = 0;
};
using Curve = std::vector<Sample>;  // by step, one sample a step

// Mean importance of one key position by layer and head.
struct HeatMap {
  std::string name;  // "alpha/1"
  int64_t step = 0;
  int layers = 0;
  int heads = 0;
  std::vector<double> values;  // row-major [layers, heads]
};

// One job. Times are Unix milliseconds, 0 for "not yet".
struct Run {
  std::string id;
  std::string state;   // "SUCCEEDED": a JobState by name, or what a newer coordinator says
  std::string reason;  // why it failed, "nan: ...": a pipe::FailureClass by name first; or why it waits
  int attempt = 0;
  std::string worker;
  int64_t step = 0;
  int64_t max_steps = 0;
  int64_t tokens = 0;
  int64_t started_ms = 0;
  int64_t finished_ms = 0;
  std::string data_set;                 // the packed set, or file of texts, that it read; empty: none, or unknown
  std::string data_content;             // fingerprint of what that held; empty: unknown
  Json config = Json::object();         // resolved, as stored
  Json settings = Json::object();       // the same with every field, those at their defaults, too
  std::map<std::string, Curve> curves;  // by metric; proto/pipe/metric_name.h
  std::vector<HeatMap> heat_maps;       // by name, then step

  bool succeeded() const { return ParseName<JobState>(state) == JobState::kSucceeded; }
  bool final() const {
    const std::optional<JobState> known = ParseName<JobState>(state);
    return known && IsFinal(*known);
  }
};

// One setting of an experiment and its replicas.
struct Point {
  std::string label;
  std::vector<std::string> runs;  // ids, in Study::runs
};

struct Experiment {
  std::string name;
  std::string arithmetic;
  Json paper = Json::object();  // "source" and, for each measure, one number or null a point
  std::vector<Point> points;
};

struct Machine {
  std::string name;
  std::string device;  // "cpu" or the GPU's name
  int devices = 0;
  std::string version;
};

// Where numbers come from, as far as the caller knows; each part may be empty.
struct Origin {
  std::string command;  // that ran the sweeps
  std::string machine;  // in words: "2 cores of an AMD EPYC, 24 GiB"
  std::string numbers;  // a fingerprint of everything that was measured
};

struct Study {
  std::string sweep;
  int64_t created_ms = 0;
  int64_t reported_ms = 0;  // when the report is made
  std::string command;      // that makes it
  std::string version;      // of the program
  Origin origin;
  bool from_labels = false;  // the coordinator kept no study: no published values are known
  std::vector<Experiment> experiments;
  std::map<std::string, Run> runs;  // by id
  std::vector<Machine> machines;    // that ran its jobs, by name

  const Run& run(const std::string& id) const { return runs.at(id); }
};

// Whether a run measures a model that is there, once; others train one.
bool IsEvaluation(const Run& run);
// Whether any run of an experiment trains.
bool Trains(const Study& study, const Experiment& experiment);

// A setting by its dotted key ("train.learning_rate"); null when the run has no such field.
const Json& Setting(const Run& run, const std::string& key);
// The same as a reader's text: strings without quotes, numbers short ("0.0004"); "" for null.
std::string SettingText(const Run& run, const std::string& key);

// Its train.seed; 0 where it has none, as a model that is only measured.
int64_t SeedOf(const Run& run);

// Dotted keys that differ between the experiment's points, seeds left out, in the configuration's order.
std::vector<std::string> VaryingKeys(const Study& study, const Experiment& experiment);

// Dotted keys in which the settings of two runs differ, in the order of the first one's configuration. Left out are the
// seed and what no result depends on: how often is saved and logged, and into how many passes a batch is cut.
std::vector<std::string> DifferingKeys(const Run& a, const Run& b);
// The settings as one text, without `keys` and what DifferingKeys leaves out: equal for runs that differ in `keys`
// alone.
std::string SettingsWithout(const Run& run, const std::vector<std::string>& keys);

// "learning_rate=0.001" for "train.learning_rate=0.001": of every word, what follows the last dot before the "="; of a
// model's name, what follows its owner's: "model=gpt2" for "evaluate.model=openai-community/gpt2".
std::string ShortLabel(const std::string& label);

}  // namespace sink::report
