// See fiber.h. ThreadSanitizer must be told of every change of stacks.
#include "tests/simulator/fiber.h"

#include <cstdint>
#include <cstdlib>
#include <utility>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace sink::simulator {
namespace {

constexpr size_t kStackBytes = 512 << 10;

void* CurrentOfTsan() {
#if defined(__SANITIZE_THREAD__)
  return __tsan_get_current_fiber();
#else
  return nullptr;
#endif
}

void* NewOfTsan() {
#if defined(__SANITIZE_THREAD__)
  return __tsan_create_fiber(0);
#else
  return nullptr;
#endif
}

void TellTsan([[maybe_unused]] void* fiber) {
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(fiber, 0);
#endif
}

}  // namespace

class Fibers::Fiber {
 public:
  ucontext_t context = {};
  std::unique_ptr<char[]> stack;
  std::function<void()> body;
  bool ended = false;
  void* of_tsan = nullptr;
};

Fibers::Fibers() : main_of_tsan_(CurrentOfTsan()) {}

Fibers::~Fibers() {
#if defined(__SANITIZE_THREAD__)
  for (const auto& fiber : all_) __tsan_destroy_fiber(fiber->of_tsan);
#endif
}

void Fibers::Enter(unsigned high, unsigned low) {
  auto* const fibers = reinterpret_cast<Fibers*>((uint64_t{high} << 32) | low);
  for (;;) {  // a fiber that has ended serves for the next call
    Fiber* const fiber = fibers->current_;
    fiber->body();
    fiber->body = nullptr;
    fiber->ended = true;
    TellTsan(fibers->main_of_tsan_);
    swapcontext(&fiber->context, &fibers->main_);
  }
}

void Fibers::Start(std::function<void()> body) {
  if (idle_.empty()) {
    Fiber* const fiber = all_.emplace_back(std::make_unique<Fiber>()).get();
    fiber->stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
    fiber->of_tsan = NewOfTsan();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = kStackBytes;
    const auto self = reinterpret_cast<uint64_t>(this);
    makecontext(&fiber->context, reinterpret_cast<void (*)()>(&Fibers::Enter), 2, static_cast<unsigned>(self >> 32),
                static_cast<unsigned>(self));
    idle_.push_back(fiber);
  }
  Fiber* const fiber = idle_.back();
  idle_.pop_back();
  fiber->body = std::move(body);
  fiber->ended = false;
  SwitchTo(fiber);
}

void Fibers::SwitchTo(Fiber* fiber) {
  if (current_ != nullptr) std::abort();
  current_ = fiber;
  TellTsan(fiber->of_tsan);
  swapcontext(&main_, &fiber->context);
  current_ = nullptr;
  if (fiber->ended) idle_.push_back(fiber);
}

void Fibers::Wait() {
  Fiber* const fiber = current_;
  TellTsan(main_of_tsan_);
  swapcontext(&fiber->context, &main_);
}

void Fibers::Resume(Fiber* fiber) { SwitchTo(fiber); }

}  // namespace sink::simulator
