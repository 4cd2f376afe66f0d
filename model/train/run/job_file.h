// RUN_DIR/job.json (proto/run/job_file.h) as the trainer takes it, and as sink-trainer itself writes it for a run by
// hand. Functions may be called from any thread.
#pragma once

#include <filesystem>
#include <string>

#include "proto/run/job_file.h"

namespace sink::train {

using run::JobFile;

// UserError names what is missing, unknown, of the wrong type or out of bounds, and where.
JobFile ReadJobFile(const std::filesystem::path& run_dir);

// Makes a job file for a run by hand: the configuration of `config_file` (JSON, absent fields take their defaults),
// whose hash is the job's id. Creates run_dir. UserError when the configuration is wrong, or when run_dir already has a
// job file with another content.
void WriteJobFile(const std::filesystem::path& run_dir, const std::filesystem::path& config_file,
                  const std::string& data_root, const std::string& device);

// The fingerprint of the job's data set (proto/run/set_fingerprint.h); empty where it cannot be read.
std::string DataContent(const JobFile& job);

}  // namespace sink::train
