// How many commits a database has acknowledged, in a file of its own beside it ("<database>-commits"). SQLite takes a
// log that is not there for an empty one, and one that was put there for its own, and goes on with what it finds: then
// acknowledged commits are gone, and fences with them that workers hold, without a word. So each transaction counts
// itself in the database, and once it is committed its number is written here, with that of the last one of which it
// is known that a checkpoint has put all up to it into the file. A database that counts less than its witness has lost
// commits (lost_commits.h), and a file that does so alone is older than its log.
//
// The file is not synced: its commit was before it was written, so a power cut may leave it behind and never ahead.
// One that is not there says nothing, nor does one that has its name and no byte of its line yet. Owned by the
// connection that writes (sqlite_db.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "proto/files/descriptor.h"

namespace sink::store {

// Which database it is, by a number drawn when it was first counted in (anew after a restore), and how many commits it
// counts. 0, 0: it has no such count.
struct CommitCount {
  int64_t database = 0;
  int64_t commits = 0;
};

struct Witness {
  CommitCount count;
  int64_t in_file = 0;  // commits, as far as is known
};

class CommitWitness {
 public:
  // Of the database at this path. The file is opened when there is something to write.
  explicit CommitWitness(const std::string& database);

  // A failure is let be: the file then says less than it could, and the commit stands all the same.
  void Write(const Witness& witness);

 private:
  const std::string database_, path_;
  files::Fd file_;
};

std::string WitnessPath(const std::string& database);
// Nothing where a power cut, or a person, has left no witness: it is not there, is empty, or holds zeros alone.
// FAILED_PRECONDITION: something else is in its place, or it is damaged or cannot be read, so that lost commits would
// go unnoticed; the message says how to go on.
absl::StatusOr<std::optional<Witness>> ReadWitness(const std::string& database);

}  // namespace sink::store
