// See trainer_user.h.
#include "worker/trainer_user.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/files/file_status.h"
#include "proto/files/descriptor.h"
#include "proto/run/checkpoint_names.h"
#include "proto/run/job_file.h"
#include "worker/process_tree.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr mode_t kOwn = 0700, kThrough = 0710, kList = 0750, kReadable = 0640, kLock = 0660;
// A folder has one group, and several users have none in common; what is in it is closed by itself.
constexpr mode_t kThroughForAll = 0711;
constexpr char kNumber[] = "%d";
// What the trainer makes there is its group's, too, so that the worker, who is in it, can remove it.
constexpr mode_t kShared = 0770;
constexpr mode_t kTrainerUmask = 0007;

struct Capability {
  int number;
  const char* name;
  const char* what_for;
};
constexpr Capability kNeeded[] = {{CAP_SETUID, "CAP_SETUID", "become it"},
                                  {CAP_SETGID, "CAP_SETGID", "become it"},
                                  {CAP_KILL, "CAP_KILL", "end its processes"},
                                  {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "find processes that hide"}};

// Those of this process that count now.
uint64_t Capabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return 0;
  return data[0].effective | static_cast<uint64_t>(data[1].effective) << 32;
}

// Without following a link: only what is this process's own is changed. `group` null: the one that it has.
absl::Status Protect(const TrainerUser* group, const std::string& path, mode_t mode) {
  auto fd = files::Open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd.ok()) return ToStatus(fd.error());
  struct stat info {};
  if (fstat(fd->get(), &info) != 0) return SystemStatus(errno, "look at", path);
  if (info.st_uid != geteuid()) return absl::OkStatus();
  if (group != nullptr && info.st_gid != group->gid && fchown(fd->get(), static_cast<uid_t>(-1), group->gid) != 0) {
    if (errno != EPERM) return SystemStatus(errno, "give a group to", path);
    return absl::FailedPreconditionError(
        absl::StrCat("--trainer-user ", group->name, ": the worker is not in the group of that user and cannot share ",
                     path, " with it: usermod -a -G GROUP WORKER, or SupplementaryGroups= in the unit"));
  }
  return fchmod(fd->get(), mode) == 0 ? absl::OkStatus() : SystemStatus(errno, "protect", path);
}

absl::Status Give(const TrainerUser& user, const std::string& path, mode_t mode) { return Protect(&user, path, mode); }

absl::Status GiveAll(const TrainerUser& user, const std::string& folder) {
  absl::Status status = Give(user, folder, kShared);
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; status.ok() && !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    const fs::file_type type = it->symlink_status(ignored).type();
    if (type == fs::file_type::directory) status = Give(user, it->path(), kShared);
    if (type == fs::file_type::regular) status = Give(user, it->path(), kReadable);
  }
  if (status.ok() && error) status = SystemStatus(error.value(), "list", folder);
  return status;
}

}  // namespace

absl::StatusOr<TrainerUser> FindTrainerUser(const std::string& name) {
  const passwd* entry = getpwnam(name.c_str());
  if (entry == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("--trainer-user ", name, ": there is no such user; make one: useradd --system ", name));
  }
  TrainerUser user{
      .name = name, .uid = entry->pw_uid, .gid = entry->pw_gid, .groups = {}, .home = std::string(entry->pw_dir)};
  if (user.uid == 0 || user.uid == geteuid()) {
    return absl::InvalidArgumentError(absl::StrCat("--trainer-user ", name,
                                                   ": name a user that is neither root nor "
                                                   "the worker's own, or trainers can read what the worker can"));
  }
  std::vector<std::string> missing;
  const uint64_t here = Capabilities();
  for (const Capability& needed : kNeeded) {
    if ((here >> needed.number & 1) == 0) missing.push_back(absl::StrCat(needed.name, " (", needed.what_for, ")"));
  }
  if (!missing.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--trainer-user ", name, ": this worker may not run programs as that user; it lacks ",
                     absl::StrJoin(missing, ", "), ": start it as root, or with AmbientCapabilities= of systemd"));
  }
  int count = 64;
  user.groups.resize(static_cast<size_t>(count));
  if (getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<size_t>(count));
    getgrouplist(name.c_str(), user.gid, user.groups.data(), &count);
  }
  user.groups.resize(static_cast<size_t>(count));
  return user;
}

absl::StatusOr<std::vector<TrainerUser>> FindTrainerUsers(const std::string& names, int devices) {
  std::vector<TrainerUser> users;
  const size_t number = names.find(kNumber);
  const int count = number == std::string::npos ? 1 : devices;
  for (int i = 0; i < count; ++i) {
    std::string name = names;
    if (number != std::string::npos) name.replace(number, sizeof kNumber - 1, absl::StrCat(i));
    auto user = FindTrainerUser(name);
    if (!user.ok()) return user.status();
    user->alone = count == 1;
    users.push_back(*std::move(user));
  }
  return users;
}

bool BecomeUser(const TrainerUser& user) {
  // By the kernel's own calls: those of the C library speak to threads that a child of fork does not have.
  if (syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0) return false;
  if (syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0) return false;
  if (syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0) return false;
  // What a unit gives to the worker would be handed on otherwise.
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return false;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  umask(kTrainerUmask);
  return true;
}

absl::Status LetThrough(const TrainerUser& user, const std::string& folder) {
  return user.alone ? Give(user, folder, kThrough) : Protect(nullptr, folder, kThroughForAll);
}

absl::Status LetList(const TrainerUser& user, const std::string& folder) { return Give(user, folder, kList); }

absl::Status OpenRun(const TrainerUser& user, const std::string& data, const RunFolder& run) {
  const fs::path jobs = fs::path(data) / "jobs";
  for (fs::path folder = run.path(); folder.string().size() > data.size(); folder = folder.parent_path()) {
    const bool of_the_run = folder != jobs && folder.parent_path() != jobs;
    const absl::Status status = of_the_run ? Give(user, folder, kThrough) : LetThrough(user, folder);
    if (!status.ok()) return status;
  }
  absl::Status status = Give(user, absl::StrCat(run.path(), "/", run::kJobFileName), kReadable);
  std::error_code ignored;
  if (status.ok() && fs::exists(run.token(), ignored)) status = Give(user, run.token(), kReadable);
  // A trainer locks its folder by a file that it may not make there itself.
  const std::string lock = absl::StrCat(run.path(), "/", run::kRunLockName);
  if (status.ok()) {
    const auto made = files::Open(lock, O_RDWR | O_CREAT, kReadable);
    status = made.ok() ? Give(user, lock, kLock) : ToStatus(made.error());
  }
  return status.ok() ? GiveAll(user, run.checkpoints()) : status;
}

absl::Status CloseRun(const RunFolder& run) { return Protect(nullptr, run.path(), kOwn); }

absl::Status CheckReach(const TrainerUser& user, const std::string& path, int how) {
  const char* const name = path.c_str();
  const pid_t child = ForkTrainer();  // one that nobody else reaps
  if (child < 0) return SystemStatus(errno, "start", "a process");
  if (child == 0) _exit(!BecomeUser(user) || access(name, how) != 0 ? errno : 0);
  int status = 0;
  pid_t reaped = 0;
  while ((reaped = waitpid(child, &status, 0)) < 0 && errno == EINTR) continue;
  ForgetTrainer(child);
  const int error = reaped == child && WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
  if (error == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("--trainer-user ", user.name, ": that user cannot use ", path, " (",
                                                    std::generic_category().message(error),
                                                    "); see the permissions of the folders above it: namei -l ", path));
}

}  // namespace sink::worker
