// Which implementation of attention a layer gets: SINK_ATTENTION in the environment. Unset, or "tiles": our own
// kernels, every kind. "library": the library of library_attention.h for what it has, our own for the rest. What runs
// is told on standard error the first time that it does. Any thread.
#pragma once

#include <string>

#include "kernels/cuda/attention.h"

namespace sink::cuda {

// Whether a library is to be tried for such a layer of bf16. ModelError for another value of SINK_ATTENTION.
bool WantsLibrary(const kernels::cuda::AttentionShape& shape, const kernels::cuda::AttentionRule& rule,
                  const kernels::cuda::AttentionTerms& terms);

void TellOnce(const std::string& what);

}  // namespace sink::cuda
