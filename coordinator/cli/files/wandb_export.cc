// See wandb_export.h.
#include "coordinator/cli/files/wandb_export.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "coordinator/cli/files/output_files.h"
#include "proto/files/staged_folder.h"

extern char** environ;

namespace sink::cli {
namespace {

// Runs a program of $PATH to its end, with standard output sent to standard error. Returns its exit status, or 128 +
// the signal that ended it.
absl::StatusOr<int> RunProgram(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return absl::FailedPreconditionError(
        absl::StrCat("cannot run ", arguments[0], ": ", std::strerror(error), "; name a Python with --python"));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return absl::InternalError(absl::StrCat("waitpid: ", std::strerror(errno)));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

absl::Status ExportToWandb(const report::Study& study, const std::string& python, const std::string& out) {
  auto folder = files::StagedFolder::Create(out);
  if (!folder.ok()) return ToUserError(folder.error());
  const std::string input = folder->path() + "/study.json";
  if (absl::Status status = WriteFile(input, exports::ToWandbInput(study)); !status.ok()) return status;
  const auto code = RunProgram({python, "-c", exports::kWandbScript, input, folder->path()});
  if (!code.ok()) return code.status();
  if (*code == exports::kWandbMissing)
    return absl::FailedPreconditionError(
        absl::StrCat(python, " has no wandb; install it with: ", python, " -m pip install wandb"));
  if (*code == 130) return absl::CancelledError("interrupted");
  if (*code != 0)
    return absl::FailedPreconditionError(absl::StrCat("the wandb client failed (exit status ", *code, "); see above"));
  std::error_code ignored;
  std::filesystem::remove(input, ignored);
  return ToUserError(folder->Commit());
}

}  // namespace sink::cli
