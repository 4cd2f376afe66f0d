// See job_series.h.
#include "coordinator/service/job_series.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "coordinator/service/validate.h"
#include "proto/pipe/metric_name.h"

namespace sink {
namespace {

constexpr size_t kShortId = 12;
constexpr size_t kMaxSetting = 128;  // bytes of a label's value

// A metric of the trainer (proto/pipe/metric_name.h) as a family; the parts of the trainer's name are its labels.
struct TrainerMetric {
  std::string_view name;  // pipe::MetricName::family()
  std::string_view family;
  std::string_view help;
};
constexpr TrainerMetric kTrainerMetrics[] = {
    {"train_loss", "sink_train_loss", "Mean cross-entropy of the newest training batch, in nats"},
    {"validation_loss", "sink_validation_loss", "Mean cross-entropy on held-out text, in nats"},
    {"sink_rate", "sink_rate_ratio", "Share of heads whose mean attention to a position exceeds epsilon"},
    {"alpha_mean", "sink_alpha_mean_ratio", "Importance of a position, mean over layers and heads"},
    {"alpha_max", "sink_alpha_max_ratio", "Importance of a position in the head where it is largest"},
    {"hidden_norm_ratio", "sink_hidden_norm_ratio", "Norm of the first token's hidden state over the others'"},
    {"learning_rate", "sink_learning_rate", "Learning rate of the newest step"},
    {"gradient_norm", "sink_gradient_norm", "Global gradient norm before clipping"},
    // eval.metrics (model/eval/README.md); layer "all" is the whole model.
    {"first_attention", "sink_first_attention_ratio", "Attention to the first token, mean over queries and heads"},
    {"first_argmax", "sink_first_argmax_ratio", "Share of queries and heads that attend most to the first token"},
    {"attention_entropy", "sink_attention_entropy_nats", "Entropy of a query's attention"},
    {"zero_attention", "sink_zero_attention_ratio", "Share of visible attention weights that are exactly zero"},
    {"max_logit", "sink_max_logit", "Largest attention score before the softmax"},
    {"dormant_heads", "sink_dormant_heads_ratio", "Share of heads whose output is far below the layer's mean"},
    {"max_activation", "sink_max_activation", "Largest absolute value of the hidden states"},
    {"massive_activations", "sink_massive_activations", "Massive activations of a sequence"},
    {"massive_channels", "sink_massive_channels", "Channels of a sequence with a massive activation"},
    {"top_median_ratio", "sink_top_median_ratio", "Largest over median absolute hidden value"},
    {"kurtosis", "sink_kurtosis", "Kurtosis of the hidden states, 3 for a Gaussian"},
    {"hidden_norm", "sink_hidden_norm", "Norm of a hidden state"},
    {"matrix_entropy", "sink_matrix_entropy_nats", "Matrix entropy of a sequence's hidden states"},
    {"hidden_cosine", "sink_hidden_cosine", "Cosine between the first token's hidden states of two sequences"},
    {"key_norm_ratio", "sink_key_norm_ratio", "Norm of the first token's key over the others'"},
    {"value_norm_ratio", "sink_value_norm_ratio", "Norm of the first token's value over the others'"},
    {"query_key_cosine", "sink_query_key_cosine", "Cosine between a query and the first token's key"},
    {"query_key_norm", "sink_query_key_norm", "Norm of a query times the norm of the first token's key"},
    {"sink_update", "sink_update_norm", "Norm of what the first token's value adds to a query's output"},
    {"sink_update_deviation", "sink_update_deviation_ratio",
     "How far that differs from query to query, relative to its mean"},
    {"sink_logit", "sink_logit", "Logit of the sink, mean over heads"},
    {"gate_mean", "sink_gate_mean_ratio", "Mean gate on the output of attention"},
    {"gate_sparsity", "sink_gate_sparsity_ratio", "Share of gates that are nearly closed"},
};

enum class Part { kOverview, kDetails };

// The whole model, the first position and the mean over domains stand for the rest.
Part PartOf(const pipe::MetricName& name) {
  const bool of_overview =
      name.layer.empty() && (name.domain.empty() || name.domain == pipe::kAllDomains) &&
      (name.position.empty() || name.position == pipe::kFirstPosition || name.position == pipe::kBiasPosition);
  return of_overview ? Part::kOverview : Part::kDetails;
}

// The job's newest values whose names the table knows and whose labels are plain.
void AddTrainerMetrics(const ShownJob& shown, Part part, Families* families) {
  const std::string id = shown.job.id.substr(0, kShortId);
  shown.job.progress.latest.Visit([&](std::string_view text, double value) {
    const std::optional<pipe::MetricName> name = pipe::ParseMetricName(text);
    if (!name || PartOf(*name) != part) return;
    const auto* metric = std::find_if(std::begin(kTrainerMetrics), std::end(kTrainerMetrics),
                                      [&](const TrainerMetric& entry) { return entry.name == name->family(); });
    if (metric == std::end(kTrainerMetrics)) return;
    Families::Labels labels = {{"job", id}};
    for (const auto& [label, part_of_name] : {std::pair("domain", name->domain), std::pair("epsilon", name->epsilon),
                                              std::pair("position", name->position), std::pair("layer", name->layer)}) {
      if (part_of_name.empty()) continue;
      if (!IsName(part_of_name)) return;
      labels.push_back({label, std::string(part_of_name)});
    }
    families->Gauge(metric->family, metric->help, value, std::move(labels));
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
  const double tokens_per_second = progress.tokens_per_second;
  if (shown.peak_flops > 0 && tokens_per_second > 0 && shown.token_flops.full > 0) {
    const auto utilisation = [&](const char* attention, double token_flops) {
      families->Gauge("sink_model_flops_utilisation_ratio",
                      "Tokens a second times the FLOPs of a token's training, over the devices' dense bf16 peak; 6 for "
                      "each weight of a matrix but the embedding, and 12 x layers x hidden x length for attention "
                      "(\"full\", as in PaLM), or half of that (\"causal\")",
                      tokens_per_second * token_flops / shown.peak_flops, {{"job", id}, {"attention", attention}});
    };
    utilisation("causal", shown.token_flops.causal);
    utilisation("full", shown.token_flops.full);
  }
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
