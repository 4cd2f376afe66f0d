// See recipe.h.
#include "coordinator/report/recipe.h"

#include <algorithm>
#include <map>

#include "coordinator/report/measures.h"
#include "proto/config/job_config.h"

namespace sink::report {
namespace {

double Number(const Run& run, const std::string& key) {
  const Json& value = Setting(run, key);
  return value.is_number() ? value.get<double>() : 0;
}

// "384k", "21.0B".
std::string Count(double value) {
  for (const auto& [unit, name] : {std::pair(1e9, "B"), {1e6, "M"}, {1e3, "k"}})
    if (value >= unit) return Fixed(value / unit, value / unit < 100 ? 1 : 0) + name;
  return Fixed(value, 0);
}

std::string ModelText(const Run& run) {
  const std::string ffn = SettingText(run, "model.variant.ffn");
  return SettingText(run, "model.hidden_size") + " wide, " + SettingText(run, "model.num_hidden_layers") +
         " layers of " + SettingText(run, "model.num_attention_heads") + " heads, " +
         (ffn == "none" ? "attention alone" : ffn + " blocks of " + SettingText(run, "model.intermediate_size")) +
         ", positions " + SettingText(run, "model.variant.position_embedding") + ", vocabulary of " +
         SettingText(run, "model.vocab_size");
}

std::string DataText(const Run& run) {
  std::string text = "set " + SettingText(run, "data.set");
  if (Number(run, "data.fraction") < 1) text += ", " + Fixed(100 * Number(run, "data.fraction"), 2) + " % of it";
  const std::string position = SettingText(run, "data.fixed_token_position");
  return text + (position.empty() || position == "0" ? ", no fixed token" : ", a fixed token at position " + position);
}

std::string LengthText(const Run& run) {
  const double steps = Number(run, "train.max_steps"), batch = Number(run, "train.global_batch_size"),
               length = Number(run, "train.sequence_length");
  return Count(steps * batch * length) + " tokens: " + Fixed(steps, 0) + " steps of " + Fixed(batch, 0) +
         " sequences of " + Fixed(length, 0);
}

std::string OptimizerText(const Run& run) {
  return SettingText(run, "train.optimizer") + ", learning rate " + SettingText(run, "train.learning_rate") +
         (Setting(run, "train.min_learning_rate").is_null() ? "" : " falling") + " after " +
         SettingText(run, "train.warmup_steps") + " steps, weight decay " + SettingText(run, "train.weight_decay");
}

std::string MeasureText(const Run& run) {
  return "T " + SettingText(run, "eval.tokens") + ", " + SettingText(run, "eval.sequences") + " sequences";
}

constexpr char kSmall[] = "60M", kLarge[] = "1B";

std::string ModelOfThePaper(const Run& run) { return Number(run, "model.hidden_size") == 2048 ? kLarge : kSmall; }

// The paper's recipe of a model of its; a job's defaults are the 60M one.
Run PaperRun(const std::string& model) {
  JobConfig config;
  if (model == kLarge) {
    config.model.hidden_size = 2048;
    config.model.intermediate_size = 5632;
    config.model.num_hidden_layers = 22;
    config.model.num_attention_heads = 16;
    config.train.max_steps = 40000;
  }
  Run paper;
  paper.settings = Json::parse(PrintEveryField(config));
  return paper;
}

// What most runs have, and whether others have something else.
struct Common {
  std::string text;
  bool varied = false;

  std::string shown() const { return text + (varied ? " (most runs; others vary it)" : ""); }
};

Common MostCommon(const std::vector<std::string>& texts) {
  std::map<std::string, int> counts;
  for (const std::string& text : texts) ++counts[text];
  const auto most =
      std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return {most->first, counts.size() > 1};
}

// The parts in which runs differ from the paper's.
std::vector<RecipeRow> RowsOf(const std::vector<const Run*>& runs, const Run& paper) {
  std::vector<RecipeRow> rows;
  const std::pair<const char*, std::string (*)(const Run&)> kParts[] = {{"Model", ModelText},
                                                                        {"Training", LengthText},
                                                                        {"Optimizer", OptimizerText},
                                                                        {"Data", DataText},
                                                                        {"Probes", MeasureText}};
  for (const auto& [part, text_of] : kParts) {
    std::vector<std::string> texts;
    for (const Run* run : runs) texts.push_back(text_of(*run));
    const Common ours = MostCommon(texts);
    if (const std::string theirs = text_of(paper); ours.text != theirs) rows.push_back({part, ours.shown(), theirs});
  }
  if (rows.empty()) return rows;
  std::map<std::string, int> seeds;  // of a setting
  for (const Run* run : runs) ++seeds[SettingsWithout(*run, {})];
  std::vector<std::string> counts;
  for (const auto& [settings, count] : seeds) counts.push_back(std::to_string(count));
  if (const std::string ours = MostCommon(counts).shown(); ours != "1")
    rows.push_back({"Seeds of a setting", ours, "1"});
  return rows;
}

}  // namespace

std::vector<Recipe> RecipeDifferences(const Study& study) {
  std::vector<Recipe> recipes;
  for (const std::string model : {kSmall, kLarge}) {
    std::vector<const Run*> runs;
    for (const auto& [id, run] : study.runs)
      if (!IsEvaluation(run) && !Setting(run, "model.hidden_size").is_null() && ModelOfThePaper(run) == model)
        runs.push_back(&run);
    if (runs.empty()) continue;
    std::vector<RecipeRow> rows = RowsOf(runs, PaperRun(model));
    if (!rows.empty()) recipes.push_back({model, std::move(rows)});
  }
  return recipes;
}

}  // namespace sink::report
