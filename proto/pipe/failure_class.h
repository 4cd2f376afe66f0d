// Why an attempt at a job failed: what a trainer says of itself (events.h), and what a sweep file's `retry:` has a
// budget for. Neutral; constants; any thread.
#pragma once

#include "proto/base/enum_names.h"

namespace sink {
namespace pipe {

enum class FailureClass {
  kInfra,        // the machine: trying again may help
  kOutOfMemory,  // the host or a device has no more
  kNan,          // training diverged
  kUser          // the configuration or the data: trying again changes nothing
};

}  // namespace pipe

template <>
struct EnumNames<pipe::FailureClass> {
  using enum pipe::FailureClass;
  static constexpr EnumName<pipe::FailureClass> kTable[] = {
      {kInfra, "infra"}, {kOutOfMemory, "out_of_memory"}, {kNan, "nan"}, {kUser, "user"}};
};

}  // namespace sink
