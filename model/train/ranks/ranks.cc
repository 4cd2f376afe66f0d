#include "model/train/ranks/ranks.h"

#include <ATen/ops/tensor.h>
#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

// c10d's headers hide Gloo and NCCL without these; LibTorch was built with both.
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "model/backend/device.h"
#include "model/train/link/train_error.h"
#include "model/train/ranks/nccl/nccl_backend.h"
#include "model/train/ranks/rank_watch.h"

namespace sink::train {
namespace {

using c10d::Backend;
using BackendPtr = c10::intrusive_ptr<Backend>;

// The address of this machine from which the rendezvous is reached: the network on which the others are, too. A
// machine's own name, which Gloo would take, often leads to the loopback device.
std::string AddressTowards(const std::string& host, int port) {
  const addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
  addrinfo* found = nullptr;
  std::string address;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) == 0) {
    const int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_storage local = {};
    socklen_t size = sizeof local;
    char text[NI_MAXHOST];
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&  // sends nothing
        getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&local), size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
      address = text;
    if (fd >= 0) close(fd);
    freeaddrinfo(found);
  }
  if (address.empty()) throw InfraError("no network leads from here to SINK_RENDEZVOUS's host " + host);
  return address;
}

BackendPtr MakeGloo(const RankWorld& world, const c10::intrusive_ptr<c10d::Store>& store) {
  const auto options = c10d::ProcessGroupGloo::Options::create(world.timeout);
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(AddressTowards(world.host, world.port)));
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, world.rank, world.size, options);
}

// NCCL's half of c10d is in libtorch_cuda.so, which only a program that was given a GPU loads: so it is in a library of
// its own, beside the program.
BackendPtr MakeNccl(const RankWorld& world, const c10::intrusive_ptr<c10d::Store>& store) {
  void* library = dlopen(kNcclLibrary, RTLD_NOW | RTLD_LOCAL);
  void* make = library == nullptr ? nullptr : dlsym(library, kMakeNcclBackend);
  if (make == nullptr) throw InfraError(std::string("cannot use NCCL: ") + dlerror());
  return BackendPtr::reclaim(reinterpret_cast<MakeNcclBackend>(make)(store, world.rank, world.size, world.timeout));
}

}  // namespace

struct Ranks::Group {
  Group(const RankWorld& world, at::Device device, const std::function<void()>& idle)
      : device(device), watch(world, idle) {}

  void Begin(const c10::intrusive_ptr<c10d::Work>& work) {
    watch.CountCollective();
    begun.push_back(work);
  }

  const at::Device device;
  RankWatch watch;
  BackendPtr backend;
  std::vector<c10::intrusive_ptr<c10d::Work>> begun;
};

template <typename Talk>
void Ranks::Try(const Talk& talk) {
  try {
    talk();
  } catch (const c10::Error& e) {
    group_->watch.Blame(e.what_without_backtrace());
  } catch (const std::runtime_error& e) {  // Gloo's own exceptions
    group_->watch.Blame(e.what());
  }
}

Ranks::Ranks() = default;

Ranks::Ranks(const RankWorld& world, at::Device device, const std::function<void()>& idle)
    : world_(world), group_(world.alone() ? nullptr : std::make_unique<Group>(world, device, idle)) {
  if (!group_) return;
  const auto make = CollectivesOf(device) == Collectives::kGloo ? MakeGloo : MakeNccl;
  Try([&] { group_->backend = make(world, group_->watch.store()); });
}

Ranks::~Ranks() {
  if (group_ && !left_) group_->watch.Announce();
}

void Ranks::Leave() {
  left_ = true;
  if (group_) Try([&] { group_->backend->shutdown(); });  // NCCL's communicators want to be ended, not forgotten
}

void Ranks::BeginSum(const at::Tensor& tensor) {
  if (!group_) return;
  std::vector<at::Tensor> tensors = {tensor};
  Try([&] { group_->Begin(group_->backend->allreduce(tensors)); });
}

void Ranks::BeginBroadcast(const at::Tensor& tensor, int from) {
  if (!group_ || tensor.numel() == 0) return;
  std::vector<at::Tensor> tensors = {tensor};
  c10d::BroadcastOptions options;
  options.rootRank = from;
  Try([&] { group_->Begin(group_->backend->broadcast(tensors, options)); });
}

void Ranks::Finish() {
  if (!group_) return;
  const auto works = std::move(group_->begun);
  group_->begun.clear();
  Try([&] {
    for (const auto& work : works) work->wait();
  });
}

void Ranks::Broadcast(const at::Tensor& tensor) {
  if (!group_) return;
  const at::Tensor here = tensor.to(group_->device);
  BeginBroadcast(here, 0);
  Finish();
  if (!here.is_same(tensor)) tensor.copy_(here);
}

std::vector<double> Ranks::Sum(const std::vector<double>& values) {
  if (!group_) return values;
  const at::Tensor sums = at::tensor(values, at::kDouble).to(group_->device);
  BeginSum(sums);
  Finish();
  const at::Tensor here = sums.cpu();
  return {here.const_data_ptr<double>(), here.const_data_ptr<double>() + here.numel()};
}

void Ranks::Send(const at::Tensor& tensor, int to) {
  std::vector<at::Tensor> tensors = {tensor};
  Try([&] { group_->backend->send(tensors, to, /*tag=*/0)->wait(); });
}

void Ranks::Receive(const at::Tensor& tensor, int from) {
  std::vector<at::Tensor> tensors = {tensor};
  Try([&] { group_->backend->recv(tensors, from, /*tag=*/0)->wait(); });
}

bool Ranks::OnFirst(const std::function<bool()>& work, const std::function<void()>& idle) {
  const int64_t number = works_++;
  if (!first()) return group_->watch.AwaitDone(number, idle);
  const bool result = work();
  if (group_) group_->watch.Done(number, result);
  return result;
}

}  // namespace sink::train
