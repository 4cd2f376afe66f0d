// Jobs that ended long ago, put into a coordinator's database while none runs: what a coordinator has after months. For
// fleet_bench; one thread. Knows the tables of sweeps, jobs, configs, memberships and attempts as far as every version
// of the schema agrees on them. Points are left out: those of so many jobs would fill a disk.
#pragma once

#include <string>

namespace sink::bench {

// Copies one of the jobs that are there, as SUCCEEDED, until the database has `jobs` of them, in further sweeps of
// 10,000.
void AddFinishedJobs(const std::string& database, int jobs);

}  // namespace sink::bench
