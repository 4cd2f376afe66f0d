// See policy.h.
#include "coordinator/service/policy.h"

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

}  // namespace

absl::Span<const PolicyRow> Policy() { return kRows; }

bool IsMethod(absl::string_view path) { return RolesOf(path) != 0; }

bool MayCall(Role role, absl::string_view path) { return (RolesOf(path) & RoleBit(role)) != 0; }

}  // namespace sink
