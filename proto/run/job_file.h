// RUN/job.json, the one input of a trainer: written by a worker for each rank, or by sink-trainer itself for a run by
// hand. An object of these fields and no others:
//   job        string, the job's id
//   attempt    whole number from 1; may be absent
//   config     object, the configuration (proto/config); absent fields take their defaults
//   data_root  string, the folder of packed data sets; the run uses data_root/config.data.set
//   model      string, the folder of the model to measure; only for jobs of kind evaluate
//   device     string, "cpu" or "cuda:N"; may be absent, for cpu
// Plain values and pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "proto/config/job_config.h"

namespace sink::run {

inline constexpr char kJobFileName[] = "job.json";
inline constexpr char kRunLockName[] = "lock";  // held by the run's trainer
inline constexpr size_t kMaxJobFileBytes = 128 << 10;

struct JobFile {
  std::string job;
  int64_t attempt = 1;
  JobConfig config;
  std::string data_root;
  std::string model;
  std::string device = "cpu";
};

// The file's bytes with `config_json`, an object, as it is in place of job.config: a worker hands on what the
// coordinator gave it, also fields that it does not know itself. Nothing when that is not an object, or a string is not
// UTF-8.
std::optional<std::string> PrintJobFile(const JobFile& job, const std::string& config_json);

struct JobFileResult {
  std::optional<JobFile> job;
  std::string error;  // what is missing, unknown, of the wrong type or out of bounds
};
JobFileResult ParseJobFile(const std::string& text);

}  // namespace sink::run
