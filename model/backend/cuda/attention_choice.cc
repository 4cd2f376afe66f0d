#include "model/backend/cuda/attention_choice.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string_view>

#include "model/base/model_error.h"

namespace sink::cuda {

using kernels::Similarity;

bool WantsLibrary(const kernels::cuda::AttentionShape& shape, const kernels::cuda::AttentionRule& rule,
                  const kernels::cuda::AttentionTerms& terms) {
  const char* text = std::getenv("SINK_ATTENTION");
  const std::string_view choice = text == nullptr ? "tiles" : text;
  if (choice != "tiles" && choice != "library")
    throw ModelError("SINK_ATTENTION is \"" + std::string(choice) + "\"; use tiles or library");
  return choice == "library" && rule.weights.similarity == Similarity::kSoftmax && rule.prefix == 0 &&
         terms.offset_bias_HS == nullptr && shape.head_dim % 8 == 0;
}

void TellOnce(const std::string& what) {
  static std::mutex mutex;
  static auto& told = *new std::set<std::string>;
  const std::lock_guard lock(mutex);
  if (told.insert(what).second) std::fprintf(stderr, "attention: %s\n", what.c_str());
}

}  // namespace sink::cuda
