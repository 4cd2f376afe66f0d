// See control_group.h; cgroups(7).
#include "proto/files/control_group.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <sstream>

#include "proto/files/files.h"

namespace sink::files {
namespace {

constexpr size_t kMaxMembershipBytes = 64 << 10;
constexpr const char* kMounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};  // beside version 1: the second

std::string Mount() {
  for (const char* mount : kMounts) {
    struct statfs info {};
    if (statfs(mount, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC) return mount;
  }
  return "";
}

// "0::/system.slice/x.service" -> the path; nothing where the process is in no group of version 2.
std::string OwnGroup(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) return line.substr(3);
  }
  return "";
}

}  // namespace

ControlGroupPlace FindControlGroup(const std::string& membership) {
  const auto text = ReadFile(membership, kMaxMembershipBytes);
  const std::string mount = Mount(), group = text.ok() ? OwnGroup(*text) : "";
  if (mount.empty() || group.empty()) return {"", "this machine has no control groups of version 2"};
  // A group outside this process's namespace is shown from below.
  const std::string folder = group == "/" ? mount : mount + group;
  if (group.find("/..") != std::string::npos || access(folder.c_str(), W_OK | X_OK) != 0 ||
      access((folder + "/cgroup.procs").c_str(), W_OK) != 0) {
    return {"", "its control group " + folder + " is not its own to divide"};
  }
  return {folder, ""};
}

}  // namespace sink::files
