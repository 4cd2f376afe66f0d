#include "model/storage/gguf_blocks.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace sink {
namespace {

constexpr int kSmall = 32, kLarge = 256;  // values of a block

int Byte(const std::byte* at) { return std::to_integer<int>(*at); }
int Signed(const std::byte* at) { return static_cast<int8_t>(Byte(at)); }
uint32_t Word(const std::byte* at) { return static_cast<uint32_t>(Byte(at) | Byte(at + 1) << 8); }

float Half(const std::byte* at) {
  const uint32_t bits = Word(at), exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  const uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return sign * std::bit_cast<float>(wide << 23 | mantissa << 13);
}

void ReadF32(const std::byte* block, float* x) { std::memcpy(x, block, sizeof(float)); }
void ReadF16(const std::byte* block, float* x) { *x = Half(block); }
void ReadBf16(const std::byte* block, float* x) { *x = std::bit_cast<float>(Word(block) << 16); }

// A scale, then a byte a value.
void ReadQ8_0(const std::byte* block, float* x) {
  const float scale = Half(block);
  for (int i = 0; i < kSmall; ++i) x[i] = scale * static_cast<float>(Signed(block + 2 + i));
}

// Half a byte a value: the first half of the values in the low bits.
void ReadQ4_0(const std::byte* block, float* x) {
  const float scale = Half(block);
  for (int i = 0; i < kSmall / 2; ++i) {
    const int both = Byte(block + 2 + i);
    x[i] = scale * static_cast<float>((both & 15) - 8);
    x[i + kSmall / 2] = scale * static_cast<float>((both >> 4) - 8);
  }
}

void ReadQ4_1(const std::byte* block, float* x) {
  const float scale = Half(block), least = Half(block + 2);
  for (int i = 0; i < kSmall / 2; ++i) {
    const int both = Byte(block + 4 + i);
    x[i] = scale * static_cast<float>(both & 15) + least;
    x[i + kSmall / 2] = scale * static_cast<float>(both >> 4) + least;
  }
}

// Eight groups of 32 values, each with a scale and a least value of six bits, packed into twelve bytes.
void ReadQ4_K(const std::byte* block, float* x) {
  const float scale = Half(block), least = Half(block + 2);
  const std::byte *packed = block + 4, *values = block + 16;
  for (int group = 0; group < 8; ++group) {
    const int low = Byte(packed + group % 4), middle = Byte(packed + 4 + group % 4),
              high = Byte(packed + 8 + group % 4);
    const int s = group < 4 ? low & 63 : (high & 15) | low >> 6 << 4;
    const int m = group < 4 ? middle & 63 : high >> 4 | middle >> 6 << 4;
    const float by = scale * static_cast<float>(s), from = least * static_cast<float>(m);
    const std::byte* at = values + group / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int value = group % 2 == 0 ? Byte(at + i) & 15 : Byte(at + i) >> 4;
      x[group * 32 + i] = by * static_cast<float>(value) - from;
    }
  }
}

// Six bits a value, four in `low` and two in `high`, and a scale of eight bits for each 16 values.
void ReadQ6_K(const std::byte* block, float* x) {
  const std::byte *low = block, *high = block + 128, *scales = block + 192;
  const float scale = Half(block + 208);
  for (int half = 0; half < 2; ++half)
    for (int part = 0; part < 4; ++part)
      for (int i = 0; i < 32; ++i) {
        const int four = Byte(low + half * 64 + part % 2 * 32 + i) >> (part / 2 * 4) & 15;
        const int two = Byte(high + half * 32 + i) >> (2 * part) & 3;
        const float by = scale * static_cast<float>(Signed(scales + half * 8 + part * 2 + i / 16));
        x[half * 128 + part * 32 + i] = by * static_cast<float>((four | two << 4) - 32);
      }
}

constexpr GgufType kTypes[] = {
    {0, "F32", 1, 4, ReadF32},           {1, "F16", 1, 2, ReadF16},           {2, "Q4_0", kSmall, 18, ReadQ4_0},
    {3, "Q4_1", kSmall, 20, ReadQ4_1},   {6, "Q5_0", kSmall, 22, nullptr},    {7, "Q5_1", kSmall, 24, nullptr},
    {8, "Q8_0", kSmall, 34, ReadQ8_0},   {9, "Q8_1", kSmall, 36, nullptr},    {10, "Q2_K", kLarge, 84, nullptr},
    {11, "Q3_K", kLarge, 110, nullptr},  {12, "Q4_K", kLarge, 144, ReadQ4_K}, {13, "Q5_K", kLarge, 176, nullptr},
    {14, "Q6_K", kLarge, 210, ReadQ6_K}, {30, "BF16", 1, 2, ReadBf16}};

}  // namespace

const GgufType* FindGgufType(uint32_t code) {
  for (const GgufType& type : kTypes)
    if (type.code == code) return &type;
  return nullptr;
}

const GgufType* FindGgufType(std::string_view name) {
  for (const GgufType& type : kTypes)
    if (type.name == name) return &type;
  return nullptr;
}

void ReadGgufValues(const GgufType& type, const std::byte* blocks, int64_t count, float* values) {
  for (int64_t done = 0; done < count; done += type.values, blocks += type.bytes) type.read(blocks, values + done);
}

}  // namespace sink
