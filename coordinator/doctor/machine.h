// What can be told about a machine that is to run a coordinator or a worker, before or while it does. Looks at files
// and limits, changes nothing; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "coordinator/doctor/finding.h"

namespace sink::doctor {

// Of the disk that a folder lies on, for this user; -1 where that cannot be told.
int64_t BytesFree(const std::filesystem::path& folder);

// What the machine is like, apart from the folders that are looked at.
struct Machine {
  std::string driver;         // version of NVIDIA's, "580.65.06"; empty: none is loaded
  int gpus = 0;               // device files of NVIDIA's GPUs
  bool nvml = true;           // libnvidia-ml.so.1 can be opened
  int64_t open_files = 0;     // the limit of descriptors
  int64_t shared_memory = 0;  // bytes free in /dev/shm, which NCCL and Gloo take
  std::string no_groups;      // why a program started as this one makes no control groups; empty: it may
  std::function<int64_t(const std::filesystem::path&)> bytes_free = BytesFree;
};
Machine ThisMachine();

struct WorkerPlace {
  std::filesystem::path data;       // --data
  std::filesystem::path data_root;  // --data-root; empty: data/sets
  std::filesystem::path trainer;    // the program
  // Reads the data sets as a whole and compares them with their hashes; hears now and then how many bytes of how many
  // are read, and ends that by false: a hint names each set that was not compared to its end. Null: the sizes of their
  // files are compared alone.
  std::function<bool(uint64_t done, uint64_t total)> on_bytes = nullptr;
};
std::vector<Finding> ExamineWorker(const Machine& machine, const WorkerPlace& place);

// `data`: the coordinator's --data, which may be in use by it.
std::vector<Finding> ExamineCoordinator(const Machine& machine, const std::filesystem::path& data);

}  // namespace sink::doctor
