// The stacks of all threads on demand: a program that hangs is asked where, by its worker (worker/thread_report.h) or
// by a person with kill -USR2, before it is ended.
#pragma once

namespace sink {

// From here on SIGUSR2 has every thread of this process write its stack to standard error, one after the other: module,
// symbol where it is exported, offset and address, as backtrace_symbols_fd(3) does. A thread that does not answer
// within a moment, because it waits for a device, is named and passed over. Called once, by main, before other threads.
void WriteStacksOnDemand();

}  // namespace sink
