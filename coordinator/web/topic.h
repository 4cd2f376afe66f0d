// Something that pages watch: a sweep, a job's log. What is new of it is rendered once, however many pages are open.
// Made and used by one thread, that of the TopicHub which owns it.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace sink::web {

struct Change {
  bool whole = false;   // `json` takes the place of everything that was told before
  std::string json;     // empty: nothing is new
  bool behind = false;  // there is more to tell than was told at once: ask again, even when nothing else changes
};

class Topic {
 public:
  virtual ~Topic() = default;

  // Everything, at least as new as what Changes has told; it may be told again by the next Changes. Called first.
  // NOT_FOUND: there is no such thing.
  virtual absl::StatusOr<std::string> Whole() = 0;
  // What is new since it was asked before, or since the first Whole. An error ends the topic.
  virtual absl::StatusOr<Change> Changes() = 0;
};

}  // namespace sink::web
