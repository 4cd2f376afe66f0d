#include "tests/kernels/cuda/fibers.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <stdexcept>

// Switching by hand takes a fiftieth of swapcontext's time, which asks the kernel for the signal mask; sanitizers only
// understand swapcontext.
#if defined(__x86_64__) && !defined(SINK_SANITIZER)
#define SINK_SWITCH_BY_HAND 1
extern "C" void SinkSwitchFiber(void** save, void* load);
asm(R"(
.text
.globl SinkSwitchFiber
.type SinkSwitchFiber,@function
SinkSwitchFiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size SinkSwitchFiber,.-SinkSwitchFiber
)");
#endif

namespace sink::kernels::emulator {
namespace {

constexpr size_t kStackBytes = 256 * 1024, kGuardBytes = 64;
constexpr int kMaxThreads = 1024;
constexpr unsigned char kPoison = 0xff;  // a NaN in float and in bf16

struct Copy {
  void* to;
  const void* from;
};

enum class State { kRunning, kAtBarrier, kAtWarp, kDone };

struct Fiber {
  Position position;
  State state = State::kRunning;
  std::source_location where;
  std::vector<std::vector<Copy>> committed;
  std::vector<Copy> started;
#ifdef SINK_SWITCH_BY_HAND
  void* stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
};

struct WarpMeeting {
  std::array<void*, 32> arguments;
  int arrived = 0;
};

struct Stacks {
  Stacks() {
    memory = static_cast<unsigned char*>(mmap(nullptr, kStackBytes * kMaxThreads, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (memory == MAP_FAILED) throw std::bad_alloc();
  }
  ~Stacks() { munmap(memory, kStackBytes * kMaxThreads); }
  unsigned char* memory;
};

// One launch. The scheduler is the code that called RunBlocks.
struct Machine {
  const std::function<void()>* body = nullptr;
  std::vector<Fiber> fibers;
  std::vector<WarpMeeting> warps;
  std::vector<unsigned char> shared;
  int at_barrier = 0;
  Fiber* current = nullptr;
  std::string error;
  bool copies_at_once = false;
#ifdef SINK_SWITCH_BY_HAND
  void* scheduler = nullptr;
#else
  ucontext_t scheduler;
#endif
};

Machine* machine = nullptr;
Order chosen_order = Order::kAscending;
size_t shared_limit = kSharedBytesOf80;
std::optional<Place> broken;
std::set<Place>* seen_places = nullptr;

void SwitchTo(Fiber& fiber) {
  machine->current = &fiber;
#ifdef SINK_SWITCH_BY_HAND
  SinkSwitchFiber(&machine->scheduler, fiber.stack_pointer);
#else
  swapcontext(&machine->scheduler, &fiber.context);
#endif
}

void SwitchToScheduler() {
  Fiber& self = *machine->current;
#ifdef SINK_SWITCH_BY_HAND
  SinkSwitchFiber(&self.stack_pointer, machine->scheduler);
#else
  swapcontext(&self.context, &machine->scheduler);
#endif
}

void Finish(const std::vector<Copy>& copies) {
  for (const Copy& copy : copies) {
    if (copy.from)
      std::memcpy(copy.to, copy.from, 16);
    else
      std::memset(copy.to, 0, 16);
  }
}

void ThreadMain() {
  (*machine->body)();
  Fiber& self = *machine->current;
  for (const auto& group : self.committed)
    if (!group.empty()) Fail("ends with a copy that it never waited for");
  if (!self.started.empty()) Fail("ends with a copy that it never committed");
  self.state = State::kDone;
  SwitchToScheduler();
}

void Prepare(Fiber& fiber, unsigned char* stack) {
#ifdef SINK_SWITCH_BY_HAND
  // What SinkSwitchFiber pops: six registers and where to go, which finds the stack as after a call.
  auto* top = reinterpret_cast<void**>(stack + kStackBytes);
  top[-1] = nullptr;
  top[-2] = reinterpret_cast<void*>(&ThreadMain);
  std::fill(top - 8, top - 2, nullptr);
  fiber.stack_pointer = top - 8;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = stack;
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, &ThreadMain, 0);
#endif
}

std::string Describe(const Fiber& fiber) {
  const Position& p = fiber.position;
  return "thread " + std::to_string(p.thread) + " of block (" + std::to_string(p.block_x) + ", " +
         std::to_string(p.block_y) + ", " + std::to_string(p.block_z) + ")";
}

std::string Describe(const std::source_location& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

bool SamePlace(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

// Runs each of these threads that can, once, until its next meeting. Whether there was one.
bool RunOnce(const int* first, const int* last) {
  bool progress = false;
  for (; first != last && machine->error.empty(); ++first) {
    Fiber& fiber = machine->fibers[static_cast<size_t>(*first)];
    if (fiber.state != State::kRunning) continue;
    progress = true;
    SwitchTo(fiber);
  }
  return progress;
}

// Runs every thread that can until all are done. Returns early with an error set. But for kShuffled, a warp runs as far
// as it can without the others: lanes meet so often that warps which take turns would never be a phase apart, and then
// no barrier between phases would be missed.
void RunBlock(std::vector<int>& order, std::mt19937& generator) {
  const bool in_turns = chosen_order == Order::kShuffled;
  const size_t together = in_turns ? order.size() : 32;
  for (;;) {
    if (in_turns) std::shuffle(order.begin(), order.end(), generator);
    bool progress = false;
    for (size_t first = 0; first < order.size(); first += together) {
      const int* threads = order.data() + first;
      while (RunOnce(threads, threads + together)) {
        progress = true;
        if (in_turns) break;
      }
    }
    if (!machine->error.empty()) return;
    if (std::all_of(machine->fibers.begin(), machine->fibers.end(),
                    [](const Fiber& f) { return f.state == State::kDone; }))
      return;
    if (progress) continue;
    const auto waiting = std::find_if(machine->fibers.begin(), machine->fibers.end(),
                                      [](const Fiber& f) { return f.state != State::kDone; });
    machine->error = Describe(*waiting) + " waits for ever at " + Describe(waiting->where) +
                     ": others of its block or warp do not come";
    return;
  }
}

}  // namespace

void SetOrder(Order order) { chosen_order = order; }

std::set<Place> PlacesOf(const std::function<void()>& run) {
  std::set<Place> places;
  seen_places = &places;
  run();
  seen_places = nullptr;
  return places;
}
void Break(const std::optional<Place>& place) { broken = place; }
bool IsBroken(Act act, const std::source_location& where) {
  if (seen_places) seen_places->insert({act, where.file_name(), where.line()});
  return broken && broken->act == act && broken->line == where.line() && broken->file == where.file_name();
}

void SetSharedLimit(size_t bytes) { shared_limit = bytes; }
const Position& Here() { return machine->current->position; }
unsigned char* Shared() { return machine->shared.data(); }

void Fail(const std::string& what) {
  machine->error = Describe(*machine->current) + " " + what;
  for (;;) SwitchToScheduler();
}

void MeetBlock(const std::source_location& where) {
  if (IsBroken(Act::kBarrier, where)) return;
  Fiber& self = *machine->current;
  for (const Fiber& other : machine->fibers)
    if (other.state == State::kAtBarrier) {
      if (!SamePlace(other.where, where))
        Fail("comes to the barrier at " + Describe(where) + " while others wait at " + Describe(other.where));
      break;
    }
  if (++machine->at_barrier == static_cast<int>(machine->fibers.size())) {
    machine->at_barrier = 0;
    for (Fiber& fiber : machine->fibers) fiber.state = State::kRunning;
    return;
  }
  self.where = where;
  self.state = State::kAtBarrier;
  SwitchToScheduler();
}

void MeetWarp(WarpOperation together, void* arguments, const std::source_location& where) {
  Fiber& self = *machine->current;
  const int warp = self.position.thread / 32, lane = self.position.thread % 32;
  WarpMeeting& meeting = machine->warps[static_cast<size_t>(warp)];
  Fiber* lanes = &machine->fibers[static_cast<size_t>(32 * warp)];
  for (int other = 0; other < 32; ++other)
    if (lanes[other].state == State::kAtWarp) {
      if (!SamePlace(lanes[other].where, where))
        Fail("comes to " + Describe(where) + " while lanes of its warp wait at " + Describe(lanes[other].where));
      break;
    }
  meeting.arguments[static_cast<size_t>(lane)] = arguments;
  if (++meeting.arrived == 32) {
    meeting.arrived = 0;
    together(meeting.arguments.data());
    for (int other = 0; other < 32; ++other) lanes[other].state = State::kRunning;
    return;
  }
  self.where = where;
  self.state = State::kAtWarp;
  SwitchToScheduler();
}

void StartCopy(void* to, const void* from) {
  const auto misaligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 != 0; };
  if (misaligned(to) || misaligned(from)) Fail("copies 16 bytes from or to an address that is not aligned");
  if (machine->copies_at_once)
    Finish({{to, from}});
  else
    machine->current->started.push_back({to, from});
}

void CommitCopies() {
  Fiber& self = *machine->current;
  self.committed.push_back(std::move(self.started));
  self.started.clear();
}

void WaitForCopies(size_t but_last) {
  auto& groups = machine->current->committed;
  while (groups.size() > but_last) {
    Finish(groups.front());
    groups.erase(groups.begin());
  }
}

void RunBlocks(const std::string& kernel, int64_t grid_x, int64_t grid_y, int64_t grid_z, int threads,
               size_t shared_bytes, const std::function<void()>& body) {
  if (threads < 32 || threads > kMaxThreads || threads % 32 != 0 || grid_x < 1 || grid_y < 1 || grid_z < 1 ||
      grid_y > 65535 || grid_z > 65535 || shared_bytes > shared_limit)
    throw std::logic_error(kernel + ": no such launch");
  static const Stacks stacks;
  Machine here;
  here.body = &body;
  here.fibers.resize(static_cast<size_t>(threads));
  std::mt19937 generator(17);
  std::vector<int> order(static_cast<size_t>(threads));
  std::iota(order.begin(), order.end(), 0);
  if (chosen_order == Order::kDescending) std::reverse(order.begin(), order.end());
  machine = &here;
  for (int64_t block = 0; block < grid_x * grid_y * grid_z && here.error.empty(); ++block) {
    here.warps.assign(static_cast<size_t>(threads / 32), {});
    here.shared.assign(shared_bytes + kGuardBytes, kPoison);
    here.at_barrier = 0;
    here.copies_at_once =
        chosen_order == Order::kDescending || (chosen_order == Order::kShuffled && generator() % 2 == 0);
    for (int thread = 0; thread < threads; ++thread) {
      Fiber& fiber = here.fibers[static_cast<size_t>(thread)];
      fiber.position = {thread, threads, block % grid_x, block / grid_x % grid_y, block / grid_x / grid_y,
                        grid_x, grid_z};
      fiber.state = State::kRunning;
      fiber.committed.clear();
      fiber.started.clear();
      Prepare(fiber, stacks.memory + static_cast<size_t>(thread) * kStackBytes);
    }
    RunBlock(order, generator);
    const auto behind = here.shared.begin() + static_cast<std::ptrdiff_t>(shared_bytes);
    if (here.error.empty() && std::any_of(behind, here.shared.end(), [](unsigned char c) { return c != kPoison; }))
      here.error = "a thread wrote behind the block's shared memory";
  }
  machine = nullptr;
  if (!here.error.empty()) throw std::logic_error(kernel + ": " + here.error);
}

}  // namespace sink::kernels::emulator
