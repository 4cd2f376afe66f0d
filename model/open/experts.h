// Mixtures of experts: a router sends each token to a few of a layer's feed-forward blocks. The weights of one expert
// at a time are resident, so that a layer may be larger than memory; all tokens pass through it together. Functions use
// ATen's threads.
#pragma once

#include <string>
#include <vector>

#include "model/open/layer.h"

namespace sink {

// Of a layer whose names begin with at_layer; none where the model has no experts.
std::vector<ExpectedTensor> ExpectedOfExperts(const OpenConfig& config, const std::string& at_layer);

// Adds the experts' block to the residual stream x [N, C], in place.
void RunExperts(const WeightFiles& files, const OpenConfig& config, const std::string& at_layer, const OpenLayer& layer,
                const at::Tensor& x_NC);

}  // namespace sink
