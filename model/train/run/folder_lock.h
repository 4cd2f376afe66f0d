// One trainer a run folder. Owned by the Trainer; one thread.
#pragma once

#include <filesystem>

#include "proto/files/descriptor.h"

namespace sink::train {

// Keeps a second trainer out of a run folder for as long as the object lives.
class FolderLock {
 public:
  // Waits up to `wait_ms` for the file `folder`/lock: the trainer of a dead worker needs a moment to notice. InfraError
  // when somebody still holds it, or the folder cannot be written.
  FolderLock(const std::filesystem::path& folder, int wait_ms);

 private:
  files::Fd fd_;
};

}  // namespace sink::train
