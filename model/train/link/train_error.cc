#include "model/train/link/train_error.h"

#include <c10/util/Exception.h>

#include <new>

#include "model/base/data_error.h"
#include "model/base/model_error.h"
#include "proto/pipe/events.h"

namespace sink::train {
namespace {

std::string MessageOf(const std::exception& error) {
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  return torch != nullptr ? torch->what_without_backtrace() : error.what();
}

pipe::FailureClass ClassOf(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const TrainError*>(&error)) return ours->failure_class();
  if (dynamic_cast<const data::MachineError*>(&error)) return pipe::FailureClass::kInfra;
  if (dynamic_cast<const data::DataError*>(&error)) return pipe::FailureClass::kUser;
  if (dynamic_cast<const ModelError*>(&error)) return pipe::FailureClass::kUser;
  if (dynamic_cast<const std::bad_alloc*>(&error)) return pipe::FailureClass::kOutOfMemory;
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error)) return pipe::FailureClass::kOutOfMemory;
  // LibTorch reports what the host or a CUDA library could not allocate as a plain error; only its text tells.
  const std::string message = MessageOf(error);
  for (const char* sign : {"DefaultCPUAllocator", "ALLOC_FAILED", "out of memory"})
    if (message.find(sign) != std::string::npos) return pipe::FailureClass::kOutOfMemory;
  return pipe::FailureClass::kInfra;
}

int ExitCodeOf(pipe::FailureClass failure_class) {
  switch (failure_class) {
    case pipe::FailureClass::kUser:
      return pipe::kExitUser;
    case pipe::FailureClass::kNan:
      return pipe::kExitNan;
    case pipe::FailureClass::kOutOfMemory:
      return pipe::kExitOutOfMemory;
    case pipe::FailureClass::kInfra:
      break;
  }
  return pipe::kExitInfra;
}

}  // namespace

Failure Classify(const std::exception& error) {
  const pipe::FailureClass failure_class = ClassOf(error);
  return {failure_class, ExitCodeOf(failure_class), MessageOf(error)};
}

bool IsOutOfMemory(const std::exception& error) { return ClassOf(error) == pipe::FailureClass::kOutOfMemory; }

}  // namespace sink::train
