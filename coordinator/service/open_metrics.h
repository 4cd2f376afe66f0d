// The text of a scrape in the format of OpenMetrics 1.0 (openmetrics.io), which Prometheus asks for before its own
// older one; prometheus-cpp writes only that. Pure; any thread.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <vector>

namespace sink {

inline constexpr char kOpenMetricsType[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";

// Whether who sends this Accept header would rather have OpenMetrics than text/plain. False for an empty one.
bool PrefersOpenMetrics(std::string_view accept);

// Counters have names that end in _total, infos (gauges that are always 1) in _info; a family whose name ends in a base
// unit says so. Gauges, counters and histograms.
std::string OpenMetricsText(const std::vector<prometheus::MetricFamily>& families);

}  // namespace sink
