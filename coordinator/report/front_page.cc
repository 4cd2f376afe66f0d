// See front_page.h.
#include "coordinator/report/front_page.h"

#include <map>
#include <string>
#include <utility>

#include "coordinator/report/recipe.h"
#include "proto/base/counted.h"

namespace sink::report {

std::string CountsText(const std::vector<Verdicts::Item>& items) {
  std::map<Verdict, int> counts;
  for (const Verdicts::Item& item : items) ++counts[item.judgement.verdict];
  return "Hold here: " + std::to_string(counts[Verdict::kHolds]) +
         ". Do not hold: " + std::to_string(counts[Verdict::kDoesNotHold]) +
         ". Not enough data: " + std::to_string(counts[Verdict::kNotEnoughData]) + ".";
}

void AddRecipes(const Study& study, Document* document) {
  const std::vector<Recipe> recipes = RecipeDifferences(study);
  for (const Recipe& recipe : recipes) {
    const std::string which = recipes.size() > 1 ? " (" + recipe.model + ")" : "";
    document->blocks.push_back(Heading{2, "How the recipe differs from the paper's" + which});
    DataTable table;
    table.columns = {"Part", "Ours", "The paper's"};
    for (const RecipeRow& row : recipe.rows) table.rows.push_back({{row.part}, {row.ours}, {row.paper}});
    document->blocks.push_back(std::move(table));
  }
}

void AddFrontPage(const Study& study, const std::vector<ExperimentResult>& results, Document* document) {
  Overview overview;
  for (const ExperimentResult& result : results)
    overview.items.insert(overview.items.end(), result.takeaways.begin(), result.takeaways.end());
  if (!overview.items.empty()) {
    document->blocks.push_back(Heading{2, "At a glance"});
    document->blocks.push_back(
        Paragraph{Counted(overview.items.size(), "takeaway") + " of the paper. " + CountsText(overview.items)});
    document->blocks.push_back(std::move(overview));
    document->blocks.push_back(Paragraph{RuleText()});
  }
  AddRecipes(study, document);
}

}  // namespace sink::report
