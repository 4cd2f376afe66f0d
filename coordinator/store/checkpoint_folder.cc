// See checkpoint_folder.h.
#include "coordinator/store/checkpoint_folder.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/files.h"
#include "proto/files/random_id.h"

namespace sink::store {
namespace {

constexpr size_t kMostBytes = 64;
constexpr mode_t kFolderMode = 0700, kFileMode = 0600;
constexpr size_t kHexDigits = 15;  // fit into 63 bits

std::string PathIn(const std::string& folder) { return absl::StrCat(folder, "/", kFolderIdName); }

int64_t NewId() {
  int64_t id = 0;
  if (!absl::SimpleHexAtoi(files::RandomId().substr(0, kHexDigits), &id)) return 1;
  return std::max<int64_t>(id, 1);  // 0 stands for none
}

bool IsEmpty(const std::string& folder) {
  std::error_code error;
  const std::filesystem::directory_iterator first(folder, error);
  return error == std::errc::no_such_file_or_directory || (!error && first == std::filesystem::directory_iterator());
}

}  // namespace

absl::StatusOr<int64_t> ReadFolderId(const std::string& folder) {
  const auto text = files::ReadFile(PathIn(folder), kMostBytes);
  if (!text.ok() && (text.error().code() == ENOENT || text.error().code() == EFBIG)) return 0;
  if (!text.ok()) return ToStatus(text.error());
  int64_t id = 0;
  const bool is_number = absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &id);
  return is_number && id > 0 ? id : 0;
}

absl::StatusOr<int64_t> GiveFolderId(const std::string& folder) {
  SINK_ASSIGN_OR_RETURN(const int64_t has, ReadFolderId(folder));
  if (has != 0) return has;
  const int64_t id = NewId();
  SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(folder, kFolderMode)));
  SINK_RETURN_IF_ERROR(ToStatus(files::ReplaceFile(PathIn(folder), absl::StrCat(id, "\n"), kFileMode)));
  return id;
}

absl::StatusOr<int64_t> KnownFolderId(JobStore* store, const std::string& folder) {
  int64_t known = 0;
  bool has_checkpoints = false;
  SINK_RETURN_IF_ERROR(store->Read([&](Snapshot& rows) -> absl::Status {
    SINK_ASSIGN_OR_RETURN(known, rows.GetMark(kFolderIdMark));
    SINK_ASSIGN_OR_RETURN(has_checkpoints, rows.HasCheckpoints());
    return absl::OkStatus();
  }));
  if (known != 0 && has_checkpoints) return known;
  int64_t id = NewId();
  if (!has_checkpoints || !IsEmpty(folder)) {
    SINK_ASSIGN_OR_RETURN(id, GiveFolderId(folder));
  }
  if (id == known) return id;
  SINK_RETURN_IF_ERROR(store->Write([id](Transaction& rows) { return rows.PutMark(kFolderIdMark, id); }));
  return id;
}

}  // namespace sink::store
