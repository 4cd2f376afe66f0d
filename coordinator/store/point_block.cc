// See point_block.h. A run is: step, attempt, count, the series' differences, then the values; whole numbers are
// varints of seven bits a byte, differences with their sign in the lowest bit.
#include "coordinator/store/point_block.h"

#include <algorithm>
#include <cstring>

namespace sink::store {
namespace {

constexpr size_t kMostVarintBytes = 10;
constexpr size_t kRunHeader = 3 * kMostVarintBytes;

void PutVarint(uint64_t value, std::string* bytes) {
  for (; value >= 0x80; value >>= 7) bytes->push_back(static_cast<char>(value | 0x80));
  bytes->push_back(static_cast<char>(value));
}

bool TakeVarint(std::string_view* bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < std::min(bytes->size(), kMostVarintBytes); ++i) {
    const auto byte = static_cast<unsigned char>((*bytes)[i]);
    *value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte >= 0x80) continue;
    bytes->remove_prefix(i + 1);
    return true;
  }
  return false;
}

uint64_t ZigZag(int64_t value) { return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63); }
int64_t UnZigZag(uint64_t value) { return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1); }

// The end of the run that begins at `first`, and no further than the room allows.
size_t RunEnd(const std::vector<StoredPoint>& points, size_t first, size_t room) {
  size_t end = first;
  size_t size = kRunHeader;
  for (; end < points.size(); ++end) {
    if (points[end].step != points[first].step || points[end].attempt != points[first].attempt) break;
    const int64_t before = end == first ? 0 : points[end - 1].series;
    size += sizeof(double) + (ZigZag(points[end].series - before) < 0x80 ? 1 : kMostVarintBytes);
    if (size > room) break;
  }
  return end;
}

void PutRun(const std::vector<StoredPoint>& points, size_t first, size_t end, std::string* block) {
  PutVarint(ZigZag(points[first].step), block);
  PutVarint(ZigZag(points[first].attempt), block);
  PutVarint(end - first, block);
  int64_t series = 0;
  for (size_t i = first; i < end; ++i) {
    PutVarint(ZigZag(points[i].series - series), block);
    series = points[i].series;
  }
  const size_t values = block->size();
  block->resize(values + (end - first) * sizeof(double));
  for (size_t i = first; i < end; ++i) {
    std::memcpy(block->data() + values + (i - first) * sizeof(double), &points[i].value, sizeof(double));
  }
}

}  // namespace

size_t AppendToBlock(const std::vector<StoredPoint>& points, size_t first, std::string* block) {
  size_t next = first;
  while (next < points.size()) {
    const size_t room = kBlockBytes > block->size() ? kBlockBytes - block->size() : 0;
    const size_t end = std::max(RunEnd(points, next, room), block->empty() ? next + 1 : next);
    if (end == next) break;
    PutRun(points, next, end, block);
    next = end;
  }
  return next - first;
}

std::string EncodeBlock(const std::vector<StoredPoint>& points) {
  std::string block;
  for (size_t first = 0; first < points.size();) {
    const size_t end = RunEnd(points, first, SIZE_MAX);
    PutRun(points, first, end, &block);
    first = end;
  }
  return block;
}

bool DecodeBlock(std::string_view block, std::vector<StoredPoint>* points) {
  while (!block.empty()) {
    uint64_t step = 0, attempt = 0, count = 0;
    if (!TakeVarint(&block, &step) || !TakeVarint(&block, &attempt) || !TakeVarint(&block, &count)) return false;
    if (count > block.size() / (1 + sizeof(double))) return false;
    const size_t first = points->size();
    points->resize(first + count);
    int64_t series = 0;
    for (size_t i = first; i < points->size(); ++i) {
      uint64_t difference = 0;
      if (!TakeVarint(&block, &difference)) return false;
      series = static_cast<int64_t>(static_cast<uint64_t>(series) + static_cast<uint64_t>(UnZigZag(difference)));
      (*points)[i] = {series, UnZigZag(step), 0, static_cast<int>(UnZigZag(attempt))};
    }
    if (block.size() < count * sizeof(double)) return false;
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(&(*points)[first + i].value, block.data() + i * sizeof(double), sizeof(double));
    }
    block.remove_prefix(count * sizeof(double));
  }
  return true;
}

}  // namespace sink::store
