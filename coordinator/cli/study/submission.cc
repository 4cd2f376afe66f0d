#include "coordinator/cli/study/submission.h"

#include <cstdio>
#include <random>

namespace sink::cli {
namespace {

std::string RandomId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) {
    char word[9];
    std::snprintf(word, sizeof word, "%08x", random());
    id += word;
  }
  return id;
}

}  // namespace

absl::StatusOr<v1::SubmitSweepResponse> Submit(Session& session, const SweepFiles& files, bool dry_run) {
  v1::SubmitSweepRequest request;
  request.set_request_id(RandomId());  // lets the client repeat the call after a lost answer
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
