// See lazy_channel.h.
#include "coordinator/client/lazy_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/tls.h"

namespace sink {
namespace {

constexpr int kMaxReceiveBytes = 128 << 20;  // a page of 1,000 jobs, each with thousands of metrics

constexpr std::chrono::milliseconds kSlice{50};  // between looks whether there is a connection

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  identity::SendGrpcLogToDebug();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);  // also how long one connection attempt may take
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);  // a worker is there soon after its coordinator
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);                // retries are Calls' business alone
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);             // a proxy for the web must not see loopback calls
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  identity::SetServerName(arguments);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

// UNAVAILABLE while there is none: a coordinator that starts on this machine may be about to leave one.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> FindCredentials(const ClientOptions& options) {
  if (options.credential) return identity::MakeChannelCredentials(*options.credential);
  const std::string& place = options.credentials;
  const auto credential = identity::ReadCredential(place);
  if (credential.ok()) return identity::MakeChannelCredentials(place);
  if (!absl::IsNotFound(credential.status())) return credential.status();
  return absl::UnavailableError(
      absl::StrCat("cannot reach the coordinator at ", options.address, ": ", identity::NoCredentialAt(place),
                   "; is it running? start it with `sink-coordinator --data DIR` as this user, or, where it runs "
                   "elsewhere, ask its admin for a login"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> LazyChannel::Get() {
  std::lock_guard lock(mutex_);
  if (channel_ == nullptr) {
    const auto credentials = FindCredentials(options_);
    if (!credentials.ok()) return credentials.status();
    channel_ = MakeChannel(options_.address, *credentials);
    driver_ = std::thread([this, channel = channel_] { Drive(*channel); });
  }
  return channel_;
}

LazyChannel::~LazyChannel() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ending_changed_.notify_all();
  if (driver_.joinable()) driver_.join();
}

void LazyChannel::Drive(grpc::Channel& channel) {
  std::unique_lock lock(mutex_);
  bool was_ready = false;
  while (!ending_) {
    lock.unlock();
    const grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
    const bool ready = state == GRPC_CHANNEL_READY;
    if (ready && !was_ready && options_.on_connect) options_.on_connect();
    was_ready = ready;
    if (!ready) channel.WaitForStateChange(state, std::chrono::system_clock::now() + kSlice);
    lock.lock();
    // Those that call wait for what comes over a connection.
    if (ready) ending_changed_.wait_for(lock, kSlice, [this] { return ending_; });
  }
}

bool LazyChannel::IsReady() const {
  std::lock_guard lock(mutex_);
  return channel_ != nullptr && channel_->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY;
}

}  // namespace sink
