// Passing an error on, for code that returns absl::Status or absl::StatusOr. Macros because they return.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SINK_RETURN_IF_ERROR(expression)                                                \
  do {                                                                                  \
    if (absl::Status sink_status = (expression); !sink_status.ok()) return sink_status; \
  } while (false)

// SINK_ASSIGN_OR_RETURN(Job job, transaction.GetJob(id));
#define SINK_ASSIGN_OR_RETURN(target, expression) \
  SINK_ASSIGN_OR_RETURN_AT_(SINK_CONCATENATE_(sink_result_, __LINE__), target, expression)
#define SINK_ASSIGN_OR_RETURN_AT_(result, target, expression) \
  auto result = (expression);                                 \
  if (!result.ok()) return result.status();                   \
  target = *std::move(result)
#define SINK_CONCATENATE_(a, b) SINK_CONCATENATE_AGAIN_(a, b)
#define SINK_CONCATENATE_AGAIN_(a, b) a##b
