// The embedding's gradient for CUDA on the emulator, against sums in double: ids that occur once, often, in runs across
// tiles of every kind, and more rows than one block sorts.
#include "kernels/cuda/embedding.cu"

#include <random>

#include "tests/kernels/cuda/harness.h"

namespace sink::kernels::cuda {
namespace {

template <typename T>
void Check(const std::vector<int64_t>& ids, int64_t columns, int64_t vocabulary, int64_t offset = 0) {
  const auto rows = static_cast<int64_t>(ids.size());
  SCOPED_TRACE(::testing::Message() << rows << " x " << columns << " into " << vocabulary);
  const Buffer<T> dy(Random(rows * columns, 1), offset);
  const std::vector<float> before = Random(vocabulary * columns, 2);
  const std::vector<double> table = InEveryOrder([&] {
    Buffer<float> dtable(before, offset);
    Buffer<uint64_t> workspace(CeilDivide<int64_t>(static_cast<int64_t>(EmbeddingWorkspace(rows, columns)), 8));
    EmbeddingBackward<T>(nullptr, dy.data(), ids.data(), rows, columns, dtable.data(), workspace.data());
    return dtable.Values();
  });
  std::vector<double> expected = Wide(before);
  const std::vector<double> values = dy.Values();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      expected[static_cast<size_t>(ids[static_cast<size_t>(r)] * columns + c)] +=
          values[static_cast<size_t>(r * columns + c)];
  EXPECT_LT(RelativeError(table, expected), 2e-6);
}

std::vector<int64_t> RandomIds(int64_t rows, int64_t vocabulary) {
  std::mt19937 generator(3);
  std::vector<int64_t> ids(static_cast<size_t>(rows));
  for (int64_t& id : ids) id = static_cast<int64_t>(generator()) % vocabulary;
  return ids;
}

TEST(CudaEmbedding, AddsEachRowToItsId) {
  Check<float>(RandomIds(1, 5), 3, 5);
  Check<float>(RandomIds(31, 50), 3, 50);
  Check<float>(RandomIds(200, 7), 40, 7);
  Check<Bfloat16>(RandomIds(200, 300), 40, 300);
  Check<Bfloat16>(RandomIds(77, 9), 8, 9, 1);
  Check<Bfloat16>(RandomIds(40, 9), 2056, 9);
}

TEST(CudaEmbedding, RunsMayCrossTilesInEveryWay) {
  std::vector<int64_t> ids;
  for (const int64_t count : {1, 31, 32, 33, 63, 1, 64, 97, 2, 30, 160}) {
    for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int64_t>(ids.size()) - i);
    Check<float>(ids, 5, 600);
  }
  Check<float>(std::vector<int64_t>(128, 3), 4, 5);
}

TEST(CudaEmbedding, SortsMoreRowsThanABlockHolds) {
  Check<float>(RandomIds(1025, 40), 4, 40);
  Check<Bfloat16>(RandomIds(4100, 2000), 8, 2000);
}

}  // namespace
}  // namespace sink::kernels::cuda
