// Other people who look at a coordinator: one caller may hold only a share of its streams. Stateless.
#pragma once

#include <string>

#include "coordinator/identity/credential.h"

namespace sink::bench {

// A new one of this name, who may read. `credentials`: the folder of one that may do everything.
identity::Credential MakeViewer(const std::string& address, const std::string& credentials, const std::string& name);

}  // namespace sink::bench
