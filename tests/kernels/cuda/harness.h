// What the tests of CUDA kernels on a CPU share: buffers with guarded ends, values of either type, and a run of the
// same launch in every order of threads. Test helper.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cuda/device.h"
#include "tests/kernels/cuda/fibers.h"
#include "tests/kernels/reference.h"
#include "tests/testing/finite_difference.h"

namespace sink::kernels::cuda {

using kernels::testing::Dot;
using kernels::testing::Random;
using kernels::testing::Wide;
using sink::testing::FiniteDifferences;

template <typename T>
T Narrow(double x) {
  if constexpr (std::is_same_v<T, Bfloat16>)
    return {static_cast<uint16_t>(RoundToBfloat16(static_cast<float>(x)))};
  else
    return static_cast<T>(x);
}
inline double Widen(double x) { return x; }
inline double Widen(Bfloat16 x) { return FromBits(static_cast<uint32_t>(x.bits) << 16); }

// "Device memory": values between guards that a kernel must leave alone, aligned to 16 bytes, or off by one value.
template <typename T>
class Buffer {
 public:
  // NaNs, which a kernel must not read.
  explicit Buffer(int64_t count, int64_t offset = 0) : count_(count), offset_(offset) {
    bytes_ = static_cast<size_t>(count + offset) * sizeof(T);
    memory_.reset(new (std::align_val_t(16)) unsigned char[bytes_ + 2 * kGuard]);
    std::memset(memory_.get(), 0xff, bytes_ + 2 * kGuard);
  }
  template <typename U>
  explicit Buffer(const std::vector<U>& values, int64_t offset = 0)
      : Buffer(static_cast<int64_t>(values.size()), offset) {
    for (size_t i = 0; i < values.size(); ++i) data()[i] = Narrow<T>(static_cast<double>(values[i]));
  }
  ~Buffer() {
    for (size_t i = 0; i < kGuard; ++i) {
      EXPECT_EQ(memory_[i], 0xff) << "written before a buffer";
      EXPECT_EQ(memory_[kGuard + bytes_ + i], 0xff) << "written behind a buffer";
    }
  }
  T* data() { return reinterpret_cast<T*>(memory_.get() + kGuard) + offset_; }
  const T* data() const { return reinterpret_cast<const T*>(memory_.get() + kGuard) + offset_; }
  int64_t size() const { return count_; }

  // The values as they were rounded.
  std::vector<double> Values() const {
    std::vector<double> values(static_cast<size_t>(count_));
    for (size_t i = 0; i < values.size(); ++i) values[i] = Widen(data()[i]);
    return values;
  }

 private:
  struct Free {
    void operator()(unsigned char* p) const { ::operator delete[](p, std::align_val_t(16)); }
  };
  static constexpr size_t kGuard = 128;
  int64_t count_, offset_;
  size_t bytes_;
  std::unique_ptr<unsigned char[], Free> memory_;
};

// Norm of the difference over the norm of what was expected.
inline double RelativeError(const std::vector<double>& actual, const std::vector<double>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
  return std::sqrt(difference / std::max(Dot(expected, expected), 1e-30));
}

// What `run` returns, which must be the same to the bit whatever the order in which threads run.
inline std::vector<double> InEveryOrder(const std::function<std::vector<double>()>& run) {
  emulator::SetOrder(emulator::Order::kAscending);
  const std::vector<double> first = run();
  for (const auto order : {emulator::Order::kDescending, emulator::Order::kShuffled}) {
    emulator::SetOrder(order);
    const std::vector<double> other = run();
    EXPECT_EQ(first.size(), other.size());
    EXPECT_EQ(std::memcmp(first.data(), other.data(), first.size() * sizeof(double)), 0)
        << "depends on the order of threads (" << static_cast<int>(order) << ")";
  }
  emulator::SetOrder(emulator::Order::kAscending);
  return first;
}

// The places of a kernel where a fault does not show: with it `run` still returns, in every order of threads, what is
// within `tolerance` of what it returns as it stands, and the same bits.
inline std::vector<emulator::Place> HiddenFaults(const std::function<std::vector<double>()>& run, double tolerance) {
  std::vector<double> right;
  const std::set<emulator::Place> places = emulator::PlacesOf([&] { right = run(); });
  const auto shows = [&] {
    std::vector<double> first;
    for (const auto order : {emulator::Order::kAscending, emulator::Order::kDescending, emulator::Order::kShuffled}) {
      emulator::SetOrder(order);
      try {
        const std::vector<double> result = run();
        if (!(RelativeError(result, right) < tolerance)) return true;  // or is none
        if (!first.empty() && std::memcmp(first.data(), result.data(), first.size() * sizeof(double)) != 0) return true;
        first = result;
      } catch (const std::logic_error&) {
        return true;
      }
    }
    return false;
  };
  std::vector<emulator::Place> hidden;
  for (const emulator::Place& place : places) {
    emulator::Break(place);
    if (!shows()) hidden.push_back(place);
  }
  emulator::Break({});
  emulator::SetOrder(emulator::Order::kAscending);
  return hidden;
}

inline std::string Describe(const std::vector<emulator::Place>& places) {
  constexpr const char* kActs[] = {"barrier", "wait", "fragment"};
  std::string text;
  for (const emulator::Place& place : places)
    text +=
        std::string(kActs[static_cast<int>(place.act)]) + " at " + place.file + ":" + std::to_string(place.line) + "\n";
  return text;
}

inline std::vector<double> Join(const std::vector<std::vector<double>>& parts) {
  std::vector<double> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// Bound of RelativeError for results that are stored as T: half a unit in the last place, and what float sums lose.
template <typename T>
constexpr double kTolerance = std::is_same_v<T, Bfloat16> ? 3.9e-3 : 2e-6;

}  // namespace sink::kernels::cuda
