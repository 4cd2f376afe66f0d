// A block of threads as fibers on one CPU thread, for the tests of CUDA kernels: each runs until it meets a barrier or
// the lanes of its warp, in an order that the test chooses. What a missing barrier leaves to chance on a GPU is decided
// here by that order, so that a test which compares orders sees it. Test helper; one CPU thread at a time.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <source_location>
#include <string>
#include <vector>

namespace sink::kernels::emulator {

// In which order the threads of a block run between two meetings: warp by warp, each as far as it comes without the
// others, or, kShuffled, all in turns. Asynchronous copies arrive as late as they may with kAscending, at once with
// kDescending, and with kShuffled one or the other.
enum class Order { kAscending, kDescending, kShuffled };

struct Position {
  int thread = 0, threads = 0;
  int64_t block_x = 0, block_y = 0, block_z = 0, grid_x = 1, grid_z = 1;
};

// Runs body once for each thread of each block. std::logic_error, naming the kernel, thread and line, where threads do
// not meet where they must, a copy is never waited for, an address is not aligned, or memory behind the block's shared
// memory was written.
void RunBlocks(const std::string& kernel, int64_t grid_x, int64_t grid_y, int64_t grid_z, int threads,
               size_t shared_bytes, const std::function<void()>& body);
void SetOrder(Order order);
// The shared memory that a block may have: that of compute capability 8.0, where nobody says.
inline constexpr size_t kSharedBytesOf80 = 163 * 1024, kSharedBytesOf86 = 99 * 1024;
void SetSharedLimit(size_t bytes);

// Faults that a test puts into a kernel as it stands: at one place of its source a barrier or a wait for copies is left
// out, or the halves of a fragment are exchanged.
enum class Act { kBarrier, kWait, kFragment };
struct Place {
  Act act;
  std::string file;
  unsigned line;
  auto operator<=>(const Place&) const = default;
};
// The places that `run` comes to.
std::set<Place> PlacesOf(const std::function<void()>& run);
void Break(const std::optional<Place>& place);

// The rest is called by a running thread of a block.

bool IsBroken(Act act, const std::source_location& where);

const Position& Here();
unsigned char* Shared();
// Ends the launch with an error.
[[noreturn]] void Fail(const std::string& what);
void MeetBlock(const std::source_location& where);

// Every lane of the warp brings the address of its arguments; the last to come runs `together` on all 32.
using WarpOperation = void (*)(void* const* arguments);
void MeetWarp(WarpOperation together, void* arguments, const std::source_location& where);

// Asynchronous copies of 16 bytes; a null `from` gives zeros.
void StartCopy(void* to, const void* from);
void CommitCopies();
void WaitForCopies(size_t but_last);

}  // namespace sink::kernels::emulator
