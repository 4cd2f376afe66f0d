// See limit_options.h.
#include "coordinator/limit_options.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace sink {
namespace {

constexpr int kMost = 100'000'000;
constexpr absl::Duration kOftenestScrub = absl::Minutes(1), kRarestScrub = absl::Hours(366 * 24);

// "200GB", "1.5TB".
std::optional<uint64_t> ParseBytes(absl::string_view text) {
  constexpr double kLeast = 1e6, kMost = 1e18;
  const double unit = absl::ConsumeSuffix(&text, "MB")   ? 1e6
                      : absl::ConsumeSuffix(&text, "GB") ? 1e9
                      : absl::ConsumeSuffix(&text, "TB") ? 1e12
                                                         : 0;
  double value = 0;
  if (unit == 0 || !absl::SimpleAtod(text, &value)) return std::nullopt;
  const double bytes = value * unit;
  if (!(bytes >= kLeast && bytes <= kMost)) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

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
  const auto share = std::make_shared<std::string>();
  root.AddOption(
          "--checkpoint-bytes-per-job", *share,
          "How much the checkpoints of one job may take, the one on its way included, so that no job alone fills "
          "the disk: 500MB, 200GB or 1.5TB (default: what the disk has)")
      .ValueText("SIZE");
  root.CheckTogether([scrub, share, &options]() -> std::string {
    const bool right = absl::ParseDuration(*scrub, &options.scrub_interval) &&
                       options.scrub_interval >= kOftenestScrub && options.scrub_interval <= kRarestScrub;
    if (!right) return "--scrub-interval: write a time from 1m to 8784h (366 days), such as 24h";
    if (share->empty()) return "";
    const std::optional<uint64_t> bytes = ParseBytes(*share);
    if (!bytes) return "--checkpoint-bytes-per-job: write a size from 1MB, such as 500MB, 200GB or 1.5TB";
    options.checkpoint_bytes_per_job = *bytes;
    return "";
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
