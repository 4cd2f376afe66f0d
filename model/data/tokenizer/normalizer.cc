// See normalizer.h.
#include "model/data/tokenizer/normalizer.h"

#include "model/data/tokenizer/unicode.h"

namespace sink::data {

std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (size_t done = 0; done < text.size();) {
    const size_t found = text.find(pattern, done);
    out.append(text, done, found == std::string_view::npos ? found : found - done);
    if (found == std::string_view::npos) break;
    out += content;
    done = found + pattern.size();
  }
  return out;
}

std::string Normalize(const std::vector<NormalizerStep>& steps, std::string_view text) {
  std::string out(text);
  for (const NormalizerStep& step : steps) {
    switch (step.kind) {
      case NormalizerStep::Kind::kNfc:
        if (!IsSurelyNfc(out)) out = NormalizeNfc(out);
        break;
      case NormalizerStep::Kind::kPrepend:
        if (!out.empty()) out.insert(0, step.content);
        break;
      case NormalizerStep::Kind::kReplace:
        out = ReplaceAll(out, step.pattern, step.content);
        break;
    }
  }
  return out;
}

}  // namespace sink::data
