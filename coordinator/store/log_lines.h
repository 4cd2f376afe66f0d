// Which lines of a job's log are kept; shared by both stores. They are numbered as they come, from 1 in each job, so
// that what goes is a range of numbers and a gap shows in them: neither needs a count of what is stored. Pure; any
// thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "coordinator/job/job.h"

namespace sink::store {

inline constexpr int64_t kFirstLinesKept = 1000;     // how it began
inline constexpr int64_t kNewestLinesKept = 20'000;  // how it goes, or ended

// In SQLite, where one table has the lines of all jobs, a line's id is its job and its number. Those of before schema
// 16 have small ids in order of coming, whatever their job: they come before all numbered ones of their job, and stay.
inline constexpr int kLineBits = 36;  // of an id: lines of one job
inline constexpr int64_t kMostLines = (int64_t{1} << kLineBits) - 1;
inline int64_t IdBeforeLines(int64_t job_seq) { return job_seq << kLineBits; }

// Says of each line how many before it are not kept, for a reader who has those up to `after`. A cursor is a line's
// number above `base`.
inline void TellMissing(int64_t base, int64_t after, std::vector<LogLine>* lines) {
  int64_t before = std::max(base, after);
  for (LogLine& line : *lines) {
    if (line.cursor <= base) continue;
    line.missing = line.cursor - before - 1;
    before = line.cursor;
  }
}

}  // namespace sink::store
