// What can be told about a credential: that it is there, its holder's alone, whole, and good at this time. Reads files,
// changes nothing; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/doctor/finding.h"
#include "coordinator/identity/credential.h"

namespace sink::doctor {

// One finding. `another`: how its holder gets another one, as a sentence without its full stop.
Finding ExamineCredential(const std::string& subject, const identity::Credential& credential, absl::Time now,
                          const std::string& another);

// Of the one in a folder of credential.h; an empty name stands for no place at all.
Finding ExamineCredentialFolder(const std::string& subject, const std::string& folder, absl::Time now,
                                const std::string& another);

// The two that a coordinator keeps in its data folder, when it was ever started there.
std::vector<Finding> ExamineAuthority(const std::string& data, absl::Time now);

}  // namespace sink::doctor
