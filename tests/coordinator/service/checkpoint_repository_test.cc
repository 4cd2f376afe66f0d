// The folder of checkpoints by itself, without rows: what its methods do to each other, and to a disk that is small.
#include "coordinator/service/checkpoint_repository.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "proto/files/hash.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

TEST(CheckpointFolders, AnUploadBeginsWhileWhatIsLeftOfItsJobGoes) {
  testing::TempDir dir;
  CheckpointRepository repository(dir / "checkpoints", /*reserve_bytes=*/0);
  const std::string job(32, 'a');
  std::atomic<bool> done = false;
  std::thread cleaner([&] {
    while (!done) EXPECT_TRUE(repository.KeepOnly({job, 7, 0}, {}).ok());  // its empty folder, at most
  });
  for (int i = 0; i < 100; ++i) {
    const auto begun = repository.Begin({job, 7, 10}, "hash", {{"model.safetensors", 1, files::Hash("x")}}, {});
    EXPECT_TRUE(begun.ok()) << i << ": " << begun.status();
    EXPECT_TRUE(repository.KeepOnly({job, 8, 0}, {}).ok());
    EXPECT_FALSE(repository.Has({job, 7, 10}));
  }
  done = true;
  cleaner.join();
}

}  // namespace
}  // namespace sink
