// The clocks that the service passes to core: Unix time to show, time since boot to decide by (it goes on while the
// machine sleeps, and nobody sets it). Any thread.
#pragma once

#include <functional>

#include "coordinator/core/requests.h"

namespace sink {

using NowFn = std::function<Now()>;

Now SystemNow();

}  // namespace sink
