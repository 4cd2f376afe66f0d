// A look at the write-ahead log beside a database, before SQLite reads it. SQLite goes on with the frames before the
// first bad one and says nothing of those behind it, so that a flipped bit takes acknowledged commits with it.
//
// A bad frame is no damage where a power cut explains it: of the log only its last transaction was not synced yet (one
// writer, synchronous = FULL: a sync ends each commit before the next begins), so what lies there is any mixture of
// that transaction's bytes and of what the file held before. Damage is what no single transaction can leave: behind the
// bad frame one that goes on from a commit, or two commits. What stays unknown: damage within the last transaction, and
// the one before it where its commit frame is wiped out and not merely wrong.
//
// A disk writes blocks, of 512 bytes or more, and one may end within a frame's header: of a header that does not go on
// from the frame before, only what lies in the block of its salt is known to be of this log.
//
// Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. Stateless; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sink::store {

struct LogState {
  bool damaged = false;
  uint64_t frames = 0;     // that the file has room for, also those of a log that was there before
  uint64_t committed = 0;  // that SQLite goes on with, from the first
  uint64_t bad = 0;        // where it is damaged: the first bad frame, from 1; 0: the header
  uint64_t salt = 0;       // tells this log from those that were there before
};

// Gives the log's bytes, `size` of them from `offset`, or an error. DATA_LOSS: they cannot be read.
using ReadLog = absl::FunctionRef<absl::Status(uint64_t offset, size_t size, std::string* bytes)>;

// Walks over a log of `size` bytes, a frame at a time. The errors are those of `read`, but for DATA_LOSS, which is
// damage at that place.
absl::StatusOr<LogState> WalkLog(uint64_t size, ReadLog read);

// Looks at "<database>-wal". DATA_LOSS: it is damaged; the message says how to go on. FAILED_PRECONDITION: there is no
// database that its changes could belong to. UNAVAILABLE: somebody writes too fast to tell.
absl::Status CheckLog(const std::string& database);

// The same, with what was found.
absl::StatusOr<LogState> LookAtLog(const std::string& database);

// Empties it, durably, where there is one. For a log in which nothing was committed and who is about to write: SQLite
// would begin the next one with its salt, and what a crash has left of it could be taken for a part of that.
absl::Status EmptyLog(const std::string& database);

// Of a database whose log is damaged, for who has it alone: whether the file, without the log, is what some commit
// left, as after a checkpoint that came to its end. `page` is one that every transaction writes otherwise than all
// before, so that the file's own says which commit that would be. Frames that are damaged are left out.
absl::StatusOr<bool> IsOfOneCommit(const std::string& database, uint32_t page);

// Of the same: whether the file certainly has a page as only a frame behind the damage has it, so that a checkpoint
// went beyond it, and what stands before the damage, laid over the file, would be a database that never was. A page's
// first frame in the log says nothing: it may be what the file had all along, written again as it was.
absl::StatusOr<bool> HasPagesFromBehind(const std::string& database);

// For messages: the command that goes on with what is left of this database, and what to do with a backup.
std::string SalvageCommand(const std::string& database);
std::string HowToPutBack(const std::string& database);

}  // namespace sink::store
