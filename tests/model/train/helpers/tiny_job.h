// A job small enough to train in a second: a packed data set, a configuration and run folders, all in a temporary
// folder. Also runs it, in this process or as the sink-trainer program. One test, one thread.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "model/train/run/job_file.h"
#include "model/train/trainer.h"
#include "proto/pipe/events.h"
#include "tests/testing/temp_dir.h"

namespace sink::train {

class TinyJob {
 public:
  // Writes the data set: 4 training files and 1 validation file of a few blocks, of a pattern that a model can learn.
  TinyJob();

  // Makes a few rows of the training set noise: once the model has learned the pattern, their steps are loss spikes.
  void AddNoise() const;

  JobConfig config;      // change it before the first MakeRun
  bool overlap = false;  // of the Trainer
  Trainer::SnapshotFunction snapshot = Snapshot;
  Trainer::WriteFunction write = WriteCheckpoint;
  int commands = -1;  // the descriptor that the Trainer reads its commands from

  const std::filesystem::path& folder() const { return dir_.path(); }

  // A new run folder with its job.json.
  std::filesystem::path MakeRun(const std::string& name) const;

  // Trains in this process; the records land in `events`. Exceptions of the trainer pass through.
  RunOutcome Train(const std::filesystem::path& run_dir, std::vector<pipe::Event>& events) const;

 private:
  std::filesystem::path SetFile(const std::string& split, int counter) const;

  testing::TempDir dir_;
};

// Folder of one checkpoint.
std::filesystem::path CheckpointPath(const std::filesystem::path& run_dir, int64_t step);

// All metric points of the records, with equal ones once; a test failure when one point has two values.
std::vector<std::pair<std::string, double>> Points(const std::vector<pipe::Event>& events);

// Fails the test unless both files have the same bytes.
void ExpectSameBytes(const std::filesystem::path& a, const std::filesystem::path& b);

// Fails the test unless both runs ended with the same checkpoint, to the last bit.
void ExpectSameEnd(const TinyJob& job, const std::filesystem::path& a, const std::filesystem::path& b);

// Records of a file of lines; the last, unfinished line of a killed writer is left out.
std::vector<pipe::Event> ReadEvents(const std::filesystem::path& file);

}  // namespace sink::train
