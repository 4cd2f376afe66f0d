// The exceptions with which a training run ends early. Each carries its failure class, from which
// the one catch in main makes the `failed` record and the exit code. Plain types; any thread.
#pragma once

#include <stdexcept>
#include <string>

#include "proto/pipe/failure_class.h"

namespace sink::train {

// Base of the four below; what() names the thing and the fix.
class TrainError : public std::runtime_error {
 public:
  pipe::FailureClass failure_class() const { return failure_class_; }

 protected:
  TrainError(pipe::FailureClass failure_class, const std::string& message)
      : std::runtime_error(message), failure_class_(failure_class) {}

 private:
  pipe::FailureClass failure_class_;
};

// The configuration or the data is wrong: trying again changes nothing.
struct UserError : TrainError {
  explicit UserError(const std::string& message) : TrainError(pipe::FailureClass::kUser, message) {}
};

// Training diverged: the loss or the gradient became NaN or infinite, or the loss jumped (divergence.h).
struct NanError : TrainError {
  explicit NanError(const std::string& message) : TrainError(pipe::FailureClass::kNan, message) {}
};

// The machine failed us: a full disk, a lost worker.
struct InfraError : TrainError {
  explicit InfraError(const std::string& message) : TrainError(pipe::FailureClass::kInfra, message) {}
};

// Failure class, exit code and message (without a backtrace) of any exception that reached main: ours, the loader's, an
// out-of-memory error of the host or the device, and everything else, which counts as the machine's fault.
struct Failure {
  pipe::FailureClass failure_class;
  int exit_code;
  std::string message;
};
Failure Classify(const std::exception& error);
bool IsOutOfMemory(const std::exception& error);

}  // namespace sink::train
