// A study in the formats of other people's tools. Pure: text and bytes out, nothing is read or written here. Every
// metric point is there once (a later attempt's replaces the one before), in order of job, name and step. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/report/study.h"

namespace sink::exports {

struct OutputFile {
  std::string path;  // relative
  std::string bytes;
};

// One row a job, metric and step: sweep,experiment,label,job,state,attempt,metric,step,tokens,value,data_content (the
// fingerprint of what the job's data set held; empty: unknown, or none). Quoted as in RFC 4180; a job that stands in
// several experiments has its rows under the first, as the jobs of Jobs(). Values print with 17 digits at most and read
// back the same; "NaN", "Infinity", "-Infinity". `tokens` is empty for a job that trains nothing, whose step counts
// layers.
std::string ToCsv(const report::Study& study);

// What every run came to, a row each: sweep,experiment,setting,seed,job,state,alpha_1,sink_rate_percent,alpha_bias,
// validation_loss,alpha_onset_step,rate_onset_step (of the strongest head and of position 1; the onsets are those of
// report/emergence.h, and a job that trains nothing has none). Numbers as in ToCsv; empty where there is none, and of
// runs that did not succeed. A job that several studies have is in each.
std::string ToResults(const std::vector<const report::Study*>& studies);

// Everything: the study (experiments, published values, points) and each job with configuration, curves and heat maps.
// Numbers that are not finite are those three strings.
std::string ToJson(const report::Study& study);

// A folder of event files, one run a job, for `tensorboard --logdir`: TFRecord frames (length, masked CRC-32C, record,
// masked CRC-32C) of Event records. The page of hyperparameters has the settings that differ between the jobs (of jobs
// alike, all), the fingerprint of each one's data, how each ended, and replicas as one group.
std::vector<OutputFile> ToTensorBoard(const report::Study& study);

// MLflow's file store (the folder `mlruns`), version 2: one experiment a sweep, one run a job, with parameters (the
// configuration by dotted keys), metrics, tags (experiment, label, state, worker) and the configuration as an artifact.
// `folder`: the absolute path where the files will lie; MLflow's database, which `mlflow migrate-filestore` makes of
// the store, lies elsewhere and finds artifacts by it.
std::vector<OutputFile> ToMlflow(const report::Study& study, const std::string& folder);

// What kWandbScript reads: {"project", "runs": [{"id", "name", "group", "tags", "config", "started" (seconds since
// 1970), "duration" (seconds), "failed", "history": [[step, seconds since 1970, {..}]]}]}.
std::string ToWandbInput(const report::Study& study);
// A Python program, INPUT.json OUTPUT_FOLDER, that makes offline runs with the official client: the text of
// wandb_runs.py. Exits with kWandbMissing when that is not installed.
extern const char kWandbScript[];
inline constexpr int kWandbMissing = 86;

// A job at its first place in the study.
struct PlacedRun {
  const report::Run* run = nullptr;
  std::string experiment;
  std::string label;    // of the setting and, where there are several, the replica
  std::string setting;  // the label without the replica
};
std::vector<PlacedRun> Jobs(const report::Study& study);

// When a point was measured, Unix milliseconds. Points are stored without a time: their steps are spread evenly over
// the time from the job's start to its end or, of a job under way, to the study's report.
int64_t PointTimeMs(const report::Study& study, const report::Run& run, int64_t step);
// The end of that time.
int64_t EndMs(const report::Study& study, const report::Run& run);

// The fields of a configuration that hold values, by their dotted keys, in its order.
std::vector<std::pair<std::string, report::Json>> Fields(const report::Json& config);

// "NaN", "Infinity", "-Infinity" or the shortest text that reads back as the value.
std::string ExactText(double value);

}  // namespace sink::exports
