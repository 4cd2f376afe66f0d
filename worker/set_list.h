// Which packed sets a worker has under its --data-root, and what each holds: what it tells with every question for
// work. A SetList belongs to one thread; the function reads the disk only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "sink/v1/job.pb.h"

namespace sink::worker {

class SetList {
 public:
  explicit SetList(std::string root) : root_(std::move(root)) {}

  // The sets, by name, at most 1,000. The folder is looked at again after two seconds; a set is read again when the
  // times of its folder or of its set.json say that it may be another one. A set that cannot be read is not listed; one
  // of which files are missing or short is told as incomplete until it is whole, and the log says why, once. That a
  // file of a whole set is cut in its place, of which neither time tells, is seen within a minute.
  const v1::DataSets& Get(absl::Duration now);  // of a clock that does not jump

 private:
  struct Known {
    std::string stamp;    // what would change with the set
    std::string content;  // "" where nothing is packed, or not all of it is there
    std::string gap;      // what is not there; "" where nothing is known to be missing
  };
  // Reads it again where what was known of it may not hold any more; with `thorough`, looks at the files of each.
  void Look(const std::string& name, std::string stamp, bool thorough, Known* known) const;

  const std::string root_;
  absl::Duration read_at_ = -absl::InfiniteDuration();
  absl::Duration thorough_at_ = -absl::InfiniteDuration();
  std::map<std::string, Known> known_;  // by name
  v1::DataSets sets_;
};

// What the set `name` under `root` holds, read now; "" when that cannot be told.
std::string ContentOfSet(const std::string& root, const std::string& name);

}  // namespace sink::worker
