// Where a job of kind evaluate finds its model: a folder under the worker's --models root. Functions of the file system
// only; any thread, but a ModelList belongs to one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sink::worker {

// The folder of `model` ("owner/name" or "name", checked by proto/config) under `root`: root/owner/name, root/name, or
// what the Hugging Face cache keeps for it, root/models--owner--name/snapshots/<revision of refs/main>; the first with
// a config.json. InvalidArgument, as trying again changes nothing, names the places and how to get the model; also
// where root is "", a worker without models.
absl::StatusOr<std::string> FindModel(const std::string& root, const std::string& model);

// Names under which FindModel finds a folder of `root`, sorted, at most 1,000: owner/name, or name where the folder
// lies without an owner. Empty for root "" or one that cannot be read; of a root with over 20,000 entries, those that
// come first.
std::vector<std::string> FindModels(const std::string& root);

// FindModels for a worker that asks for work twice a second: looks again after two seconds.
class ModelList {
 public:
  explicit ModelList(std::string root) : root_(std::move(root)) {}
  const std::vector<std::string>& Get(absl::Duration now);  // of a clock that does not jump

 private:
  const std::string root_;
  absl::Duration read_at_ = -absl::InfiniteDuration();
  std::vector<std::string> models_;
};

}  // namespace sink::worker
