// The machinery below CoordinatorClient's methods: deadlines, retries, cancellation, and one wording for what went
// wrong on the way. Owned by the client; any thread.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/sync_stream.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/client/address.h"
#include "coordinator/client/coordinator_client.h"
#include "coordinator/client/lazy_channel.h"

namespace sink {

class Calls {
 public:
  // `channel` outlives it.
  Calls(const ClientOptions& options, const LazyChannel* channel) : options_(options), channel_(channel) {}

  // Ends every call in progress and refuses every later one.
  void CancelAll();

  // One try of a call; CancelAll reaches it while it lives.
  class Try {
   public:
    Try(Calls& calls, absl::Duration deadline);
    ~Try();
    Try(const Try&) = delete;
    Try& operator=(const Try&) = delete;

    grpc::ClientContext* context() { return &context_; }
    // What a caller shall see for `status`, the end of this try.
    absl::Status Result(const grpc::Status& status) const;

   private:
    Calls& calls_;
    const absl::Duration deadline_;
    grpc::ClientContext context_;
  };

  // Runs `call` again while it is UNAVAILABLE, `may_repeat` holds and there is time; pauses grow from 0.2 s to 7 s.
  absl::Status WithRetries(absl::FunctionRef<absl::Status()> call, absl::FunctionRef<bool()> may_repeat);

  // `stubs` are asked for a stub at each try: lazy_channel.h.
  template <typename Stubs, typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Unary(Stubs& stubs,
                                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                 const Request& request) {
    return Unary(stubs, method, request, options_.deadline);
  }
  template <typename Stubs, typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Unary(Stubs& stubs,
                                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                 const Request& request, absl::Duration deadline) {
    Response response;
    const absl::Status status = WithRetries(
        [&]() -> absl::Status {
          response.Clear();
          const absl::StatusOr<Stub*> stub = stubs.Get();
          if (!stub.ok()) return WithoutChannel(stub.status());
          Try attempt(*this, deadline);
          return attempt.Result(((**stub).*method)(attempt.context(), request, &response));
        },
        [] { return true; });
    if (!status.ok()) return status;
    return response;
  }

  template <typename Stubs, typename Stub, typename Request, typename Message>
  absl::Status Stream(
      Stubs& stubs, std::unique_ptr<grpc::ClientReader<Message>> (Stub::*method)(grpc::ClientContext*, const Request&),
      const Request& request, absl::Duration deadline, absl::FunctionRef<bool(const Message&)> receive) {
    bool received = false;
    return WithRetries(
        [&]() -> absl::Status {
          const absl::StatusOr<Stub*> stub = stubs.Get();
          if (!stub.ok()) return WithoutChannel(stub.status());
          Try attempt(*this, deadline);
          auto reader = ((**stub).*method)(attempt.context(), request);
          for (Message message; reader->Read(&message);) {
            received = true;
            if (receive(message)) continue;
            attempt.context()->TryCancel();
            reader->Finish();
            return absl::OkStatus();
          }
          return attempt.Result(reader->Finish());
        },
        [&] { return !received; });
  }

 private:
  bool PauseUnlessCancelled(absl::Duration pause);

  // What people shall read of a coordinator that answers and with which no connection comes about.
  std::string WhyNoHandshake() const;
  // What a caller shall see while there is no channel.
  absl::Status WithoutChannel(const absl::Status& why) const;
  // Who answers at the address while the channel has no connection; kNobody also while it has one.
  Peer WhoAnswers() const;

  const ClientOptions options_;
  const LazyChannel* const channel_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable cancelled_changed_;
  bool cancelled_ = false;
  std::unordered_set<grpc::ClientContext*> in_progress_;
};

}  // namespace sink
