// The end of a program that has loaded LibTorch: without the destructors of that library's static objects, which take
// it a third of a short run's time to give back thousands of registered operators to a process that is over. Called
// once, by main, on the only thread that still works.
#pragma once

namespace sink {

// What was printed is written out; files and sockets that are still open are closed by the kernel. A sanitizer's build
// ends as usual, because it looks for leaks then.
[[noreturn]] void EndProcess(int exit_code);

}  // namespace sink
