// Whether the files of a database that is open are still at their place. One that is removed or replaced meanwhile goes
// on taking commits, and all that they say is gone with the last process that has it open. Any thread.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sink::store {

class DatabasePlace {
 public:
  // Of a database in WAL mode that is open.
  explicit DatabasePlace(const std::string& path);

  // UNAVAILABLE: the database or its log was removed, moved or replaced. Says so, and how to save what it holds as long
  // as this process lives.
  absl::Status Check() const;

 private:
  struct File {
    std::string path;
    struct stat opened = {};  // what was there
  };
  std::string WayOut() const;

  std::vector<File> files_;  // the database first
};

}  // namespace sink::store
