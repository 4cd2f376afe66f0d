// The one channel of a client, made at the first call that finds a credential: a worker and sinkctl may start before
// the coordinator of their machine has left one. Owned by the client; any thread.
#pragma once

#include <grpcpp/channel.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/client/coordinator_client.h"

namespace sink {

class LazyChannel {
 public:
  // `options` outlive it.
  explicit LazyChannel(const ClientOptions& options) : options_(options) {}
  ~LazyChannel();

  // UNAVAILABLE while there is no credential; others when what is there is none, or is open to other users.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Get();
  // Whether it has a connection now.
  bool IsReady() const;

 private:
  void Drive(grpc::Channel& channel);

  const ClientOptions& options_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable ending_changed_;
  bool ending_ = false;
  std::shared_ptr<grpc::Channel> channel_;
  std::thread driver_;
};

// A service's stub on it.
template <typename Stub>
class LazyStub {
 public:
  explicit LazyStub(LazyChannel& channel) : channel_(channel) {}

  absl::StatusOr<Stub*> Get() {
    std::lock_guard lock(mutex_);
    if (stub_ == nullptr) {
      auto channel = channel_.Get();
      if (!channel.ok()) return channel.status();
      stub_ = std::make_unique<Stub>(*channel);
    }
    return stub_.get();
  }

 private:
  LazyChannel& channel_;
  std::mutex mutex_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace sink
