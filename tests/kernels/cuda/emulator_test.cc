// The machine on which the tests of CUDA kernels run: what a right kernel computes, and that wrong ones are caught.
// Each fault that a GPU may forgive or punish at random must be seen here: a missing barrier, one that some threads
// miss, a wrong index of a fragment, a copy that nobody waits for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <vector>

#include "kernels/cuda/values.h"
#include "tests/kernels/cuda/harness.h"

namespace sink::kernels::cuda {
namespace {

using emulator::Order;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int kThreads = 96;
constexpr Order kOrders[] = {Order::kAscending, Order::kDescending, Order::kShuffled};

class Emulator : public ::testing::Test {
 protected:
  void TearDown() override { emulator::SetOrder(Order::kAscending); }

  // How many different results the orders give.
  template <typename Kernel>
  size_t Outcomes(Kernel kernel, size_t shared_bytes) {
    std::set<std::vector<int>> outcomes;
    for (const Order order : kOrders) {
      emulator::SetOrder(order);
      std::vector<int> out(kThreads, -7);
      Launch("test", kernel, Grid{}, kThreads, shared_bytes, nullptr, out.data());
      outcomes.insert(out);
    }
    return outcomes.size();
  }
};

template <bool kWithBarrier>
void ReverseThroughSharedMemory(int* out) {
  int* shared = SharedMemory<int>();
  shared[Thread()] = Thread();
  if (kWithBarrier) Barrier();
  out[Thread()] = shared[Threads() - 1 - Thread()];
}

TEST_F(Emulator, RemovedBarrierBetweenWriteAndReadShows) {
  EXPECT_EQ(Outcomes(&ReverseThroughSharedMemory<true>, kThreads * sizeof(int)), 1u);
  EXPECT_GT(Outcomes(&ReverseThroughSharedMemory<false>, kThreads * sizeof(int)), 1u);
}

// The second barrier keeps a fast thread from overwriting what a slow one has yet to read.
template <bool kWithBarrier>
void RotateTwice(int* out) {
  int* shared = SharedMemory<int>();
  int value = Thread();
  for (int round = 0; round < 2; ++round) {
    shared[Thread()] = value;
    Barrier();
    value = shared[(Thread() + 1) % Threads()];
    if (kWithBarrier) Barrier();
  }
  out[Thread()] = value;
}

TEST_F(Emulator, RemovedBarrierBetweenReadAndNextWriteShows) {
  EXPECT_EQ(Outcomes(&RotateTwice<true>, kThreads * sizeof(int)), 1u);
  EXPECT_GT(Outcomes(&RotateTwice<false>, kThreads * sizeof(int)), 1u);
}

// A barrier of the warp is enough where only the warp's own lanes meet.
template <bool kWithBarrier>
void ReverseWithinWarp(int* out) {
  int* shared = SharedMemory<int>();
  shared[Thread()] = Thread();
  if (kWithBarrier) WarpBarrier();
  out[Thread()] = shared[32 * Warp() + 31 - Lane()];
}

TEST_F(Emulator, RemovedBarrierOfAWarpShows) {
  EXPECT_EQ(Outcomes(&ReverseWithinWarp<true>, kThreads * sizeof(int)), 1u);
  EXPECT_GT(Outcomes(&ReverseWithinWarp<false>, kThreads * sizeof(int)), 1u);
}

void BarrierForSome(int* out) {
  if (Thread() != 40) Barrier();
  out[Thread()] = 1;
}
void BarriersOfDifferentBranches(int* out) {
  if (Thread() < 64)
    Barrier();
  else
    Barrier();
  out[Thread()] = 1;
}
void ShuffleForSome(int* out) {
  out[Thread()] = 0;
  if (Lane() < 16) out[Thread()] = ShuffleXor(Lane(), 1);
}

TEST_F(Emulator, BarrierThatSomeThreadsMissIsAnError) {
  std::vector<int> out(kThreads);
  for (const Order order : kOrders) {
    emulator::SetOrder(order);
    const auto run = [&](void (*kernel)(int*)) { Launch("k", kernel, Grid{}, kThreads, 0, nullptr, out.data()); };
    EXPECT_THAT([&] { run(&BarrierForSome); }, ThrowsMessage<std::logic_error>(HasSubstr("waits for ever")));
    EXPECT_THAT([&] { run(&BarriersOfDifferentBranches); },
                ThrowsMessage<std::logic_error>(HasSubstr("comes to the barrier")));
    EXPECT_THAT([&] { run(&ShuffleForSome); }, ThrowsMessage<std::logic_error>(HasSubstr("waits for ever")));
  }
}

void WriteBehindSharedMemory(int*) {
  if (Thread() == 0) SharedMemory<int>()[8] = 1;
}
void ReadUnaligned(int* out) { LoadBits<16>(out + 1); }

TEST_F(Emulator, WrongAddressesAreErrors) {
  alignas(16) int memory[16] = {};
  EXPECT_THAT([&] { Launch("k", &WriteBehindSharedMemory, Grid{}, 32, 32, nullptr, memory); },
              ThrowsMessage<std::logic_error>(HasSubstr("behind the block's shared memory")));
  EXPECT_THAT([&] { Launch("k", &ReadUnaligned, Grid{}, 32, 0, nullptr, memory); },
              ThrowsMessage<std::logic_error>(HasSubstr("not aligned")));
}

template <bool kWait>
void CopyThroughSharedMemory(int* out) {
  int* shared = SharedMemory<int>();
  CopyAsync16(shared + 4 * Thread(), out + 4 * Thread(), Thread() != 3);
  AsyncCommit();
  if (kWait) AsyncWait<0>();
  Barrier();
  out[4 * Thread()] = shared[4 * (Threads() - 1 - Thread())];
  AsyncWait<0>();
}
void NeverWait(int* out) {
  CopyAsync16(SharedMemory<int>() + 4 * Thread(), out + 4 * Thread(), true);
  AsyncCommit();
}

TEST_F(Emulator, CopiesArriveWhenTheyAreWaitedFor) {
  for (const Order order : kOrders) {
    emulator::SetOrder(order);
    alignas(16) int memory[4 * 32];
    for (int i = 0; i < 4 * 32; ++i) memory[i] = i;
    Launch("copy", &CopyThroughSharedMemory<true>, Grid{}, 32, sizeof(memory), nullptr, memory);
    EXPECT_EQ(memory[0], 4 * 31);
    EXPECT_EQ(memory[4 * 28], 0) << "a copy that is not valid gives zeros";
  }
  emulator::SetOrder(Order::kAscending);
  alignas(16) int memory[4 * 32] = {};
  Launch("copy", &CopyThroughSharedMemory<false>, Grid{}, 32, sizeof(memory), nullptr, memory);
  EXPECT_NE(memory[0], 0) << "what was not waited for must not be there by chance";
  EXPECT_THAT([&] { Launch("copy", &NeverWait, Grid{}, 32, sizeof(memory), nullptr, memory); },
              ThrowsMessage<std::logic_error>(HasSubstr("never waited for")));
}

// c = a b^T for 16 x 16 matrices in memory, with one of the mistakes that are easily made.
enum class Mistake { kNone, kHalvesOfAExchanged, kBNotTransposed, kRowOfCWrong };
template <Mistake kMistake>
void MultiplyMatrices(const Bfloat16* a, const Bfloat16* b, float* c) {
  const int row = Lane() % 16, column = Lane() / 16 * 8;
  Matrices left = LoadMatrices(a + 16 * row + column);
  if (kMistake == Mistake::kHalvesOfAExchanged) left = {left.m0, left.m2, left.m1, left.m3};
  const Bfloat16* right_row = b + 16 * (Lane() % 8 + Lane() / 16 * 8) + Lane() / 8 % 2 * 8;
  const Matrices right =
      kMistake == Mistake::kBNotTransposed ? LoadMatricesTransposed(right_row) : LoadMatrices(right_row);
  float low[4] = {}, high[4] = {};
  Mma(low, left, right.m0, right.m1);
  Mma(high, left, right.m2, right.m3);
  for (int i = 0; i < 4; ++i) {
    const int r = Lane() / 4 + (i / 2 == (kMistake == Mistake::kRowOfCWrong ? 0 : 1) ? 8 : 0);
    c[16 * r + Lane() % 4 * 2 + i % 2] = low[i];
    c[16 * r + Lane() % 4 * 2 + i % 2 + 8] = high[i];
  }
}

TEST_F(Emulator, FragmentsLieAsTheManualSaysAndAWrongIndexShows) {
  const Buffer<Bfloat16> a(Random(256, 1)), b(Random(256, 2));
  const std::vector<double> left = a.Values(), right = b.Values();
  std::vector<double> expected(256);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j)
      for (int k = 0; k < 16; ++k) expected[16 * i + j] += left[16 * i + k] * right[16 * j + k];
  const auto error = [&](auto kernel) {
    const std::vector<double> c = InEveryOrder([&] {
      Buffer<float> out(256);
      Launch("multiply", kernel, Grid{}, 32, 0, nullptr, a.data(), b.data(), out.data());
      return out.Values();
    });
    return RelativeError(c, expected);
  };
  EXPECT_LT(error(&MultiplyMatrices<Mistake::kNone>), 1e-6);
  EXPECT_GT(error(&MultiplyMatrices<Mistake::kHalvesOfAExchanged>), 0.5);
  EXPECT_GT(error(&MultiplyMatrices<Mistake::kBNotTransposed>), 0.5);
  EXPECT_GT(error(&MultiplyMatrices<Mistake::kRowOfCWrong>), 0.5);
}

void SumOfThreads(double* out) {
  double x[2] = {1.0 * Thread(), 1.0};
  BlockSum(x, SharedMemory<double>());
  double again[2] = {x[0], x[1]};
  BlockSum(again, SharedMemory<double>());
  out[Thread()] = again[0] + x[1];
}

TEST_F(Emulator, SumOverTheBlockReachesEveryThread) {
  const std::vector<double> sums = InEveryOrder([&] {
    Buffer<double> out(kThreads);
    Launch("sum", &SumOfThreads, Grid{}, kThreads, 2 * kThreads / 32 * sizeof(double), nullptr, out.data());
    return out.Values();
  });
  const double sum = kThreads * (kThreads - 1) / 2;
  for (const double value : sums) EXPECT_EQ(value, sum * kThreads + kThreads);
}

TEST_F(Emulator, RoundingToBfloat16IsToNearestTiesToEven) {
  EXPECT_EQ(PackBfloat16(1.0f, -2.0f), 0xc0003f80u);
  EXPECT_EQ(PackBfloat16(1.0f + 1.0f / 256, 1.0f + 3.0f / 256), 0x3f823f80u);
  EXPECT_EQ(PackBfloat16(INFINITY, 3.4e38f), 0x7f807f80u);
  EXPECT_TRUE(std::isnan(FromBits(PackBfloat16(NAN, 0.0f) << 16)));
}

}  // namespace
}  // namespace sink::kernels::cuda
