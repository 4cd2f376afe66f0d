// See open_model_size.h.
#include "coordinator/cli/study/open_model_size.h"

#include <map>
#include <regex>

namespace sink::cli {
namespace {

// Models that are named without a size, by what their model cards say.
const std::map<std::string, double>& KnownModels() {
  static const auto* const kKnown = new std::map<std::string, double>{
      {"gpt2", 124e6},
      {"gpt2-medium", 355e6},
      {"gpt2-large", 774e6},
      {"gpt2-xl", 1.56e9},
      {"Phi-3-mini-4k-instruct", 3.8e9},
      {"Phi-3-medium-4k-instruct", 14e9},
      {"Phi-3.5-mini-instruct", 3.8e9},
      {"phi-4", 14.7e9},
      {"c4ai-command-r-v01", 35e9},
  };
  return *kKnown;
}

}  // namespace

std::optional<double> ParametersByName(const std::string& model) {
  const std::string name = model.substr(model.find('/') == std::string::npos ? 0 : model.find('/') + 1);
  if (const auto known = KnownModels().find(name); known != KnownModels().end()) return known->second;
  // A number, perhaps experts before it, and M or B, between what is no letter or digit: "-1_6b", "-1b7", "-8x7B-".
  static const std::regex kSize(
      "(?:^|[^A-Za-z0-9.])(?:([0-9]+)x)?([0-9]+)(?:[._]([0-9]+))?([mMbB])([0-9]*)(?![A-Za-z0-9])");
  std::smatch match;
  if (!std::regex_search(name, match, kSize)) return std::nullopt;
  const double experts = match[1].matched ? std::stod(match[1].str()) : 1;
  const double number = std::stod(match[2].str() + "." + (match[3].matched ? match[3] : match[5]).str() + "0");
  const char unit = match[4].str()[0];
  return experts * number * (unit == 'm' || unit == 'M' ? 1e6 : 1e9);
}

}  // namespace sink::cli
