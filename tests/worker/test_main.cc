// The test program has three lives: GoogleTest's, a fake trainer's (started by a daemon under test, with
// SINK_EVENTS_FD), and a daemon's (started by a test that is going to kill it: --daemon ADDRESS DATA).
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <string.h>

#include "tests/worker/daemon_process.h"
#include "tests/worker/fake_trainer.h"

int main(int argc, char** argv) {
  if (getenv("SINK_EVENTS_FD") != nullptr && argc == 2) return sink::worker::RunFakeTrainer(argv[1]);
  if (argc == 4 && strcmp(argv[1], "--daemon") == 0) return sink::worker::RunDaemon(argv[2], argv[3]);
  spdlog::set_level(spdlog::level::off);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
