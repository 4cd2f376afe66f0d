// See self_call.h.
#include "coordinator/service/self_call.h"

#include <grpcpp/create_channel.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/errors/grpc_status.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/tls.h"
#include "sink/v1/client.grpc.pb.h"

namespace sink {
namespace {

constexpr int kFailuresThatCount = 2;

// There is no such job: the answer is short, and only who looked into the store can give it.
const std::string& NoJob() {
  static const std::string* const id = new std::string(32, '0');
  return *id;
}

}  // namespace

SelfCall::SelfCall(Options options) : options_(std::move(options)), thread_([this] { Run(); }) {}

SelfCall::~SelfCall() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    if (in_progress_ != nullptr) in_progress_->TryCancel();
    ending_changed_.SignalAll();
  }
  thread_.join();
}

absl::Status SelfCall::status() const {
  MutexLock lock(&mutex_);
  return status_;
}

void SelfCall::AddSeries(Families* families) const {
  families->Gauge("sink_port_answers", "Whether the port of workers and sinkctl answers this coordinator's own calls",
                  status().ok() ? 1 : 0);
  families->Counter("sink_failed_self_calls_total", "Calls of this coordinator to itself that were not answered",
                    static_cast<double>(failed_));
}

void SelfCall::Run() {
  auto next = std::chrono::steady_clock::now() + options_.interval;
  for (;;) {
    {
      MutexLock lock(&mutex_);
      while (!ending_ && ending_changed_.WaitUntil(&mutex_, next)) continue;
      if (ending_) return;
    }
    next = std::chrono::steady_clock::now() + options_.interval;
    Note(CallOnce());
  }
}

absl::Status SelfCall::CallOnce() {
  // Read anew: the certificate is renewed while the coordinator runs.
  const auto credential = identity::ReadCredential(options_.credential);
  if (!credential.ok()) return credential.status();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own, each time
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  identity::SetServerName(arguments);
  const auto stub = v1::ClientService::NewStub(
      grpc::CreateCustomChannel(options_.address, identity::MakeChannelCredentials(*credential), arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + options_.patience);
  {
    MutexLock lock(&mutex_);
    if (ending_) return absl::OkStatus();
    in_progress_ = &context;
  }
  v1::GetJobRequest request;
  request.set_id(NoJob());
  v1::GetJobResponse response;
  const absl::Status answer = FromGrpc(stub->GetJob(&context, request, &response));
  MutexLock lock(&mutex_);
  in_progress_ = nullptr;
  return ending_ || absl::IsNotFound(answer) ? absl::OkStatus() : answer;
}

void SelfCall::Note(const absl::Status& result) {
  if (!result.ok()) ++failed_;
  MutexLock lock(&mutex_);
  failures_ = result.ok() ? 0 : failures_ + 1;
  if (failures_ == kFailuresThatCount) {
    spdlog::error("the port {} does not answer this coordinator's own calls: {}; workers cannot reach it either",
                  options_.address, result.ToString());
  } else if (result.ok() && !status_.ok()) {
    spdlog::info("the port {} answers again", options_.address);
  }
  status_ = failures_ >= kFailuresThatCount ? result : absl::OkStatus();
}

}  // namespace sink
