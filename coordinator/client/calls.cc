// See calls.h.
#include "coordinator/client/calls.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "coordinator/client/address.h"
#include "coordinator/errors/grpc_status.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/credential.h"

namespace sink {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kLongestPause = absl::Seconds(7);

}  // namespace

void Calls::CancelAll() {
  std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : in_progress_) context->TryCancel();
  cancelled_changed_.notify_all();
}

Calls::Try::Try(Calls& calls, absl::Duration deadline) : calls_(calls), deadline_(deadline) {
  if (deadline != absl::InfiniteDuration()) context_.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  std::lock_guard lock(calls_.mutex_);
  calls_.in_progress_.insert(&context_);
  if (calls_.cancelled_) context_.TryCancel();
}

Calls::Try::~Try() {
  std::lock_guard lock(calls_.mutex_);
  calls_.in_progress_.erase(&context_);
}

absl::Status Calls::Try::Result(const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  const std::string& address = calls_.options_.address;
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  Peer peer = Peer::kNobody;
  if (code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kDeadlineExceeded) {
    peer = calls_.WhoAnswers();
    if (peer == Peer::kOther) return absl::Status(code, NoCoordinatorAt(address));
  }
  switch (code) {
    case absl::StatusCode::kUnavailable:
      if (IsAnswered(status)) {
        return absl::UnavailableError(absl::StrCat("the coordinator at ", address, ": ", status.error_message()));
      }
      return absl::UnavailableError(
          absl::StrCat("cannot reach the coordinator at ", address, ": ", status.error_message(),
                       peer == Peer::kCoordinator ? absl::StrCat("; it is running: ", calls_.WhyNoHandshake())
                                                  : "; is it running? start it with `sink-coordinator --data DIR`"));
    case absl::StatusCode::kResourceExhausted:
      if (IsAnswered(status)) return FromGrpc(status);
      return absl::UnavailableError(
          absl::StrCat("the coordinator at ", address, " has no room for this call now: ", status.error_message()));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(
          absl::StrCat("the coordinator at ", address, " did not answer within ", absl::FormatDuration(deadline_)));
    case absl::StatusCode::kUnimplemented:
      return absl::UnimplementedError(absl::StrCat("what answers at ", address,
                                                   " is no coordinator, or one of another version that does not know "
                                                   "this call; see `sinkctl version`"));
    default:
      return FromGrpc(status);
  }
}

absl::Status Calls::WithoutChannel(const absl::Status& why) const {
  return absl::IsUnavailable(why) && WhoAnswers() == Peer::kOther
             ? absl::UnavailableError(NoCoordinatorAt(options_.address))
             : why;
}

std::string Calls::WhyNoHandshake() const {
  const absl::StatusOr<identity::Credential> own =
      options_.credential ? *options_.credential : identity::ReadCredential(options_.credentials);
  const auto claims = own.ok() ? identity::Describe(own->certificate) : own.status();
  const std::string outside = claims.ok() ? identity::OutsideItsTime(*claims, absl::Now()) : "";
  if (outside.empty()) {
    return "if this stays so, our credential has ended or is another coordinator's, and its admin can make a new one";
  }
  return absl::StrCat("our certificate ", outside, ": set the clock if it is wrong; else its admin can make a new one");
}

Peer Calls::WhoAnswers() const {
  constexpr absl::Duration kPatience = absl::Seconds(1);
  return channel_->IsReady() ? Peer::kNobody : FindPeer(options_.address, kPatience);
}

absl::Status Calls::WithRetries(absl::FunctionRef<absl::Status()> call, absl::FunctionRef<bool()> may_repeat) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options_.retry_for);
  absl::Duration pause = kFirstPause;
  std::mt19937 random(std::random_device{}());
  std::uniform_real_distribution<double> share(0.5, 1.0);
  for (;;) {
    const absl::Status status = call();
    const absl::Duration left = absl::FromChrono(end - std::chrono::steady_clock::now());
    if (!absl::IsUnavailable(status) || !may_repeat() || left <= absl::ZeroDuration()) return status;
    // Half of the pause is chance, so that clients which lost the same coordinator do not come back in step.
    if (!PauseUnlessCancelled(std::min(left, pause * share(random)))) return absl::CancelledError("asked to stop");
    pause = std::min(2 * pause, kLongestPause);
  }
}

bool Calls::PauseUnlessCancelled(absl::Duration pause) {
  std::unique_lock lock(mutex_);
  return !cancelled_changed_.wait_for(lock, absl::ToChronoNanoseconds(pause), [this] { return cancelled_; });
}

}  // namespace sink
