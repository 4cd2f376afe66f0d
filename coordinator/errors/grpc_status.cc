// See grpc_status.h.
#include "coordinator/errors/grpc_status.h"

#include <string>

#include "coordinator/errors/detail_payload.h"

namespace sink {
namespace {

// The prefix of `text` that fits, not cut in the middle of a UTF-8 character.
std::string CutMessage(absl::string_view text) {
  std::string message(text.substr(0, kMaxStatusMessage));
  if (message.size() == text.size()) return message;
  while (!message.empty() && (static_cast<unsigned char>(message.back()) & 0xC0) == 0x80) message.pop_back();
  if (!message.empty() && static_cast<unsigned char>(message.back()) >= 0xC0) message.pop_back();
  return message + "...";
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  v1::StatusDetails details;
  const v1::ErrorDetail detail = DetailOf(status);
  const bool has_reason = detail.reason_case() != v1::ErrorDetail::REASON_NOT_SET;
  // What gRPC itself says, too: where nobody answers, and where threads or memory are short. It sends no details.
  const bool like_grpc = absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
  if (has_reason || like_grpc) details.set_code(status.raw_code());
  if (has_reason) details.add_details()->PackFrom(detail);
  return {static_cast<grpc::StatusCode>(status.raw_code()), CutMessage(status.message()), details.SerializeAsString()};
}

bool IsAnswered(const grpc::Status& status) { return !status.error_details().empty(); }

absl::Status FromGrpc(const grpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  v1::StatusDetails details;
  if (result.ok() || !details.ParseFromString(status.error_details())) return result;
  for (const google::protobuf::Any& any : details.details()) {
    if (v1::ErrorDetail detail; any.UnpackTo(&detail)) return WithDetail(std::move(result), detail);
  }
  return result;
}

}  // namespace sink
