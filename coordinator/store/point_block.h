// A block of one job's metric points, as the table `points` keeps it: runs of points of one step and attempt, each with
// the numbers of its series as small differences and its values as they are in memory. About nine bytes a point. Pure;
// any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sink::store {

struct StoredPoint {
  int64_t series = 0;  // SeriesNames
  int64_t step = 0;
  double value = 0;
  int attempt = 0;
};

// A block's bytes: a row of the table fits a page of the database with them.
inline constexpr size_t kBlockBytes = 3900;

// Adds points to a block, in order, until it holds kBlockBytes or a little less; an empty one takes at least one.
// Returns how many.
size_t AppendToBlock(const std::vector<StoredPoint>& points, size_t first, std::string* block);
// The whole block anew, however long.
std::string EncodeBlock(const std::vector<StoredPoint>& points);
// Adds the block's points to `points`; false when its bytes are damaged.
bool DecodeBlock(std::string_view block, std::vector<StoredPoint>* points);

}  // namespace sink::store
