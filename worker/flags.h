// The command line of sink-worker, checked and turned into what the daemon needs. One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/log/log.h"
#include "proto/args/command_line.h"
#include "worker/daemon.h"
#include "worker/data_folder.h"
#include "worker/enrolment.h"

namespace sink::worker {

struct Flags {
  std::string coordinator;  // host:port; empty: as the join token says
  std::string join;         // @FILE or -: a join token
  std::string data;
  std::string name;       // empty: the host's name
  std::string advertise;  // empty: the address from which the coordinator is called
  std::string devices = "auto";
  std::string trainer;       // empty: sink-trainer beside this program, else on PATH
  std::string trainer_user;  // empty: as the worker; with %d: one for each device
  std::string data_root;     // empty: DATA/sets
  std::string check_sets = "200MB/s";
  std::string models;                 // empty: none
  std::vector<std::string> pass_env;  // beyond those of TrainerEnvironment
  std::string grace = "30s";
  std::string hang_timeout = "10m";
  std::string stall_timeout = "2h";  // or 0 or never
  int64_t trainer_memory_mib = 0;    // 0: as much as there is
  int trainer_tasks = 0;             // the same
  LogOptions log;
};

// Declares the options, with their help, as values of `flags`, which must outlive the command line.
void AddFlags(args::Command root, Flags& flags);

// Where the trainer is, absolute. NotFound with the places that were looked at; PermissionDenied when it is not a
// program.
absl::StatusOr<std::string> FindTrainer(const std::string& flag);

// A duration such as "30s" or "1m30s", positive. InvalidArgument names `flag`.
absl::StatusOr<absl::Duration> ParseDurationFlag(const std::string& flag, const std::string& text);

// The same, or infinite for "0" and "never".
absl::StatusOr<absl::Duration> ParseTimeoutFlag(const std::string& flag, const std::string& text);

// Bytes a second, of a rate such as "200MB/s" or "1.5GB/s"; 0 for "off". InvalidArgument names `flag`.
absl::StatusOr<int64_t> ParseRateFlag(const std::string& flag, const std::string& text);

// INVALID_ARGUMENT: an option is missing.
absl::Status CheckFlags(const Flags& flags);

// Who the worker is, and how it becomes that. `join`: as ReadJoinOption read it.
EnrolmentOptions MakeEnrolmentOptions(const Flags& flags, const DataFolder& folder,
                                      const std::optional<identity::Bundle>& join);

// Everything but the devices, of which there are so many. Errors are one sentence for the person who typed the command.
absl::StatusOr<DaemonOptions> MakeDaemonOptions(const Flags& flags, const DataFolder& folder, int devices = 1);

}  // namespace sink::worker
