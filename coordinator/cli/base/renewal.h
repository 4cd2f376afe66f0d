// A user's certificate is renewed by whoever uses it: a person who looks once in a while never logs in again. Used by
// the main thread.
#pragma once

#include "coordinator/cli/base/command.h"

namespace sink::cli {

// After a call that was answered: the next certificate for this user's key, once half of the time of this one is over.
// Only of a folder that is this user's own; the admin's in a coordinator's data folder is made anew there, and a
// program's file ends at its time. A failure is told and changes nothing: it is tried again by the next command.
void RenewCertificate(Session& session);

}  // namespace sink::cli
