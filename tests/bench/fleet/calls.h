// Many RPCs at once from one thread: each is started with what to do when it ends, and Next runs what has ended.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace sink::bench {

using Clock = std::chrono::steady_clock;

class Calls {
 public:
  ~Calls() {
    cq_.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; cq_.Next(&tag, &ok);) delete static_cast<Pending*>(tag);
  }

  // `method` is a stub's Async... of a unary RPC.
  template <typename Stub, typename Request, typename Response>
  void Start(Stub& stub,
             std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*method)(grpc::ClientContext*,
                                                                                        const Request&,
                                                                                        grpc::CompletionQueue*),
             const Request& request, std::function<void(const grpc::Status&, Response&)> done) {
    auto* call = new Call<Response>;
    call->done = std::move(done);
    call->context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(5));
    call->reader = (stub.*method)(&call->context, request, &cq_);
    call->reader->Finish(&call->response, &call->status, call);
    ++in_flight_;
  }

  // Waits for one to end and runs what it was started with; false when the time is over first.
  bool Next(Clock::time_point until) {
    void* tag = nullptr;
    bool ok = false;
    const auto wait = std::chrono::duration_cast<std::chrono::system_clock::duration>(until - Clock::now());
    if (cq_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + wait) != grpc::CompletionQueue::GOT_EVENT) {
      return false;
    }
    --in_flight_;
    const std::unique_ptr<Pending> call(static_cast<Pending*>(tag));
    call->Done();
    return true;
  }

  int in_flight() const { return in_flight_; }

 private:
  struct Pending {
    virtual ~Pending() = default;
    virtual void Done() = 0;
    grpc::ClientContext context;
    grpc::Status status;
  };
  template <typename Response>
  struct Call final : Pending {
    void Done() override { done(status, response); }
    Response response;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
    std::function<void(const grpc::Status&, Response&)> done;
  };

  grpc::CompletionQueue cq_;
  int in_flight_ = 0;
};

}  // namespace sink::bench
