// See metric_name.h.
#include "proto/pipe/metric_name.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

namespace sink::pipe {
namespace {

constexpr std::string_view kPaperEpsilon = "0.3";

struct Family {
  MetricKind kind;
  std::string_view name;
};
// Those whose names have no parts come first.
constexpr Family kFamilies[] = {
    {MetricKind::kTrainLoss, "train_loss"},
    {MetricKind::kLearningRate, "learning_rate"},
    {MetricKind::kGradientNorm, "gradient_norm"},
    {MetricKind::kBosToken, "bos_token"},
    {MetricKind::kValidationLoss, "validation_loss"},
    {MetricKind::kSinkRate, "sink_rate"},
    {MetricKind::kAlphaMean, "alpha_mean"},
    {MetricKind::kAlphaMax, "alpha_max"},
    {MetricKind::kHiddenNormRatio, "hidden_norm_ratio"},
};
static_assert(std::size(kFamilies) == static_cast<size_t>(MetricKind::kEvalMetric));

// The whole text as a number of at least `least`, written without sign or leading zeros.
bool IsCount(std::string_view text, int least) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= least &&
         (text.size() == 1 || text[0] != '0') && text[0] != '-';
}

double Number(std::string_view text) {
  double value = NAN;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : NAN;
}

bool IsPosition(std::string_view text) { return text == kBiasPosition || IsCount(text, 1); }
bool IsLayer(std::string_view text) { return text == kAllLayers || IsCount(text, 0); }

// Fills the parts of `name` from what follows the first slash. False when they have another form.
bool ParseParts(std::string_view rest, MetricName* name) {
  switch (name->kind) {
    case MetricKind::kValidationLoss:
      name->domain = rest;
      return !rest.empty();
    case MetricKind::kSinkRate: {
      const size_t slash = rest.find('/');
      if (slash == std::string_view::npos) return false;
      name->epsilon = rest.substr(0, slash);
      name->position = rest.substr(slash + 1);
      return std::isfinite(Number(name->epsilon)) && IsPosition(name->position);
    }
    case MetricKind::kAlphaMean:
    case MetricKind::kAlphaMax:
      name->position = rest;
      return IsPosition(rest);
    case MetricKind::kHiddenNormRatio:
    case MetricKind::kEvalMetric:
      name->layer = rest;
      return IsLayer(rest);
    default:
      return false;  // has no parts
  }
}

}  // namespace

std::string_view MetricName::family() const {
  return kind == MetricKind::kEvalMetric ? metric : kFamilies[static_cast<size_t>(kind)].name;
}

std::optional<MetricName> ParseMetricName(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view family = text.substr(0, slash);
  const auto* known = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                   [family](const Family& entry) { return entry.name == family; });
  MetricName name;
  if (known != std::end(kFamilies)) {
    name.kind = known->kind;
  } else {
    name.kind = MetricKind::kEvalMetric;
    name.metric = family;
  }
  if (slash == std::string_view::npos) {
    if (name.kind < MetricKind::kValidationLoss) return name;
    return std::nullopt;
  }
  if (family.empty() || !ParseParts(text.substr(slash + 1), &name)) return std::nullopt;
  return name;
}

std::string FormatMetricName(const MetricName& name) {
  std::string text(name.family());
  for (const std::string_view part : {name.domain, name.epsilon, name.position, name.layer}) {
    if (!part.empty()) text.append("/").append(part);
  }
  return text;
}

std::string FormatEpsilon(double epsilon) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", epsilon);
  return text;
}

bool IsBetterEpsilon(std::string_view epsilon, std::string_view other) {
  if (epsilon == kPaperEpsilon || other == kPaperEpsilon) return other != kPaperEpsilon;
  return Number(epsilon) < Number(other);
}

void ValidationLoss::Add(std::string_view domain, double loss) {
  if (domain == kAllDomains) {
    all_ = loss;
  } else {
    sum_ += loss;
    ++domains_;
  }
}

std::optional<double> ValidationLoss::value() const {
  if (all_ || domains_ == 0) return all_;
  return sum_ / domains_;
}

}  // namespace sink::pipe
