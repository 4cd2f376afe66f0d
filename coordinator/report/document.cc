// See document.h.
#include "coordinator/report/document.h"

namespace sink::report {

std::string OursText(const Judgement& judgement) { return judgement.effect ? ShowEffect(*judgement.effect) : "–"; }

std::string PaperText(const Judgement& judgement) {
  return judgement.paper_effect ? ShowEffect(*judgement.paper_effect) : "–";
}

}  // namespace sink::report
