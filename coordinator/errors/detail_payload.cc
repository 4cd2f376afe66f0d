// See detail_payload.h.
#include "coordinator/errors/detail_payload.h"

#include <string>

#include "absl/strings/cord.h"

namespace sink {
namespace {

constexpr char kTypeUrl[] = "type.googleapis.com/sink.v1.ErrorDetail";

}  // namespace

absl::Status WithDetail(absl::Status status, const v1::ErrorDetail& detail) {
  status.SetPayload(kTypeUrl, absl::Cord(detail.SerializeAsString()));
  return status;
}

v1::ErrorDetail DetailOf(const absl::Status& status) {
  v1::ErrorDetail detail;
  const auto payload = status.GetPayload(kTypeUrl);
  if (payload && !detail.ParseFromString(std::string(*payload))) detail.Clear();
  return detail;
}

}  // namespace sink
