#include "sweeps/policy.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "sweeps/settings.h"

namespace sink::sweeps {
namespace {

constexpr absl::Duration kLongest = absl::Hours(24 * 90);
constexpr size_t kMaxMetricBytes = 128;

bool IsMetricName(const Node& node) {
  return node.IsScalar() && !node.text.empty() && node.text.size() <= kMaxMetricBytes &&
         std::all_of(node.text.begin(), node.text.end(), [](char c) { return absl::ascii_isgraph(c); });
}

absl::Status ReadMaxFailed(const Node& node, FailurePolicy* policy) {
  absl::string_view text = node.text;
  int number = 0;
  const bool percent = absl::ConsumeSuffix(&text, "%");
  if (!node.IsScalar() || !absl::SimpleAtoi(text, &number) || number < 0 || (percent && number > 100)) {
    return ErrorAt(node.at, "max_failed must be a number of jobs or a share of them, such as 5 or 20%");
  }
  (percent ? policy->max_failed_percent : policy->max_failed) = number;
  return absl::OkStatus();
}

}  // namespace

absl::Status UnknownKey(const Node& item, const std::vector<std::string>& known) {
  return ErrorAt(item.key_at, absl::StrCat("unknown key ", Quoted(item.key), Suggestion(item.key, known)));
}

absl::StatusOr<EarlyStop> ReadEarlyStop(const Node& node) {
  if (!node.IsMap() || node.items.size() != 1 || node.items[0].key != "asha" || !node.items[0].IsMap()) {
    return ErrorAt(node.at,
                   "\"early_stop\" must be {asha: {metric: validation_loss/all, mode: min, first_rung: 1000, eta: 3}}");
  }
  const Node& asha = node.items[0];
  EarlyStop stop;
  for (const Node& item : asha.items) {
    if (item.key == "metric") {
      if (!IsMetricName(item))
        return ErrorAt(item.at, "\"metric\" must be a metric's whole name, such as validation_loss/all");
      stop.metric = item.text;
    } else if (item.key == "mode") {
      if (!item.IsScalar() || (item.text != "min" && item.text != "max"))
        return ErrorAt(item.at, "\"mode\" must be min or max: which value is the best");
      stop.maximize = item.text == "max";
    } else if (item.key == "first_rung") {
      const absl::StatusOr<int> steps = ReadInt(item, 1, 1'000'000'000);
      if (!steps.ok()) return steps.status();
      stop.first_rung = *steps;
    } else if (item.key == "eta") {
      const absl::StatusOr<int> eta = ReadInt(item, 2, 100);
      if (!eta.ok()) return eta.status();
      stop.eta = *eta;
    } else {
      return UnknownKey(item, {"metric", "mode", "first_rung", "eta"});
    }
  }
  if (stop.metric.empty()) return ErrorAt(asha.at, "\"asha\" names no metric; add \"metric: validation_loss/all\"");
  if (stop.first_rung == 0) return ErrorAt(asha.at, "\"asha\" has no first rung; add \"first_rung: 1000\" (steps)");
  return stop;
}

absl::StatusOr<FailurePolicy> ReadFailurePolicy(const Node& node) {
  if (absl::Status status = ExpectMap(node, node.key); !status.ok()) return status;
  FailurePolicy policy;
  for (const Node& item : node.items) {
    if (item.key == "canary") {
      if (!item.IsScalar() || !item.plain || (item.text != "true" && item.text != "false"))
        return ErrorAt(item.at, "canary must be true or false");
      policy.canary = item.text == "true";
    } else if (item.key == "max_failed") {
      if (absl::Status status = ReadMaxFailed(item, &policy); !status.ok()) return status;
    } else {
      return UnknownKey(item, {"canary", "max_failed"});
    }
  }
  return policy;
}

absl::StatusOr<absl::Duration> ReadStall(const Node& node) {
  if (!node.IsMap() || node.items.size() != 1 || node.items[0].key != "no_step_for")
    return ErrorAt(node.at, "\"stall\" must be {no_step_for: 10m}");
  return ReadDuration(node.items[0]);
}

absl::StatusOr<absl::Duration> ReadDuration(const Node& node) {
  absl::Duration time;
  if (!node.IsScalar() || !absl::ParseDuration(node.text, &time) || time < absl::Seconds(1) || time > kLongest)
    return ErrorAt(node.at, absl::StrCat(node.key, " must be a duration between 1s and 2160h, such as 90m or 24h"));
  return time;
}

}  // namespace sink::sweeps
