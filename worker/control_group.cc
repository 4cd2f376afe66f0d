// See control_group.h; the files are those of the kernel's Documentation/admin-guide/cgroup-v2.rst.
#include "worker/control_group.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/files.h"
#include "worker/timing.h"

namespace sink::worker {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxControlBytes = 4 << 20;
constexpr absl::Duration kLeftoverTime = absl::Seconds(2);  // for those of a former daemon to die

// The kernel reads a control file's new value from one write.
absl::Status Set(const std::string& path, absl::string_view value) {
  const files::Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemStatus(errno, "open", path);
  const ssize_t written = write(fd.get(), value.data(), value.size());
  return written == static_cast<ssize_t>(value.size()) ? absl::OkStatus() : SystemStatus(errno, "write", path);
}

// The number after `name` in a file of "name number" lines; -1 where there is none.
int64_t NumberIn(const std::string& path, absl::string_view name) {
  const auto text = files::ReadFile(path, kMaxControlBytes);
  if (!text.ok()) return -1;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    int64_t number = 0;
    if (absl::ConsumePrefix(&line, name) && absl::ConsumePrefix(&line, " ") && absl::SimpleAtoi(line, &number))
      return number;
  }
  return -1;
}

bool KillGroup(const std::string& folder, absl::Duration timeout) {
  const absl::Duration deadline = BootTime() + timeout;
  while (NumberIn(folder + "/cgroup.events", "populated") > 0) {
    if (!Set(folder + "/cgroup.kill", "1").ok() || BootTime() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

// With the groups that were made in it. Files go with their group.
void RemoveGroup(const std::string& folder) {
  std::vector<std::string> inner;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) inner.push_back(it->path().string());
  }
  for (const std::string& path : inner) RemoveGroup(path);
  rmdir(folder.c_str());
}

}  // namespace

ControlGroup::~ControlGroup() {
  if (KillGroup(folder_, absl::ZeroDuration()) || KillGroup(folder_, kLeftoverTime)) RemoveGroup(folder_);
}

bool ControlGroup::Kill(absl::Duration timeout) { return KillGroup(folder_, timeout); }

int64_t ControlGroup::OutOfMemoryKills() const {
  return std::max<int64_t>(0, NumberIn(folder_ + "/memory.events", "oom_kill"));
}

absl::StatusOr<std::shared_ptr<ControlGroups>> ControlGroups::Open(const std::string& parent, const std::string& prefix,
                                                                   const ControlGroupLimits& limits) {
  std::shared_ptr<ControlGroups> groups(new ControlGroups(parent, prefix, limits));
  groups->RemoveLeftovers();
  if (groups->needed()) SINK_RETURN_IF_ERROR(groups->TakeControllers());
  SINK_RETURN_IF_ERROR(groups->Make().status());  // a first one shows whether the kernel has what it takes
  return groups;
}

absl::StatusOr<std::unique_ptr<ControlGroup>> ControlGroups::Make() {
  const std::string folder = absl::StrCat(parent_, "/", prefix_, getpid(), "-", ++made_);
  if (mkdir(folder.c_str(), 0755) != 0) return SystemStatus(errno, "create", folder);
  std::unique_ptr<ControlGroup> group(new ControlGroup(folder));
  if (access((folder + "/cgroup.kill").c_str(), W_OK) != 0)
    return absl::FailedPreconditionError("this kernel cannot end a control group at once: it is older than 5.14");
  if (limits_.memory_bytes > 0) {
    SINK_RETURN_IF_ERROR(Set(folder + "/memory.max", absl::StrCat(limits_.memory_bytes)));
    SINK_RETURN_IF_ERROR(Set(folder + "/memory.oom.group", "1"));  // half a trainer is none
  }
  if (limits_.tasks > 0) SINK_RETURN_IF_ERROR(Set(folder + "/pids.max", absl::StrCat(limits_.tasks)));
  group->join_ = files::Fd(open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!group->join_.valid()) return SystemStatus(errno, "open", folder + "/cgroup.procs");
  return group;
}

void ControlGroups::RemoveLeftovers() const {
  std::vector<std::string> left;
  std::error_code error;
  for (fs::directory_iterator it(parent_, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().starts_with(prefix_)) left.push_back(it->path().string());
  }
  for (const std::string& folder : left) {
    if (KillGroup(folder, kLeftoverTime)) RemoveGroup(folder);
  }
}

// A group that has processes of its own gives no controllers to those in it, so this one moves.
absl::Status ControlGroups::TakeControllers() const {
  const auto members = files::ReadFile(parent_ + "/cgroup.procs", kMaxControlBytes);
  if (!members.ok()) return ToStatus(members.error());
  for (absl::string_view member : absl::StrSplit(*members, '\n', absl::SkipEmpty())) {
    if (member == absl::StrCat(getpid())) continue;
    return absl::FailedPreconditionError(absl::StrCat("process ", member, " is in the control group ", parent_,
                                                      ", too: start the worker in one of its own, as by systemd-run "
                                                      "--scope -p Delegate=yes or a unit with Delegate="));
  }
  const std::string own = absl::StrCat(parent_, "/", prefix_, "daemon");
  if (mkdir(own.c_str(), 0755) != 0 && errno != EEXIST) return SystemStatus(errno, "create", own);
  SINK_RETURN_IF_ERROR(Set(own + "/cgroup.procs", "0"));
  const std::string control = parent_ + "/cgroup.subtree_control";
  const auto take = [&control](absl::string_view controller) -> absl::Status {
    if (Set(control, absl::StrCat("+", controller)).ok()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "the controller ", controller, " is not given to this process: ", "write Delegate=memory pids into its unit"));
  };
  if (limits_.memory_bytes > 0) SINK_RETURN_IF_ERROR(take("memory"));
  return limits_.tasks > 0 ? take("pids") : absl::OkStatus();
}

}  // namespace sink::worker
