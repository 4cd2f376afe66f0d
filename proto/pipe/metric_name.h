// What the name of a metric says. The trainer makes these names, everything else only reads them, and this file is the
// one place that knows their form. Neutral: the standard library only, linked by both families. Pure; any thread.
//
//   train_loss, learning_rate, gradient_norm     of a training step
//   bos_token                                    of an open model: the id of what was put before every text
//   validation_loss/DOMAIN                       of a domain of the data set; "all": of the sequences of all of them
//   sink_rate/EPSILON/POSITION                   share of heads, 0..1
//   alpha_mean/POSITION, alpha_max/POSITION      mean over the heads, and the largest head's
//   hidden_norm_ratio/LAYER                      0: the embeddings
//   METRIC/LAYER                                 one of eval.metrics (model/eval/README.md); "all": of the whole model
//
// A position is "1", "2", ... of the text, or "bias", the key that a model may have beside the text's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sink::pipe {

enum class MetricKind {
  kTrainLoss,
  kLearningRate,
  kGradientNorm,
  kBosToken,
  kValidationLoss,
  kSinkRate,
  kAlphaMean,
  kAlphaMax,
  kHiddenNormRatio,
  kEvalMetric,
};

inline constexpr std::string_view kAllDomains = "all";
inline constexpr std::string_view kAllLayers = "all";
inline constexpr std::string_view kFirstPosition = "1";
inline constexpr std::string_view kBiasPosition = "bias";

// The parts that the kind does not have are empty. They are views of the text that was parsed.
struct MetricName {
  MetricKind kind = MetricKind::kTrainLoss;
  std::string_view metric = {};    // of kEvalMetric: "kurtosis"
  std::string_view domain = {};    // of kValidationLoss: "wikipedia", kAllDomains
  std::string_view epsilon = {};   // of kSinkRate: "0.3"
  std::string_view position = {};  // of kSinkRate, kAlphaMean and kAlphaMax: "1", kBiasPosition
  std::string_view layer = {};     // of kHiddenNormRatio and kEvalMetric: "0", kAllLayers

  bool operator==(const MetricName&) const = default;
  // What stands before the first slash: "sink_rate", "kurtosis".
  std::string_view family() const;
};

// Nothing when `text` is no name of the list above: what a newer trainer adds is passed over.
std::optional<MetricName> ParseMetricName(std::string_view text);
// The inverse: ParseMetricName(FormatMetricName(name)) == name where every part has the form of the list above.
std::string FormatMetricName(const MetricName& name);
std::string FormatEpsilon(double epsilon);  // "0.3"

// Which epsilon stands for a job that measured several: 0.3, the paper's, where it is there, else the smallest.
// Whether `epsilon` is better than `other` is.
bool IsBetterEpsilon(std::string_view epsilon, std::string_view other);

// The one validation loss of a job: that of all domains, or the mean over the domains where it has none.
class ValidationLoss {
 public:
  void Add(std::string_view domain, double loss);
  std::optional<double> value() const;

 private:
  std::optional<double> all_;
  double sum_ = 0;
  int domains_ = 0;
};

}  // namespace sink::pipe
