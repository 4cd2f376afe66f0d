// Where a job of kind evaluate finds its model: a folder under the worker's --models root. Functions of the file system
// only; any thread.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace sink::worker {

// The folder of `model` ("owner/name" or "name", checked by proto/config) under `root`: root/owner/name, root/name, or
// what the Hugging Face cache keeps for it, root/models--owner--name/snapshots/<revision of refs/main>; the first with
// a config.json. InvalidArgument, as trying again changes nothing, names the places and how to get the model; also
// where root is "", a worker without models.
absl::StatusOr<std::string> FindModel(const std::string& root, const std::string& model);

}  // namespace sink::worker
