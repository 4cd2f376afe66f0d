// See places.h.
#include "coordinator/report/places.h"

#include <algorithm>
#include <cstdlib>

#include "proto/pipe/metric_name.h"

namespace sink::report {

bool SeesEverything(const Run& run) {
  return NumberOf(run, kWindow) >= std::max(NumberOf(run, "train.sequence_length"), NumberOf(run, "eval.tokens"));
}

std::string BoundOfWindow(const Run& run) {
  const double window = NumberOf(run, kWindow), tokens = NumberOf(run, "eval.tokens");
  if (window >= tokens) return "";
  return Fixed(window, 0) + " of a probe's " + Fixed(tokens, 0) + " queries see position 1 with a window of " +
         Fixed(window, 0) + ": alpha_1 is at most " + Fixed(window / tokens, 2);
}

int64_t NumberOfPosition(const std::string& position) { return position == "bias" ? 1 : std::atoll(position.c_str()); }

std::string PositionText(const std::set<std::string>& positions) {
  std::string text = positions.size() == 1 ? "position " : "positions ";
  for (const std::string& position : positions) text += (&position == &*positions.begin() ? "" : ", ") + position;
  return text;
}

std::set<std::string> Inside(const Case& c, SitsAt::Place place) {
  const auto number = [&c](const char* key) { return static_cast<int>(NumberOf(*c.run, key)); };
  std::set<std::string> positions;
  switch (place) {
    case SitsAt::Place::kFirst:
      positions.emplace(pipe::kFirstPosition);
      break;
    case SitsAt::Place::kBias:
      positions.emplace(pipe::kBiasPosition);
      break;
    case SitsAt::Place::kPrefix:
      for (int p = 1; p <= number("model.variant.prefix_length"); ++p) positions.insert(std::to_string(p));
      break;
    case SitsAt::Place::kFixedToken:
      if (const int p = number("data.fixed_token_position"); p > 0) positions.insert(std::to_string(p));
      break;
    case SitsAt::Place::kLastRandomToken:
      if (const int end = number("data.random_tokens_end"); end > 0) positions.insert(std::to_string(end));
      break;
  }
  return positions;
}

}  // namespace sink::report
