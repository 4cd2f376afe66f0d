// Where a job of kind evaluate finds its model: a folder under the worker's --models root; and which models a worker
// has there. Reads the file system only; any thread, but a ModelList belongs to one.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sink/v1/job.pb.h"

namespace sink::worker {

// The folder of `model` ("owner/name" or "name", checked by proto/config) under `root`: root/owner/name, root/name, or
// what the Hugging Face cache keeps for it, root/models--owner--name/snapshots/<revision of refs/main>; the first that
// is whole (proto/run/model_gap.h), with a tokenizer where the job reads texts. FailedPrecondition says what lacks in
// the first that has a config.json. NotFound names the places and how to get the model; also where root is "", a worker
// without models.
absl::StatusOr<std::string> FindModel(const std::string& root, const std::string& model, bool reads_texts);

// What a worker tells of its open models.
struct OpenModels {
  std::vector<std::string> whole;  // by name, at most 1,000
  // By name, at most 100: those that are being copied, say, and those that have no tokenizer.
  std::vector<v1::IncompleteCopy> incomplete;
};

// The models of a worker that asks for work twice a second.
class ModelList {
 public:
  explicit ModelList(std::string root) : root_(std::move(root)) {}
  // Under the names by which FindModel finds them: owner/name, or name where the folder lies without an owner. None of
  // root "" or of one that cannot be read; of a root with over 20,000 entries, those that come first. Looks again after
  // two seconds. The headers of a model's files are read when inode, size or times say that a file may be another one:
  // of one that is not whole at each look, of any other when its folder or config.json changes, or once a minute.
  const OpenModels& Get(absl::Duration now);  // of a clock that does not jump

 private:
  struct Gap {
    std::string text;  // what lacks; "" where the model is whole
    v1::CopyUse use = v1::COPY_FOR_NO_JOB;
  };
  struct Known {
    std::string stamp;  // of the folder and its config.json
    std::string files;  // stamps of all its files when they were last read
    Gap gap;
  };
  void Look(const std::string& name, const std::string& folder, bool thorough, Known* known) const;

  const std::string root_;
  absl::Duration read_at_ = -absl::InfiniteDuration();
  absl::Duration thorough_at_ = -absl::InfiniteDuration();
  std::map<std::string, Known> known_;  // by folder
  OpenModels models_;
};

}  // namespace sink::worker
