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

std::string ClassOf(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const TrainError*>(&error)) return ours->failure_class();
  if (dynamic_cast<const data::DataError*>(&error)) return "user";
  if (dynamic_cast<const ModelError*>(&error)) return "user";
  if (dynamic_cast<const std::bad_alloc*>(&error)) return "out_of_memory";
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error)) return "out_of_memory";
  // LibTorch reports what the host or a CUDA library could not allocate as a plain error; only its text tells.
  const std::string message = MessageOf(error);
  for (const char* sign : {"DefaultCPUAllocator", "ALLOC_FAILED", "out of memory"})
    if (message.find(sign) != std::string::npos) return "out_of_memory";
  return "infra";
}

}  // namespace

Failure Classify(const std::exception& error) {
  const std::string failure_class = ClassOf(error);
  int exit_code = pipe::kExitInfra;
  if (failure_class == "user") exit_code = pipe::kExitUser;
  if (failure_class == "nan") exit_code = pipe::kExitNan;
  if (failure_class == "out_of_memory") exit_code = pipe::kExitOutOfMemory;
  return {failure_class, exit_code, MessageOf(error)};
}

}  // namespace sink::train
