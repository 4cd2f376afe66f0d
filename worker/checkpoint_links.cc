// See checkpoint_links.h.
#include "worker/checkpoint_links.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "proto/files/files.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

bool MayLink(const fs::path& source, std::optional<uid_t> reader) {
  struct stat info {};
  return !reader || (lstat(source.c_str(), &info) == 0 && (info.st_uid == *reader || info.st_uid == geteuid()));
}

}  // namespace

absl::Status LinkCheckpoint(const std::string& from, const std::string& to, const run::Manifest& manifest,
                            std::optional<uid_t> reader) {
  const std::string temporary = absl::StrCat(to, ".tmp");
  std::error_code error;
  fs::remove_all(temporary, error);
  if (const auto failed = files::MakeFolders(temporary)) return ToStatus(failed);
  for (const run::ManifestFile& file : manifest.files) {
    const fs::path source = fs::path(from) / file.name, target = fs::path(temporary) / file.name;
    const bool link = MayLink(source, reader);
    if (link) fs::create_hard_link(source, target, error);
    if (!link || error) fs::copy_file(source, target, error);
    if (error) return SystemStatus(error.value(), "copy", source.string());
  }
  fs::remove_all(to, error);
  return ToStatus(files::Rename(temporary, to));
}

}  // namespace sink::worker
