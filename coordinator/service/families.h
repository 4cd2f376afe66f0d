// The metric families of one scrape, by name, with a count of their samples. A value; one thread.
#pragma once

#include <prometheus/metric_family.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sink {

class Families {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  void Gauge(std::string_view name, std::string_view help, double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    Add(name, help, prometheus::MetricType::Gauge, std::move(metric));
  }
  void Counter(std::string_view name, std::string_view help, double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    Add(name, help, prometheus::MetricType::Counter, std::move(metric));
  }
  void Add(std::string_view name, std::string_view help, prometheus::MetricType type, prometheus::ClientMetric metric) {
    auto found = families_.find(name);
    if (found == families_.end()) {
      prometheus::MetricFamily family{std::string(name), std::string(help), type, {}};
      found = families_.emplace(name, std::move(family)).first;
    }
    found->second.metric.push_back(std::move(metric));
    ++samples_;
  }

  size_t samples() const { return samples_; }
  // Sorted by name; leaves nothing behind.
  std::vector<prometheus::MetricFamily> Take() {
    std::vector<prometheus::MetricFamily> list;
    list.reserve(families_.size());
    for (auto& [name, family] : families_) list.push_back(std::move(family));
    families_.clear();
    samples_ = 0;
    return list;
  }

 private:
  std::map<std::string, prometheus::MetricFamily, std::less<>> families_;
  size_t samples_ = 0;
};

}  // namespace sink
