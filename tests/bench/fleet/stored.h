// Jobs that ended long ago, put into a coordinator's database while none runs: what a coordinator has after months. For
// fleet_bench; one thread. Knows the table `jobs` as far as every version of the schema agrees on it.
#pragma once

#include <string>

namespace sink::bench {

// Copies one of the jobs that are there, as SUCCEEDED, until the database has `jobs` of them.
void AddFinishedJobs(const std::string& database, int jobs);

}  // namespace sink::bench
