// How many parameters an open model has, as far as its name tells: what `sinkctl plan` knows of a model that nobody has
// fetched. Pure; any thread.
#pragma once

#include <optional>
#include <string>

namespace sink::cli {

// "EleutherAI/pythia-1.4b": 1.4e9; of a mixture of experts ("Mixtral-8x7B") all of them, which is more than a token
// meets. Nothing for a name without a size, but for a few that are known.
std::optional<double> ParametersByName(const std::string& model);

// Of a forward pass over a token: two for each parameter.
inline double ForwardFlops(double parameters) { return 2 * parameters; }

}  // namespace sink::cli
