// Which workers have which open models, as they say with each question for work. Nothing here is stored: after a
// restart a worker may have any model until it has asked again. Any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "coordinator/job/mutex.h"

namespace sink {

class ModelPlaces {
 public:
  // The worker with this id has these models, whatever it said before. Names as LeaseRequest of worker.proto has them.
  void Hear(const std::string& worker_id, const std::vector<std::string>& models);
  void Forget(const std::string& worker_id);
  std::vector<std::string> Of(const std::string& worker_id);

  // Which of the workers can run a job that measures `model`: those that have it, and those that have not yet said.
  // None: nobody has it.
  std::vector<bool> Having(const std::string& model, const std::vector<std::string>& worker_ids);

 private:
  Mutex mutex_;
  absl::flat_hash_map<std::string, std::vector<std::string>> models_ ABSL_GUARDED_BY(mutex_);  // by worker
};

}  // namespace sink
