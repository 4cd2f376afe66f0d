#include "proto/files/random_id.h"

#include <sys/random.h>

#include <cerrno>
#include <exception>

namespace sink::files {

std::string RandomId() {
  unsigned char bytes[16];
  // So few bytes come at once or not at all.
  while (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
    if (errno != EINTR) std::terminate();
  }
  std::string id;
  for (const unsigned char byte : bytes) {
    id += "0123456789abcdef"[byte >> 4];
    id += "0123456789abcdef"[byte & 15];
  }
  return id;
}

}  // namespace sink::files
