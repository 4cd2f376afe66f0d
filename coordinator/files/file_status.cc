#include "coordinator/files/file_status.h"

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace sink {

absl::Status ToStatus(const files::FileError& error) {
  switch (error.code()) {
    case 0:
      return absl::OkStatus();
    case ENOENT:
      return absl::NotFoundError(error.message());
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(absl::StrCat("disk full: ", error.message()));
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(error.message());
    case EFBIG:
      return absl::OutOfRangeError(error.message());
    case files::kDamaged:
      return absl::DataLossError(error.message());
    case EEXIST:
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
      return absl::FailedPreconditionError(error.message());
    default:
      return absl::InternalError(error.message());
  }
}

absl::Status SystemStatus(int code, const std::string& doing, const std::string& what) {
  return ToStatus(files::SystemError(code, doing, what));
}

}  // namespace sink
