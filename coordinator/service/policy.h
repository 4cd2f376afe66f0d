// Which role may make which call: a row for each method of each service, in the order of the proto files. A method
// without a row, and a row without a method, do not compile. What else must hold (the worker's own lease, the
// submitter's own sweep) is the handler's to check. Constants; any thread.
#pragma once

#include <optional>
#include <type_traits>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "coordinator/core/rates.h"
#include "coordinator/job/principal.h"
#include "sink/v1/client.grpc.pb.h"
#include "sink/v1/identity.grpc.pb.h"
#include "sink/v1/worker.grpc.pb.h"

namespace sink {

// A set of roles, a bit each.
using Roles = unsigned;
constexpr Roles RoleBit(Role role) { return 1u << static_cast<unsigned>(role); }

inline constexpr Roles kAdmins = RoleBit(Role::kAdmin);
inline constexpr Roles kAuthors = kAdmins | RoleBit(Role::kSubmitter);
inline constexpr Roles kReaders = kAuthors | RoleBit(Role::kViewer);
inline constexpr Roles kWorkers = RoleBit(Role::kWorker);
inline constexpr Roles kJoiners = kAdmins | RoleBit(Role::kJoin);
inline constexpr Roles kLogins = RoleBit(Role::kLogIn);
inline constexpr Roles kLasting = kReaders | kWorkers;  // who is more than a token

#define SINK_CLIENT_METHODS(ROW)    \
  ROW(SubmitSweep, kAuthors)        \
  ROW(ListSweeps, kReaders)         \
  ROW(GetSweep, kReaders)           \
  ROW(GetStudy, kReaders)           \
  ROW(ListJobs, kReaders)           \
  ROW(GetJob, kReaders)             \
  ROW(WatchSweep, kReaders)         \
  ROW(WhyJob, kReaders)             \
  ROW(Cancel, kAuthors)             \
  ROW(Retry, kAuthors)              \
  ROW(DeleteSweep, kAuthors)        \
  ROW(ReadLogs, kReaders)           \
  ROW(ReadMetrics, kReaders)        \
  ROW(ReadHeatmaps, kReaders)       \
  ROW(ListWorkers, kReaders)        \
  ROW(ListCheckpoints, kReaders)    \
  ROW(DownloadCheckpoint, kAuthors) \
  ROW(VerifyCheckpoints, kReaders)  \
  ROW(DropCheckpoints, kAuthors)    \
  ROW(PinCheckpoint, kAuthors)      \
  ROW(HoldWorkers, kAdmins)         \
  ROW(SetPriority, kAuthors)        \
  ROW(CollectGarbage, kAdmins)

#define SINK_WORKER_METHODS(ROW)  \
  ROW(Register, kWorkers)         \
  ROW(Lease, kWorkers)            \
  ROW(Heartbeat, kWorkers)        \
  ROW(Report, kWorkers)           \
  ROW(BeginCheckpoint, kWorkers)  \
  ROW(WriteCheckpoint, kWorkers)  \
  ROW(CommitCheckpoint, kWorkers) \
  ROW(FetchCheckpoint, kWorkers)  \
  ROW(Finish, kWorkers)

#define SINK_IDENTITY_METHODS(ROW) \
  ROW(Join, kJoiners)              \
  ROW(LogIn, kLogins)              \
  ROW(Renew, kLasting)             \
  ROW(CreateToken, kAdmins)        \
  ROW(Revoke, kAdmins)             \
  ROW(ListPrincipals, kAdmins)     \
  ROW(ListAudit, kAdmins)          \
  ROW(OpenPage, kReaders)

struct PolicyRow {
  absl::string_view path;  // "/sink.v1.ClientService/ListSweeps"
  Roles roles;
};
absl::Span<const PolicyRow> Policy();

bool IsMethod(absl::string_view path);
// False for a path that is no method.
bool MayCall(Role role, absl::string_view path);

// As what a call of the method counts with its caller, beside all calls; nothing for most, which are cheap or must not
// fail.
std::optional<Use> UseOf(absl::string_view path);

namespace policy {

// gRPC generates AsyncService as a nest of one template a method, around the service: the same nest, made of the rows.
template <typename Service, template <typename> typename... Methods>
struct Nest {
  using Type = Service;
};
template <typename Service, template <typename> typename First, template <typename> typename... Rest>
struct Nest<Service, First, Rest...> {
  using Type = First<typename Nest<Service, Rest...>::Type>;
};

#define SINK_CLIENT_METHOD(name, roles) , v1::ClientService::WithAsyncMethod_##name
#define SINK_WORKER_METHOD(name, roles) , v1::WorkerService::WithAsyncMethod_##name
#define SINK_IDENTITY_METHOD(name, roles) , v1::IdentityService::WithAsyncMethod_##name
static_assert(std::is_same_v<Nest<v1::ClientService::Service SINK_CLIENT_METHODS(SINK_CLIENT_METHOD)>::Type,
                             v1::ClientService::AsyncService>,
              "each method of ClientService needs a row in SINK_CLIENT_METHODS, in the order of client.proto");
static_assert(std::is_same_v<Nest<v1::WorkerService::Service SINK_WORKER_METHODS(SINK_WORKER_METHOD)>::Type,
                             v1::WorkerService::AsyncService>,
              "each method of WorkerService needs a row in SINK_WORKER_METHODS, in the order of worker.proto");
static_assert(std::is_same_v<Nest<v1::IdentityService::Service SINK_IDENTITY_METHODS(SINK_IDENTITY_METHOD)>::Type,
                             v1::IdentityService::AsyncService>,
              "each method of IdentityService needs a row in SINK_IDENTITY_METHODS, in the order of identity.proto");
#undef SINK_CLIENT_METHOD
#undef SINK_WORKER_METHOD
#undef SINK_IDENTITY_METHOD

}  // namespace policy
}  // namespace sink
