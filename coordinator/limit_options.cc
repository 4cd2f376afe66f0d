// See limit_options.h.
#include "coordinator/limit_options.h"

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace sink {
namespace {

constexpr int kMost = 100'000'000;
constexpr absl::Duration kOftenestScrub = absl::Minutes(1), kRarestScrub = absl::Hours(366 * 24);

}  // namespace

void AddLimitOptions(args::Command root, ServerOptions& options) {
  root.AddOption(
      "--keep-points", options.keep_points,
      "How long after its end a job keeps every metric point, and how many of a sweep's best jobs keep them for "
      "good: 30d or 30d,best=10; then some points of each curve stay (default: all for good)");
  const auto scrub = std::make_shared<std::string>(absl::FormatDuration(options.scrub_interval));
  root.AddOption("--scrub-interval", *scrub,
                 "How often every checkpoint is read again, at 64 MiB a second, to find damage while another is "
                 "there: 1m to 8784h")
      .ShowDefault();
  root.CheckTogether([scrub, &options]() -> std::string {
    const bool right = absl::ParseDuration(*scrub, &options.scrub_interval) &&
                       options.scrub_interval >= kOftenestScrub && options.scrub_interval <= kRarestScrub;
    return right ? "" : "--scrub-interval: write a time from 1m to 8784h (366 days), such as 24h";
  });
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
