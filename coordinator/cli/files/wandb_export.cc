// See wandb_export.h.
#include "coordinator/cli/files/wandb_export.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "coordinator/cli/files/output_files.h"
#include "coordinator/cli/files/program.h"
#include "proto/files/staged_folder.h"

namespace sink::cli {

absl::Status ExportToWandb(const report::Study& study, const std::string& python, const std::string& out) {
  auto folder = files::StagedFolder::Create(out);
  if (!folder.ok()) return ToUserError(folder.error());
  const std::string input = folder->path() + "/study.json";
  if (absl::Status status = WriteFile(input, exports::ToWandbInput(study)); !status.ok()) return status;
  const auto end =
      RunProgram({python, "-I", "-c", exports::kWandbScript, input, folder->path()}, ProgramOutput::kToStderr);
  if (!end.ok())
    return absl::FailedPreconditionError(
        absl::StrCat("cannot run ", python, ": ", end.status().message(), "; name a Python with --python"));
  if (end->code == exports::kWandbMissing)
    return absl::FailedPreconditionError(
        absl::StrCat(python, " has no wandb; install it with: ", python, " -m pip install wandb"));
  if (end->code == 130) return absl::CancelledError("interrupted");
  if (end->code != 0)
    return absl::FailedPreconditionError(
        absl::StrCat("the wandb client failed (exit status ", end->code, "); see above"));
  std::error_code ignored;
  std::filesystem::remove(input, ignored);
  return ToUserError(folder->Commit());
}

}  // namespace sink::cli
