// See published_credential.h.
#include "coordinator/published_credential.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/identity/credential.h"
#include "proto/files/files.h"
#include "proto/files/random_id.h"

namespace sink {

namespace fs = std::filesystem;

void PublishedCredential::Publish(const std::string& config, const std::string& credential, const ListenAddress& listen,
                                  int port) {
  if (config.empty()) return;
  const std::string link = absl::StrCat(config, "/", identity::AddressFolder(listen.Called().WithPort(port)));
  std::error_code error;
  const std::string target = fs::absolute(credential, error).string();
  absl::Status made = ToStatus(files::MakeFolders(config, 0700));
  if (made.ok() && fs::is_directory(fs::symlink_status(link, error))) {
    made = absl::AlreadyExistsError(absl::StrCat(link, " is a folder: a login of this user's own, which stays"));
  }
  if (made.ok()) {
    const std::string temporary = absl::StrCat(config, "/.", files::RandomId(), ".tmp");
    if (symlink(target.c_str(), temporary.c_str()) != 0) {
      made = SystemStatus(errno, "create", temporary);
    } else if (const auto failed = files::Rename(temporary, link)) {
      made = ToStatus(failed);
      unlink(temporary.c_str());
    }
  }
  if (!made.ok()) {
    spdlog::warn("sinkctl will not find the admin's credential by itself ({}); name it: SINK_CREDENTIALS={}",
                 std::string(made.message()), target);
  } else if (listen.port == 0) {
    to_remove_ = link;
  }
}

void PublishedCredential::Withdraw() {
  if (!to_remove_.empty()) unlink(to_remove_.c_str());
  to_remove_.clear();
}

}  // namespace sink
