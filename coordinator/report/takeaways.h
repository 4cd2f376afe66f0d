// What the paper concludes from each of its experiments, as a table of claims that a report judges. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/report/claims.h"

namespace sink::report {

struct Takeaway {
  std::vector<std::string> experiments;  // names in sweep files
  std::string statement;                 // the paper's, in our words
  std::string source;                    // where it says so
  Claim claim;
};

// In the paper's order.
const std::vector<Takeaway>& Takeaways();

}  // namespace sink::report
