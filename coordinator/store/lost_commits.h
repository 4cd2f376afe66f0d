// Whether a database has every commit that it acknowledged, by its witness (commit_witness.h), and what to go on with
// where it has not. A log that was lost, emptied, cut short or exchanged for an older one or another database's is seen
// so, and a database that was put back by hand without its later log. Stateless; any thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sink::store {

enum class Use {
  kAlone,   // nobody else has it open
  kShared,  // a coordinator may write to it: the file is not looked at without its log
};

// Reads only. DATA_LOSS: acknowledged commits are missing, or the file and the log do not belong together; the message
// says how to go on. FAILED_PRECONDITION: the database is missing whose commits were acknowledged, or its witness is
// damaged. Others from SQLite.
absl::Status CheckCommits(const std::string& database, Use use);

// CheckLog (wal_check.h), and then that.
absl::Status CheckLogAndCommits(const std::string& database, Use use);

// CheckLogAndCommits for who has the database alone and opens it for writing next. Whether there is anything in its log
// that counts, as after an end that was not clean; a log without is emptied.
absl::StatusOr<bool> PrepareDatabase(const std::string& database);

// What is left of a database whose log is damaged, or is not the one that it should have.
enum class Rest {
  kWithLog,    // the file and what stands in the log before the damage
  kFileAlone,  // which counts more commits: a checkpoint has put what the log has, and more, into it
};

// For who has the database alone. DATA_LOSS where neither is the state of any commit: a checkpoint that did not come to
// its end has put changes from behind the damage into the file. Where the log is gone there is nothing to compare the
// file with, and such a file passes; what its pages say of each other is all that is left to check.
absl::StatusOr<Rest> ChooseRest(const std::string& database);

}  // namespace sink::store
