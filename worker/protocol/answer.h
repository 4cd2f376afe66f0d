// What a worker makes of the coordinator's answer to a call under a lease. Pure; any thread. Used by the daemon and by
// the simulator (tests/simulator).
#pragma once

#include "absl/status/status.h"

namespace sink::worker {

enum class Answer {
  kDone,
  kRefused,       // for good: InvalidArgument, OutOfRange, DataLoss, Unimplemented
  kStale,         // the attempt is somebody else's: stop it, deliver nothing
  kUnregistered,  // register, then the same again
  kAgain,         // the same again after a pause
};

Answer JudgeAnswer(const absl::Status& status);

// Whether the coordinator does not know this worker (any more).
bool IsUnregistered(const absl::Status& status);

// Whether the coordinator takes no call of this worker's credential, which may have been revoked. Of a registration: of
// other calls UNAUTHENTICATED alone may mean that registering helps.
bool IsCredentialRefused(const absl::Status& status);

// Of a question for work or a heartbeat: whether to register. Besides, FAILED_PRECONDITION says that another daemon has
// registered as this worker. One that began later will have this one's registration refused; an earlier one is what a
// coordinator knows that was restored from a backup.
bool MustRegister(const absl::Status& status);

}  // namespace sink::worker
