// The exception of model/ and model/eval/ for what a person can put right: a model directory that is missing, damaged
// or of another shape, a probe that does not fit. The message names the file and the fix. Plain type; any thread.
#pragma once

#include <stdexcept>

namespace sink {

class ModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace sink
