// The metric points of jobs in SQLite: blocks (point_block.h) in the table `points`, those of a job side by side.
// Belongs to one connection's thread, within a transaction. A job is its jobs.seq.
//
// A new point goes behind all that are there, into the last block while it has room. A point of a series and step that
// is there already, as a later attempt repeats it, takes its place. Blocks have numbers without a gap, from 1 on; those
// that are left when points are thinned go on counting, so that who reads page by page finds out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/job_store.h"
#include "coordinator/store/point_block.h"
#include "coordinator/store/series_names.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

class PointTable {
 public:
  PointTable(Database& db, SeriesNames& names) : db_(db), names_(names) {}

  absl::Status Put(int64_t job, const std::vector<MetricPoint>& points);
  // As Transaction::ThinMetrics, but for the heat maps.
  absl::StatusOr<Thinned> Thin(int64_t job, int points_a_curve, int64_t last_step);
  absl::Status Delete(int64_t job);
  absl::StatusOr<std::vector<MetricPoint>> List(int64_t job, const MetricQuery& query);
  // As Snapshot::SampleMetrics. Reads kSampledBlocks of a job's blocks, and of one that has more every second of the
  // others as long as a name has few points, but no more than kMostSampledBlocks.
  absl::StatusOr<MetricSample> Sample(int64_t job, const std::vector<std::string>& names);
  // As Snapshot::LastValue. Reads the job's last blocks: those that reach a step above `after`.
  absl::StatusOr<std::optional<double>> LastValue(int64_t job, const std::string& name, int64_t after, int64_t until);
  static constexpr int64_t kSampledBlocks = 128, kMostSampledBlocks = 1024;

 private:
  struct Block {
    int64_t place = 0;          // key: of the job, then its number
    int64_t low = 0, high = 0;  // steps
    int64_t reach = 0;          // the highest step in this block and all before it
    std::string data;
  };
  absl::StatusOr<int64_t> FirstBlockNumber(int64_t job);
  // Names of the series that a query wants, each looked up once.
  class Wanted;
  // Adds the wanted points of a block, of each series `most`, evenly spread. Returns the block's own number of points.
  absl::StatusOr<int64_t> SampleBlock(int64_t job, int64_t number, int most, Wanted* wanted,
                                      std::vector<MetricPoint>* points);
  // What the new points may repeat is in the last blocks: those that reach their lowest step.
  absl::Status Replace(int64_t job, int64_t lowest, std::vector<StoredPoint>* points);
  absl::StatusOr<Block> LastBlock(int64_t job);  // where there is none, an empty one to begin with
  absl::Status Append(Block block, const std::vector<StoredPoint>& points);
  absl::Status Store(const Block& block);

  Database& db_;
  SeriesNames& names_;
};

}  // namespace sink::store
