// RUN_DIR/job.json: the one input of a training run, written by a worker or, for a run by hand, by sink-trainer itself.
// Plain values; functions may be called from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "proto/config/job_config.h"

namespace sink::train {

struct JobFile {
  std::string job;  // id
  int64_t attempt = 1;
  JobConfig config;
  std::string data_root;       // folder of packed data sets; the run uses data_root/config.data.set
  std::string model;           // of kind evaluate: the folder of the model to measure
  std::string device = "cpu";  // or "cuda:N"
};

// UserError names what is missing, unknown, of the wrong type or out of bounds, and where.
JobFile ReadJobFile(const std::filesystem::path& run_dir);

// Makes a job file for a run by hand: the configuration of `config_file` (JSON, absent fields take their defaults),
// whose hash is the job's id. Creates run_dir. UserError when the configuration is wrong, or when run_dir already has a
// job file with another content.
void WriteJobFile(const std::filesystem::path& run_dir, const std::filesystem::path& config_file,
                  const std::string& data_root, const std::string& device);

}  // namespace sink::train
