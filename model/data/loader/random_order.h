// Randomness as pure functions: a value is looked up, never drawn, so that any point of a shuffle can be computed alone
// and a resumed run needs no generator state. Pure; any thread.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace sink::data {

// 64 well-mixed bits from a few integers (XXH3).
uint64_t HashOf(std::initializer_list<uint64_t> values);

// Uniform in [0, n); the bias of 2^-64 * n does not matter here.
uint64_t UniformOf(std::initializer_list<uint64_t> values, uint64_t n);

// Where element `index` of [0, n) goes under the permutation that `key` names: a Feistel network over the next even
// number of bits, walked until it lands inside (four times at most on average).
uint64_t Permute(uint64_t index, uint64_t n, uint64_t key);

}  // namespace sink::data
