// See policy.h.
#include "coordinator/service/policy.h"

#include <utility>

#include "absl/container/flat_hash_map.h"

namespace sink {
namespace {

#define SINK_ROW(name, roles) {"/sink.v1." SINK_SERVICE "/" #name, roles},
constexpr PolicyRow kRows[] = {
#define SINK_SERVICE "ClientService"
    SINK_CLIENT_METHODS(SINK_ROW)
#undef SINK_SERVICE
#define SINK_SERVICE "WorkerService"
        SINK_WORKER_METHODS(SINK_ROW)
#undef SINK_SERVICE
#define SINK_SERVICE "IdentityService"
            SINK_IDENTITY_METHODS(SINK_ROW)
#undef SINK_SERVICE
};
#undef SINK_ROW

// None for a path that is no method.
Roles RolesOf(absl::string_view path) {
  static const auto* const rows = [] {
    auto* made = new absl::flat_hash_map<absl::string_view, Roles>();
    for (const PolicyRow& row : kRows) made->emplace(row.path, row.roles);
    return made;
  }();
  const auto row = rows->find(path);
  return row == rows->end() ? 0 : row->second;
}

// A whole sweep is expanded, or read, or a token shown. Of workers' calls none is here: their events are counted by
// their bytes.
constexpr std::pair<absl::string_view, Use> kUses[] = {
    {"/sink.v1.ClientService/SubmitSweep", Use::kSubmit},
    {"/sink.v1.ClientService/GetSweep", Use::kRead},
    {"/sink.v1.ClientService/GetStudy", Use::kRead},
    {"/sink.v1.ClientService/ListJobs", Use::kRead},
    {"/sink.v1.ClientService/WatchSweep", Use::kRead},
    {"/sink.v1.ClientService/ReadLogs", Use::kRead},
    {"/sink.v1.ClientService/ReadMetrics", Use::kRead},
    {"/sink.v1.ClientService/ReadHeatmaps", Use::kRead},
    {"/sink.v1.ClientService/DownloadCheckpoint", Use::kRead},
    {"/sink.v1.ClientService/VerifyCheckpoints", Use::kRead},
    {"/sink.v1.IdentityService/Join", Use::kToken},
    {"/sink.v1.IdentityService/LogIn", Use::kToken},
};

}  // namespace

absl::Span<const PolicyRow> Policy() { return kRows; }

bool IsMethod(absl::string_view path) { return RolesOf(path) != 0; }

bool MayCall(Role role, absl::string_view path) { return (RolesOf(path) & RoleBit(role)) != 0; }

std::optional<Use> UseOf(absl::string_view path) {
  for (const auto& [method, use] : kUses) {
    if (method == path) return use;
  }
  return std::nullopt;
}

}  // namespace sink
