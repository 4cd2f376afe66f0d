// See open_metrics.h.
#include "coordinator/service/open_metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace sink {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

constexpr std::string_view kTotal = "_total", kInfo = "_info";

std::string ShortestText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

// A bound of a histogram is always written as a float, so that it is the same label whoever writes it.
std::string BoundText(double value) {
  std::string text = ShortestText(value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

void AppendEscaped(std::string_view text, std::string* out) {
  for (const char c : text) {
    if (c == '\n') {
      *out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') *out += '\\';
    *out += c;
  }
}

// `le`: a bound's text; empty outside histograms.
void AppendSample(std::string_view name, std::string_view suffix, const std::vector<ClientMetric::Label>& labels,
                  std::string_view le, std::string_view value, std::string* out) {
  *out += name;
  *out += suffix;
  char before = '{';
  const auto label = [&](std::string_view label_name, std::string_view label_value) {
    *out += before;
    before = ',';
    *out += label_name;
    *out += "=\"";
    AppendEscaped(label_value, out);
    *out += '"';
  };
  for (const ClientMetric::Label& entry : labels) label(entry.name, entry.value);
  if (!le.empty()) label("le", le);
  if (before == ',') *out += '}';
  *out += ' ';
  *out += value;
  *out += '\n';
}

void AppendHistogram(std::string_view name, const ClientMetric& metric, std::string* out) {
  const ClientMetric::Histogram& histogram = metric.histogram;
  const std::string count = std::to_string(histogram.sample_count);
  bool unbounded = false;
  for (const ClientMetric::Bucket& bucket : histogram.bucket) {
    unbounded |= std::isinf(bucket.upper_bound);
    AppendSample(name, "_bucket", metric.label, BoundText(bucket.upper_bound), std::to_string(bucket.cumulative_count),
                 out);
  }
  if (!unbounded) AppendSample(name, "_bucket", metric.label, "+Inf", count, out);
  AppendSample(name, "_count", metric.label, "", count, out);
  AppendSample(name, "_sum", metric.label, "", ShortestText(histogram.sample_sum), out);
}

std::string_view Unit(std::string_view name) {
  for (const std::string_view unit : {"seconds", "bytes", "ratio"})
    if (name.size() > unit.size() && name.ends_with(unit) && name[name.size() - unit.size() - 1] == '_') return unit;
  return "";
}

// The quality that `range` ("text/plain;q=0.5") gives to `type`, -1 where it is about another.
double Quality(std::string_view range, std::string_view type) {
  std::vector<std::string> parts = absl::StrSplit(absl::string_view(range.data(), range.size()), ';');
  for (std::string& part : parts) part = absl::AsciiStrToLower(absl::StripAsciiWhitespace(part));
  if (parts[0] != type) return -1;
  double quality = 1;
  for (const std::string& part : parts)
    if (part.starts_with("q=") && !absl::SimpleAtod(part.substr(2), &quality)) quality = 0;
  return quality;
}

}  // namespace

bool PrefersOpenMetrics(std::string_view accept) {
  double open = 0, plain = 0;
  for (const absl::string_view part : absl::StrSplit(absl::string_view(accept.data(), accept.size()), ',')) {
    const std::string_view range(part.data(), part.size());
    open = std::max(open, Quality(range, "application/openmetrics-text"));
    plain = std::max(plain, Quality(range, "text/plain"));
  }
  return open > 0 && open >= plain;
}

std::string OpenMetricsText(const std::vector<prometheus::MetricFamily>& families) {
  std::string out;
  for (const prometheus::MetricFamily& family : families) {
    std::string_view name = family.name, type = "gauge", suffix;
    if (family.type == MetricType::Counter) {
      type = "counter";
      suffix = kTotal;
    } else if (family.type == MetricType::Histogram) {
      type = "histogram";
    } else if (name.ends_with(kInfo)) {
      type = "info";
      suffix = kInfo;
    }
    if (name.ends_with(suffix)) name.remove_suffix(suffix.size());
    for (const auto& [word, text] :
         {std::pair("TYPE", type), std::pair("UNIT", Unit(name)), std::pair("HELP", std::string_view(family.help))}) {
      if (text.empty()) continue;
      out += std::string("# ") + word + " ";
      out += name;
      out += ' ';
      AppendEscaped(text, &out);
      out += '\n';
    }
    for (const ClientMetric& metric : family.metric) {
      if (family.type == MetricType::Histogram) {
        AppendHistogram(name, metric, &out);
      } else {
        const double value = family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value;
        AppendSample(name, suffix, metric.label, "", ShortestText(value), &out);
      }
    }
  }
  return out + "# EOF\n";
}

}  // namespace sink
