// Which packed sets a worker has under its --data-root, and what each holds, and which plain files lie beside them, as
// texts for open models do: what it tells with every question for work. A SetList belongs to one thread, and has
// another one that reads files (content_check.h); the function reads the disk only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "sink/v1/job.pb.h"
#include "worker/content_check.h"

namespace sink::worker {

class SetList {
 public:
  // `memory`: the file that remembers what was read of the sets, `check_rate` bytes a second at most (ContentCheck).
  SetList(std::string root, std::string memory, int64_t check_rate = ContentCheck::kDefaultRate)
      : root_(std::move(root)), content_check_(std::move(memory), check_rate) {}

  // The sets, by name, at most 1,000. The folder is looked at again after two seconds; a set is read again when the
  // times of its folder or of its set.json say that it may be another one. A set that cannot be read is not listed; one
  // of which files are missing or short, or have other bytes than were packed, is told as incomplete until it is whole,
  // and the log says why, once. One whose files must be read to know that is listed when they are, or half a minute
  // later at most: a large one is used while it is read. Until then it is told as incomplete, too. That a file of a
  // whole set is cut or written to in its place, of which neither time tells, is looked for once a minute. Of plain
  // files the names, unless there are over 1,000: whether one is whole cannot be seen.
  const v1::DataSets& Get(absl::Duration now);  // of a clock that does not jump
  // How soon, after the Get of that time, another one may tell more: shortly where a set is not listed while its files
  // are being read, and less often the longer that takes. Infinite: when somebody changes a set.
  absl::Duration AskAgainIn(absl::Duration now) const;

 private:
  struct Known {
    std::string stamp;    // what would change with the set
    std::string content;  // "" where nothing is packed, or not all of it is there
    std::string gap;      // what is not there, or is not what was packed; "" where nothing is known to be wrong
    absl::Duration reads_since = absl::InfiniteDuration();  // since when files are being read to tell; infinite: none
    bool withheld(absl::Duration now) const;                // until they are read
  };
  // Reads it again where what was known of it may not hold any more; with `thorough`, looks at the files of each.
  void Look(const std::string& name, std::string stamp, bool thorough, absl::Duration now, Known* known);

  const std::string root_;
  ContentCheck content_check_;
  absl::Duration read_at_ = -absl::InfiniteDuration();
  absl::Duration thorough_at_ = -absl::InfiniteDuration();
  absl::Duration withheld_since_ = absl::InfiniteDuration();  // the first set that is withheld; infinite: none is
  std::map<std::string, Known> known_;                        // by name
  v1::DataSets sets_;
};

// What the set `name` under `root` holds, read now; "" when that cannot be told.
std::string ContentOfSet(const std::string& root, const std::string& name);

}  // namespace sink::worker
