#include "model/train/run/folder_lock.h"

#include <fcntl.h>

#include <chrono>
#include <string>
#include <thread>

#include "model/base/or_throw.h"
#include "model/train/link/train_error.h"
#include "proto/run/job_file.h"

namespace sink::train {

FolderLock::FolderLock(const std::filesystem::path& folder, int wait_ms) {
  constexpr int kPollMs = 50;
  const std::string path = (folder / run::kRunLockName).string();
  fd_ = OrThrow<InfraError>(files::Open(path, O_RDWR | O_CREAT));
  for (int waited = 0; !OrThrow<InfraError>(files::TryLock(fd_, path)); waited += kPollMs) {
    if (waited >= wait_ms)
      throw InfraError("another sink-trainer is running in " + folder.string() + "; stop it or use another folder");
    std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
  }
}

}  // namespace sink::train
