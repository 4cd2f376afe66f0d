// The exceptions of model/ and model/eval/. The message names the thing and the fix. Plain types; any thread.
#pragma once

#include <stdexcept>

namespace sink {

// What a person can put right: a model directory that is missing, damaged or of another shape, a probe that does not
// fit.
class ModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// This machine lacks the device that was asked for; another may have it.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace sink
