// Calls that can be stopped in their middle and go on later, all on one thread: each has a stack of its own. This is
// how the coordinator's calls interleave at every look into the store, in an order that the seed decides.
#pragma once

#include <ucontext.h>

#include <functional>
#include <memory>
#include <vector>

namespace sink::simulator {

class Fibers {
 public:
  class Fiber;

  Fibers();
  ~Fibers();  // none may be waiting
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;

  // Runs `body` until it waits for the first time, or to its end. Not from within a fiber.
  void Start(std::function<void()> body);
  // The fiber that runs; null outside.
  Fiber* current() const { return current_; }
  // Of the fiber that runs: stops until somebody resumes it.
  void Wait();
  // Runs a fiber that waits until it waits again, or to its end. Not from within a fiber.
  void Resume(Fiber* fiber);

 private:
  static void Enter(unsigned high, unsigned low);
  void SwitchTo(Fiber* fiber);

  Fiber* current_ = nullptr;
  ucontext_t main_ = {};
  void* main_of_tsan_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> all_;
  std::vector<Fiber*> idle_;
};

}  // namespace sink::simulator
