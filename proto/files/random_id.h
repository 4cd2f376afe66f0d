// Names that nobody can guess and no two things share. Any thread.
#pragma once

#include <string>

namespace sink::files {

// 128 bits from the kernel as 32 hex digits. Ends the process when the kernel has none to give, which is no state to go
// on in.
std::string RandomId();

}  // namespace sink::files
