// A stand-in for sink-trainer, so that the daemon's tests need no Torch: the test program itself, started again with
// SINK_EVENTS_FD set. It obeys the `config` object of job.json; see fake_trainer.cc for its keys.
#pragma once

namespace sink::worker {

// The whole life of a fake trainer; returns its exit code.
int RunFakeTrainer(const char* run_folder);

}  // namespace sink::worker
