// See limit_options.h.
#include "coordinator/limit_options.h"

namespace sink {
namespace {

constexpr int kMost = 100'000'000;

}  // namespace

void AddLimitOptions(args::Command root, ServerOptions& options) {
  root.AddOption(
      "--keep-points", options.keep_points,
      "How long after its end a job keeps every metric point, and how many of a sweep's best jobs keep them for "
      "good: 30d or 30d,best=10; then some points of each curve stay (default: all for good)");
  root.AddOption("--connections-per-address", options.connections_per_address,
                 "How many connections another machine (of IPv6: another /64) may have: raise it for many behind one")
      .Within(1, kMost)
      .ShowDefault();
  root.AddOption("--jobs-per-user", options.quota.waiting_jobs,
                 "How many jobs that have not ended a user may have who is no admin")
      .Within(1, kMost)
      .ShowDefault();
  root.AddOption("--sweeps-per-user", options.quota.sweeps, "How many sweeps with such jobs")
      .Within(1, kMost)
      .ShowDefault();
}

}  // namespace sink
