// See retention_option.h.
#include "coordinator/retention_option.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

namespace sink {

absl::StatusOr<RetentionPolicy> ParseRetention(const std::string& text) {
  RetentionPolicy policy;
  if (text.empty()) return policy;
  const absl::Status wrong = absl::InvalidArgumentError(
      absl::StrCat("--keep-points ", text,
                   ": write how long after its end a job keeps every point, and how many of a sweep's best jobs "
                   "keep them for good, such as 30d or 30d,best=10"));
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  absl::string_view age = parts[0];
  int days = 0;
  absl::Duration full_for;
  if (absl::ConsumeSuffix(&age, "d")) {
    if (!absl::SimpleAtoi(age, &days)) return wrong;
    full_for = days * absl::Hours(24);
  } else if (!absl::ParseDuration(parts[0], &full_for)) {
    return wrong;
  }
  if (full_for < absl::Seconds(1) || full_for > 100 * 366 * absl::Hours(24) || parts.size() > 2) return wrong;
  policy.full_for_ms = absl::ToInt64Milliseconds(full_for);
  if (parts.size() == 1) return policy;
  absl::string_view best = parts[1];
  if (!absl::ConsumePrefix(&best, "best=") || !absl::SimpleAtoi(best, &policy.best) || policy.best < 0) return wrong;
  return policy;
}

}  // namespace sink
