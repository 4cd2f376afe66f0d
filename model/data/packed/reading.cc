// See reading.h.
#include "model/data/packed/reading.h"

#include <cerrno>

#include "model/base/data_error.h"

namespace sink::data {

void ThrowReading(int error, const std::string& message, const std::string& fix) {
  switch (error) {
    case files::kDamaged:
    case EFBIG:
      throw DataError(message + fix);
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EACCES:
    case EPERM:
      throw MachineError(message + fix);
    default:
      throw MachineError(message);
  }
}

}  // namespace sink::data
