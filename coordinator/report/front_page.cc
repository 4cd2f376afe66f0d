// See front_page.h.
#include "coordinator/report/front_page.h"

#include <map>
#include <string>
#include <utility>

#include "coordinator/report/recipe.h"

namespace sink::report {
namespace {

std::string CountsText(const std::vector<Verdicts::Item>& items) {
  if (items.empty()) return "No experiment here is one that the paper draws a takeaway from.";
  std::map<Verdict, int> counts;
  for (const Verdicts::Item& item : items) ++counts[item.judgement.verdict];
  return std::to_string(items.size()) +
         " takeaways of the paper. Hold here: " + std::to_string(counts[Verdict::kHolds]) +
         ". Do not hold: " + std::to_string(counts[Verdict::kDoesNotHold]) +
         ". Not enough data: " + std::to_string(counts[Verdict::kNotEnoughData]) + ".";
}

void AddRecipe(const Study& study, int level, const std::string& title, Document* document) {
  const std::vector<RecipeRow> recipe = RecipeDifferences(study);
  if (recipe.empty()) return;
  document->blocks.push_back(Heading{level, title});
  DataTable table;
  table.columns = {"Part", "Ours", "The paper's"};
  for (const RecipeRow& row : recipe) table.rows.push_back({{row.part}, {row.ours}, {row.paper}});
  document->blocks.push_back(std::move(table));
}

}  // namespace

void AddFrontPage(const Study& study, const std::vector<ExperimentResult>& results, Document* document) {
  Overview overview;
  for (const ExperimentResult& result : results)
    overview.items.insert(overview.items.end(), result.takeaways.begin(), result.takeaways.end());
  if (!overview.items.empty()) {
    document->blocks.push_back(Heading{2, "At a glance"});
    document->blocks.push_back(Paragraph{CountsText(overview.items)});
    document->blocks.push_back(std::move(overview));
    document->blocks.push_back(Paragraph{RuleText()});
  }
  AddRecipe(study, 2, "How the recipe differs from the paper's", document);
}

Document MakeComparison(const std::vector<EvaluatedStudy>& studies) {
  Document document;
  document.title = "The paper's takeaways in our runs";
  Facts facts;
  std::map<Verdict, Overview> by_verdict;
  std::vector<Verdicts::Item> all;
  for (const EvaluatedStudy& evaluated : studies) {
    const Study& study = *evaluated.study;
    facts.items.emplace_back(study.sweep, std::to_string(study.runs.size()) + " jobs, reported " +
                                              TimeText(study.reported_ms) + " by sinkctl " + study.version);
    for (const ExperimentResult& result : *evaluated.results)
      for (Verdicts::Item item : result.takeaways) {
        item.experiment = study.sweep + ", " + item.experiment;
        by_verdict[item.judgement.verdict].items.push_back(item);
        all.push_back(std::move(item));
      }
  }
  document.blocks.push_back(Paragraph{CountsText(all)});
  const std::pair<Verdict, const char*> kSections[] = {{Verdict::kHolds, "What holds at this scale"},
                                                       {Verdict::kDoesNotHold, "What does not hold at this scale"},
                                                       {Verdict::kNotEnoughData, "What these runs cannot decide"}};
  for (const auto& [verdict, title] : kSections) {
    if (by_verdict[verdict].items.empty()) continue;
    document.blocks.push_back(Heading{2, title});
    document.blocks.push_back(std::move(by_verdict[verdict]));
  }
  if (!all.empty()) document.blocks.push_back(Paragraph{RuleText()});
  document.blocks.push_back(Heading{2, "How the recipes differ from the paper's"});
  for (const EvaluatedStudy& evaluated : studies) AddRecipe(*evaluated.study, 3, evaluated.study->sweep, &document);
  document.blocks.push_back(Heading{2, "Sweeps"});
  document.blocks.push_back(std::move(facts));
  return document;
}

}  // namespace sink::report
