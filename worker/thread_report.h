// What a process that makes no progress is doing, for whoever reads why its job was stopped: the kernel's word for each
// of its threads, and, from one that takes the question, its stacks. Stateless; any thread.
#pragma once

#include <sys/types.h>

#include <string>

namespace sink::worker {

// A line a thread: its number, name, state and, where the kernel tells it, what it waits in. At most 64 lines, then
// how many more there are. Empty when the process is gone.
std::string DescribeThreads(pid_t process);

// Asks the process to write the stack of each of its threads to its standard error, by SIGUSR2
// (model/base/stack_dump.h). False when it does not catch that signal, which would end it.
bool AskForStacks(pid_t process);

}  // namespace sink::worker
