#include "coordinator/cli/study/submission.h"

#include "proto/files/random_id.h"

namespace sink::cli {
absl::StatusOr<v1::SubmitSweepResponse> Submit(Session& session, const SweepFiles& files, bool dry_run) {
  v1::SubmitSweepRequest request;
  request.set_request_id(files::RandomId());  // lets the client repeat the call after a lost answer
  request.set_entry(files.entry);
  for (const std::string& profile : files.profiles) request.add_profiles(profile);
  for (const auto& [path, text] : files.texts) {
    v1::SourceFile* file = request.add_files();
    file->set_path(path);
    file->set_text(text);
  }
  request.set_dry_run(dry_run);
  return session.client().SubmitSweep(request);
}

}  // namespace sink::cli
