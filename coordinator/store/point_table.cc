// See point_table.h.
#include "coordinator/store/point_table.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/even_steps.h"
#include "coordinator/store/metric_filter.h"

namespace sink::store {
namespace {

constexpr int kBlockBits = 24;    // of a place: blocks of one job
constexpr int kOrdinalBits = 16;  // of a point's id: its place in the block, from 1
constexpr int64_t kMostBlocks = (int64_t{1} << kBlockBits) - 1;

constexpr char kLast[] =
    "SELECT place, low, high, reach, data FROM points WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT 1";
constexpr char kBackwards[] =
    "SELECT place, low, high, reach, data FROM points WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC";
constexpr char kForwards[] =
    "SELECT place, data FROM points WHERE place BETWEEN ?1 AND ?2 AND high >= ?3 ORDER BY place";
constexpr char kFirst[] = "SELECT place FROM points WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT 1";
constexpr char kOne[] = "SELECT data FROM points WHERE place = ?1";
constexpr char kIsThere[] = "SELECT 1 FROM points WHERE place = ?1";
constexpr char kStore[] =
    "INSERT INTO points (place, low, high, reach, data) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (place) DO UPDATE SET "
    "low = excluded.low, high = excluded.high, reach = excluded.reach, data = excluded.data";

constexpr int kPointsOfABlock = 8;  // of a series, where blocks are left out
constexpr int kFewPoints = 100;     // of a curve: for these it is looked at more closely
constexpr int kAllPoints = INT_MAX;

int64_t FirstPlace(int64_t job) { return job << kBlockBits; }
int64_t LastPlace(int64_t job) { return FirstPlace(job) + kMostBlocks; }

absl::StatusOr<int64_t> PlaceAfter(int64_t place) {
  if ((place & kMostBlocks) == kMostBlocks)
    return absl::ResourceExhaustedError("a job has more metric points than the database can hold");
  return place + 1;
}

absl::Status Damaged(int64_t place) {
  return absl::DataLossError(absl::StrCat("database failed: block ", place, " of the table points is damaged"));
}

using Key = std::pair<int64_t, int64_t>;  // series, step

// As an attempt's own points come: no series twice at one step, steps upwards.
bool IsAscending(const std::vector<StoredPoint>& points) {
  return std::adjacent_find(points.begin(), points.end(), [](const StoredPoint& a, const StoredPoint& b) {
           return Key(a.step, a.series) >= Key(b.step, b.series);
         }) == points.end();
}

// Of points with one key the last one's value stays, at the first one's place.
void MergeRepeated(std::vector<StoredPoint>* points) {
  absl::flat_hash_map<Key, size_t> seen;
  std::vector<StoredPoint> merged;
  for (const StoredPoint& point : *points) {
    const auto [place, is_new] = seen.try_emplace(Key(point.series, point.step), merged.size());
    if (is_new) {
      merged.push_back(point);
    } else {
      merged[place->second] = point;
    }
  }
  *points = std::move(merged);
}

}  // namespace

class PointTable::Wanted {
 public:
  Wanted(Database& db, SeriesNames& names, const std::vector<std::string>& patterns)
      : db_(db), names_(names), patterns_(patterns) {}

  // Null for a series that is not wanted. Good until the next call.
  absl::StatusOr<const std::string*> NameOf(int64_t series) {
    auto known = known_.find(series);
    if (known == known_.end()) {
      SINK_ASSIGN_OR_RETURN(std::string name, names_.NameOf(db_, series));
      if (!WantsMetric(patterns_, name)) name.clear();
      known = known_.emplace(series, std::move(name)).first;
    }
    return known->second.empty() ? nullptr : &known->second;
  }

 private:
  Database& db_;
  SeriesNames& names_;
  const std::vector<std::string>& patterns_;
  absl::flat_hash_map<int64_t, std::string> known_;  // empty: not wanted
};

absl::Status PointTable::Put(int64_t job, const std::vector<MetricPoint>& points) {
  if (points.empty()) return absl::OkStatus();
  std::vector<StoredPoint> added;
  added.reserve(points.size());
  for (const MetricPoint& point : points) {
    SINK_ASSIGN_OR_RETURN(const int64_t series, names_.NumberOf(db_, point.name));
    added.push_back({series, point.step, point.value, point.attempt});
  }
  if (!IsAscending(added)) MergeRepeated(&added);
  const int64_t lowest =
      std::min_element(added.begin(), added.end(), [](const auto& a, const auto& b) { return a.step < b.step; })->step;
  SINK_ASSIGN_OR_RETURN(Block last, LastBlock(job));
  if (!last.data.empty() && lowest <= last.reach) {
    SINK_RETURN_IF_ERROR(Replace(job, lowest, &added));
    if (added.empty()) return absl::OkStatus();
    SINK_ASSIGN_OR_RETURN(last, LastBlock(job));
  }
  return Append(std::move(last), added);
}

absl::Status PointTable::Replace(int64_t job, int64_t lowest, std::vector<StoredPoint>* points) {
  absl::flat_hash_map<Key, const StoredPoint*> fresh;
  int64_t highest = lowest;
  for (const StoredPoint& point : *points) {
    fresh.emplace(Key(point.series, point.step), &point);
    highest = std::max(highest, point.step);
  }
  std::vector<Block> changed;
  std::vector<StoredPoint> stored;
  {
    Query rows(db_, kBackwards, FirstPlace(job), LastPlace(job));
    while (!fresh.empty() && rows.Next()) {
      Block block{rows.Int(0), rows.Int(1), rows.Int(2), rows.Int(3), ""};
      if (block.reach < lowest) break;
      if (block.high < lowest || block.low > highest) continue;
      stored.clear();
      if (!DecodeBlock(rows.Bytes(4), &stored)) return Damaged(block.place);
      bool replaced = false;
      for (StoredPoint& point : stored) {
        const auto found = fresh.find(Key(point.series, point.step));
        if (found == fresh.end()) continue;
        point = *found->second;
        fresh.erase(found);
        replaced = true;
      }
      if (!replaced) continue;
      block.data = EncodeBlock(stored);
      changed.push_back(std::move(block));
    }
    if (!rows.status().ok()) return rows.status();
  }
  for (const Block& block : changed) SINK_RETURN_IF_ERROR(Store(block));
  std::erase_if(*points, [&](const StoredPoint& point) { return !fresh.contains(Key(point.series, point.step)); });
  return absl::OkStatus();
}

absl::StatusOr<PointTable::Block> PointTable::LastBlock(int64_t job) {
  Query row(db_, kLast, FirstPlace(job), LastPlace(job));
  if (row.Next()) return Block{row.Int(0), row.Int(1), row.Int(2), row.Int(3), row.Text(4)};
  if (!row.status().ok()) return row.status();
  Block first;
  first.place = FirstPlace(job) + 1;
  return first;
}

absl::Status PointTable::Append(Block block, const std::vector<StoredPoint>& points) {
  for (size_t next = 0; next < points.size();) {
    const bool is_new = block.data.empty();
    const size_t count = AppendToBlock(points, next, &block.data);
    for (size_t i = next; i < next + count; ++i) {
      const int64_t step = points[i].step;
      block.low = is_new && i == next ? step : std::min(block.low, step);
      block.high = is_new && i == next ? step : std::max(block.high, step);
    }
    block.reach = std::max(block.reach, block.high);
    if (count > 0) SINK_RETURN_IF_ERROR(Store(block));
    next += count;
    if (next == points.size()) break;
    SINK_ASSIGN_OR_RETURN(const int64_t place, PlaceAfter(block.place));
    block = {place, 0, 0, block.reach, ""};
  }
  return absl::OkStatus();
}

absl::Status PointTable::Store(const Block& block) {
  return Query(db_, kStore, block.place, block.low, block.high, block.reach, Blob{block.data}).Run();
}

absl::StatusOr<Thinned> PointTable::Thin(int64_t job, int points_a_curve, int64_t last_step) {
  std::vector<StoredPoint> points;
  int64_t last = FirstPlace(job);
  {
    Query rows(db_, kForwards, FirstPlace(job), LastPlace(job), INT64_MIN);
    while (rows.Next()) {
      last = rows.Int(0);
      if (!DecodeBlock(rows.Bytes(1), &points)) return Damaged(rows.Int(0));
    }
    if (!rows.status().ok()) return rows.status();
  }
  absl::flat_hash_map<int64_t, std::vector<int64_t>> curves;  // steps, by series
  for (const StoredPoint& point : points) {
    if (point.step <= last_step) curves[point.series].push_back(point.step);
  }
  absl::flat_hash_set<Key> kept;
  absl::flat_hash_map<int64_t, int64_t> last_steps;  // by series
  for (auto& [series, steps] : curves) {
    for (const int64_t step : EvenlySpaced(std::move(steps), points_a_curve)) {
      kept.insert(Key(series, step));
      last_steps[series] = step;
    }
  }
  Thinned thinned{static_cast<int64_t>(points.size()), static_cast<int64_t>(kept.size()), {}, {}};
  for (const StoredPoint& point : points) {
    const auto newest = last_steps.find(point.series);
    if (newest == last_steps.end() || newest->second != point.step) continue;
    SINK_ASSIGN_OR_RETURN(std::string name, names_.NameOf(db_, point.series));
    thinned.newest[std::move(name)] = point.value;
  }
  if (thinned.points_after == thinned.points_before) return thinned;
  std::erase_if(points, [&](const StoredPoint& point) { return !kept.contains(Key(point.series, point.step)); });
  SINK_RETURN_IF_ERROR(Delete(job));
  Block first;
  SINK_ASSIGN_OR_RETURN(first.place, PlaceAfter(last));
  if (points.empty()) SINK_RETURN_IF_ERROR(Store(first));  // where the job's blocks go on counting
  SINK_RETURN_IF_ERROR(Append(std::move(first), points));
  return thinned;
}

absl::Status PointTable::Delete(int64_t job) {
  return Query(db_, "DELETE FROM points WHERE place BETWEEN ?1 AND ?2", FirstPlace(job), LastPlace(job)).Run();
}

absl::StatusOr<std::vector<MetricPoint>> PointTable::List(int64_t job, const MetricQuery& query) {
  std::vector<MetricPoint> points;
  std::vector<StoredPoint> stored;
  Wanted wanted(db_, names_, query.names);
  const int64_t first = FirstPlace(job) + (query.after >> kOrdinalBits);
  if (query.after > 0) {
    Query row(db_, kIsThere, first);
    const bool is_there = row.Next();
    if (!row.status().ok()) return row.status();
    if (!is_there) return PointsWereThinned();
  }
  Query rows(db_, kForwards, first, LastPlace(job), query.from_step);
  while (points.size() < static_cast<size_t>(query.limit) && rows.Next()) {
    const int64_t place = rows.Int(0);
    stored.clear();
    if (!DecodeBlock(rows.Bytes(1), &stored)) return Damaged(place);
    int64_t id = (place & kMostBlocks) << kOrdinalBits;
    for (const StoredPoint& point : stored) {
      ++id;
      if (id <= query.after || point.step < query.from_step) continue;
      if (points.size() == static_cast<size_t>(query.limit)) break;
      SINK_ASSIGN_OR_RETURN(const std::string* const name, wanted.NameOf(point.series));
      if (name != nullptr) points.push_back({id, *name, point.step, point.value, point.attempt});
    }
  }
  if (!rows.status().ok()) return rows.status();
  return points;
}

absl::StatusOr<MetricSample> PointTable::Sample(int64_t job, const std::vector<std::string>& names) {
  MetricSample sample;
  SINK_ASSIGN_OR_RETURN(const Block last, LastBlock(job));
  if (last.data.empty()) return sample;
  SINK_ASSIGN_OR_RETURN(const int64_t begin, FirstBlockNumber(job));
  const int64_t newest = last.place & kMostBlocks;
  const int64_t blocks = newest - begin + 1;
  Wanted wanted(db_, names_, names);
  absl::StatusOr<int64_t> in_last = SampleBlock(job, newest, kAllPoints, &wanted, &sample.points);
  if (!in_last.ok()) return in_last.status();
  sample.last = (newest << kOrdinalBits) + *in_last;
  int64_t stride = 1;
  while (blocks / stride > kSampledBlocks) stride *= 2;
  const int most = stride == 1 ? kAllPoints : kPointsOfABlock;
  for (bool first = true;; first = false) {
    // The first time every stride-th block, then those half way between the ones that were read.
    for (int64_t number = begin + (first ? 0 : stride); number < newest; number += first ? stride : 2 * stride) {
      SINK_RETURN_IF_ERROR(SampleBlock(job, number, most, &wanted, &sample.points).status());
    }
    if (stride == 1 || blocks / (stride / 2) > kMostSampledBlocks) break;
    absl::flat_hash_map<std::string, int> found;
    for (const MetricPoint& point : sample.points) ++found[point.name];
    const bool enough = !found.empty() && std::all_of(found.begin(), found.end(),
                                                      [](const auto& curve) { return curve.second >= kFewPoints; });
    if (enough) break;
    stride /= 2;
  }
  std::sort(sample.points.begin(), sample.points.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return sample;
}

absl::StatusOr<std::optional<double>> PointTable::LastValue(int64_t job, const std::string& name, int64_t after,
                                                            int64_t until) {
  std::optional<double> value;
  std::vector<StoredPoint> stored;
  const std::vector<std::string> names = {name};
  Wanted wanted(db_, names_, names);
  Query rows(db_, kBackwards, FirstPlace(job), LastPlace(job));
  while (rows.Next()) {
    const Block block{rows.Int(0), rows.Int(1), rows.Int(2), rows.Int(3), ""};
    if (block.reach <= after) break;
    if (block.high <= after || block.low > until) continue;
    stored.clear();
    if (!DecodeBlock(rows.Bytes(4), &stored)) return Damaged(block.place);
    for (const StoredPoint& point : stored) {
      if (point.step <= after || point.step > until) continue;
      SINK_ASSIGN_OR_RETURN(const std::string* const wanted_name, wanted.NameOf(point.series));
      if (wanted_name == nullptr) continue;
      value = point.value;
      after = point.step;  // from here on only a later one counts
    }
  }
  if (!rows.status().ok()) return rows.status();
  return value;
}

absl::StatusOr<int64_t> PointTable::FirstBlockNumber(int64_t job) {
  Query row(db_, kFirst, FirstPlace(job), LastPlace(job));
  const bool is_there = row.Next();
  if (!row.status().ok()) return row.status();
  return is_there ? row.Int(0) & kMostBlocks : 1;
}

absl::StatusOr<int64_t> PointTable::SampleBlock(int64_t job, int64_t number, int most, Wanted* wanted,
                                                std::vector<MetricPoint>* points) {
  std::vector<StoredPoint> stored;
  {
    const int64_t place = FirstPlace(job) + number;
    Query row(db_, kOne, place);
    if (row.Next() && !DecodeBlock(row.Bytes(0), &stored)) return Damaged(place);
    if (!row.status().ok()) return row.status();
  }
  struct Seen {
    int64_t all = 0, passed = 0;
  };
  absl::flat_hash_map<int64_t, Seen> seen;  // by series
  for (const StoredPoint& point : stored) ++seen[point.series].all;
  int64_t id = number << kOrdinalBits;
  for (const StoredPoint& point : stored) {
    ++id;
    SINK_ASSIGN_OR_RETURN(const std::string* const name, wanted->NameOf(point.series));
    if (name == nullptr) continue;
    Seen& series = seen[point.series];
    const int64_t at = series.passed++, kept = std::min<int64_t>(most, series.all);
    // The first of each of `kept` runs of equal length.
    const bool begins_a_run = at == 0 || at * kept / series.all != (at - 1) * kept / series.all;
    if (begins_a_run) points->push_back({id, *name, point.step, point.value, point.attempt});
  }
  return static_cast<int64_t>(stored.size());
}

}  // namespace sink::store
