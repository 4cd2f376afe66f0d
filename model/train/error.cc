#include "model/train/error.h"

#include <c10/util/Exception.h>

#include <new>

#include "model/data/error.h"
#include "proto/pipe/events.h"

namespace sink::train {
namespace {

std::string ClassOf(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const TrainError*>(&error)) return ours->failure_class();
  if (dynamic_cast<const data::DataError*>(&error)) return "user";
  if (dynamic_cast<const std::bad_alloc*>(&error)) return "out_of_memory";
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error)) return "out_of_memory";
  // The CPU allocator of LibTorch reports a failed allocation as a plain error; only its text tells.
  if (dynamic_cast<const c10::Error*>(&error)) {
    const std::string text = error.what();
    if (text.find("not enough memory") != std::string::npos) return "out_of_memory";
    if (text.find("out of memory") != std::string::npos) return "out_of_memory";
  }
  return "infra";
}

}  // namespace

Failure Classify(const std::exception& error) {
  const std::string failure_class = ClassOf(error);
  if (failure_class == "user") return {failure_class, pipe::kExitUser};
  if (failure_class == "nan") return {failure_class, pipe::kExitNan};
  if (failure_class == "out_of_memory") return {failure_class, pipe::kExitOutOfMemory};
  return {failure_class, pipe::kExitInfra};
}

}  // namespace sink::train
