// Which workers have which open models, packed data sets and files of texts, as they say with each question for work.
// Nothing here is stored: after a restart of the coordinator, or of the worker, that one may have anything until it has
// asked again, and one of an older version, which says nothing of its sets or of its files, may have any. Any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "coordinator/job/job.h"
#include "coordinator/job/mutex.h"
#include "coordinator/store/queue_head.h"

namespace sink {

// What of a worker's disk a job cannot do without.
struct Needs {
  std::string model = {};    // an open model; empty: none
  bool texts = false;        // read with the model's tokenizer
  std::string set = {};      // a packed set; empty: none
  std::string content = {};  // which the set must have; empty: any
  std::string file = {};     // beside the sets, with a model's texts; empty: none

  bool operator==(const Needs&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Needs& needs) {
    return H::combine(std::move(h), needs.model, needs.texts, needs.set, needs.content, needs.file);
  }
};
Needs NeedsOf(const Job& job);
Needs NeedsOf(const store::QueueHead& head);

// What a worker said that it has.
struct Holdings {
  std::vector<std::string> models;           // whole; names as LeaseRequest of worker.proto has them
  std::optional<std::vector<DataSet>> sets;  // none: it did not say
  std::vector<IncompleteCopy> incomplete_sets = {};
  std::optional<std::vector<std::string>> files = std::nullopt;  // beside the sets; none: it did not say
  std::vector<IncompleteCopy> incomplete_models = {};

  // Whether that may be enough. A set whose content is unknown may have any.
  bool Cover(const Needs& needs) const;
};

class Inventory {
 public:
  // The worker with this id has these, whatever it said before.
  void Hear(const std::string& worker_id, Holdings holdings) ABSL_LOCKS_EXCLUDED(mutex_);
  void Forget(const std::string& worker_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether it has said anything, be it as little as an older version does, since it was forgotten.
  bool HasSaid(const std::string& worker_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // Empty for a worker that has not yet said.
  Holdings Of(const std::string& worker_id) ABSL_LOCKS_EXCLUDED(mutex_);
  // What that worker's copy of the set holds; empty: it has none, or nobody knows.
  std::string ContentOf(const std::string& worker_id, const std::string& set) ABSL_LOCKS_EXCLUDED(mutex_);

  // Which of the workers can have what is needed: those that have it, and those that have not yet said.
  std::vector<bool> Having(const Needs& needs, const std::vector<std::string>& worker_ids) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Has(const Needs& needs, const std::string& worker_id) { return Having(needs, {worker_id}).front(); }

 private:
  Mutex mutex_;
  absl::flat_hash_map<std::string, Holdings> holdings_ ABSL_GUARDED_BY(mutex_);  // by worker
};

}  // namespace sink
