// See job_series.h.
#include "coordinator/service/job_series.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/service/validate.h"

namespace sink {
namespace {

constexpr size_t kShortId = 12;
constexpr size_t kMaxSetting = 128;  // bytes of a label's value

// A metric of the trainer (proto/pipe/events.h) as a family: what follows "NAME/" in the trainer's name are its labels.
struct TrainerMetric {
  std::string_view name;
  std::string_view family;
  std::string_view help;
  std::array<const char*, 2> labels;
};
constexpr TrainerMetric kTrainerMetrics[] = {
    {"train_loss", "sink_train_loss", "Mean cross-entropy of the newest training batch, in nats", {}},
    {"validation_loss", "sink_validation_loss", "Mean cross-entropy on held-out text, in nats", {"domain"}},
    {"sink_rate",
     "sink_rate_ratio",
     "Share of heads whose mean attention to a position exceeds epsilon",
     {"epsilon", "position"}},
    {"alpha_mean", "sink_alpha_mean_ratio", "Importance of a position, mean over layers and heads", {"position"}},
    {"alpha_max", "sink_alpha_max_ratio", "Importance of a position in the head where it is largest", {"position"}},
    {"hidden_norm_ratio",
     "sink_hidden_norm_ratio",
     "Norm of the first token's hidden state over the others'",
     {"layer"}},
    {"learning_rate", "sink_learning_rate", "Learning rate of the newest step", {}},
    {"gradient_norm", "sink_gradient_norm", "Global gradient norm before clipping", {}},
    // eval.metrics (model/eval/README.md); layer "all" is the whole model.
    {"first_attention",
     "sink_first_attention_ratio",
     "Attention to the first token, mean over queries and heads",
     {"layer"}},
    {"first_argmax",
     "sink_first_argmax_ratio",
     "Share of queries and heads that attend most to the first token",
     {"layer"}},
    {"attention_entropy", "sink_attention_entropy_nats", "Entropy of a query's attention", {"layer"}},
    {"zero_attention",
     "sink_zero_attention_ratio",
     "Share of visible attention weights that are exactly zero",
     {"layer"}},
    {"max_logit", "sink_max_logit", "Largest attention score before the softmax", {"layer"}},
    {"dormant_heads",
     "sink_dormant_heads_ratio",
     "Share of heads whose output is far below the layer's mean",
     {"layer"}},
    {"max_activation", "sink_max_activation", "Largest absolute value of the hidden states", {"layer"}},
    {"massive_activations", "sink_massive_activations", "Massive activations of a sequence", {"layer"}},
    {"massive_channels", "sink_massive_channels", "Channels of a sequence with a massive activation", {"layer"}},
    {"top_median_ratio", "sink_top_median_ratio", "Largest over median absolute hidden value", {"layer"}},
    {"kurtosis", "sink_kurtosis", "Kurtosis of the hidden states, 3 for a Gaussian", {"layer"}},
    {"hidden_norm", "sink_hidden_norm", "Norm of a hidden state", {"layer"}},
    {"matrix_entropy", "sink_matrix_entropy_nats", "Matrix entropy of a sequence's hidden states", {"layer"}},
    {"hidden_cosine",
     "sink_hidden_cosine",
     "Cosine between the first token's hidden states of two sequences",
     {"layer"}},
    {"key_norm_ratio", "sink_key_norm_ratio", "Norm of the first token's key over the others'", {"layer"}},
    {"value_norm_ratio", "sink_value_norm_ratio", "Norm of the first token's value over the others'", {"layer"}},
    {"query_key_cosine", "sink_query_key_cosine", "Cosine between a query and the first token's key", {"layer"}},
    {"query_key_norm", "sink_query_key_norm", "Norm of a query times the norm of the first token's key", {"layer"}},
    {"sink_update", "sink_update_norm", "Norm of what the first token's value adds to a query's output", {"layer"}},
    {"sink_update_deviation",
     "sink_update_deviation_ratio",
     "How far that differs from query to query, relative to its mean",
     {"layer"}},
    {"sink_logit", "sink_logit", "Logit of the sink, mean over heads", {"layer"}},
    {"gate_mean", "sink_gate_mean_ratio", "Mean gate on the output of attention", {"layer"}},
    {"gate_sparsity", "sink_gate_sparsity_ratio", "Share of gates that are nearly closed", {"layer"}},
};

// "NAME/LABEL/LABEL".
std::vector<std::string_view> Parts(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t end; (end = text.find('/')) != std::string_view::npos; text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

enum class Part { kOverview, kDetails };

// The whole model, the first position and the mean over domains stand for the rest.
Part PartOf(const std::vector<std::string_view>& name) {
  const std::string_view last = name.back();
  if (name.size() == 1) return Part::kOverview;
  if (name[0] == "validation_loss") return last == "all" ? Part::kOverview : Part::kDetails;
  if (name[0] == "sink_rate" || name[0].starts_with("alpha_")) {
    return last == "1" || last == "bias" ? Part::kOverview : Part::kDetails;
  }
  return Part::kDetails;
}

// The job's newest values whose names the table knows and whose labels are plain.
void AddTrainerMetrics(const ShownJob& shown, Part part, Families* families) {
  const std::string id = shown.job.id.substr(0, kShortId);
  shown.job.progress.latest.Visit([&](std::string_view text, double value) {
    const std::vector<std::string_view> name = Parts(text);
    if (PartOf(name) != part) return;
    for (const TrainerMetric& metric : kTrainerMetrics) {
      const size_t count = metric.labels.size() - std::count(metric.labels.begin(), metric.labels.end(), nullptr);
      if (name[0] != metric.name || name.size() != count + 1) continue;
      Families::Labels labels = {{"job", id}};
      for (size_t i = 0; i < count; ++i) {
        if (!IsName(name[i + 1])) return;
        labels.push_back({metric.labels[i], std::string(name[i + 1])});
      }
      families->Gauge(metric.family, metric.help, value, std::move(labels));
    }
  });
}

// At most kMaxSetting bytes, cut between characters.
std::string Setting(const std::string& label) {
  if (label.size() <= kMaxSetting) return label;
  size_t end = kMaxSetting;
  while (end > 0 && (static_cast<unsigned char>(label[end]) & 0xc0) == 0x80) --end;
  return label.substr(0, end);
}

}  // namespace

void AddOverview(const ShownJob& shown, Families* families) {
  const Job& job = shown.job;
  const Progress& progress = job.progress;
  const std::string id = job.id.substr(0, kShortId);
  const Families::Labels label = {{"job", id}};
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    families->Gauge(name, help, static_cast<double>(value), label);
  };
  gauge("sink_job_step", "Optimizer steps done", progress.step);
  gauge("sink_job_max_steps", "Optimizer steps of the whole job", progress.max_steps);
  gauge("sink_job_attempts", "Attempts begun", job.attempt);
  gauge("sink_job_checkpoint_step", "Step of the newest committed checkpoint, 0 before the first",
        shown.checkpoint_step);
  gauge("sink_tokens_per_second", "Training rate", progress.tokens_per_second);
  families->Counter("sink_tokens_total", "Tokens seen in training, those that a restart repeats only once",
                    static_cast<double>(shown.most_tokens), label);
  for (size_t i = 0; i < std::min(job.sweeps.size(), kMaxPlacesShown); ++i) {
    const Membership& place = job.sweeps[i];
    families->Gauge(
        "sink_job_info", "1 for each place of a job in a sweep", 1,
        {{"job", id}, {"sweep", place.sweep}, {"experiment", place.experiment}, {"setting", Setting(place.label)}});
  }
  AddTrainerMetrics(shown, Part::kOverview, families);
}

void AddDetails(const ShownJob& shown, Families* families) { AddTrainerMetrics(shown, Part::kDetails, families); }

}  // namespace sink
