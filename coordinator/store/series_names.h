// The names of metrics as the numbers that points carry, kept in the table `series`: what one connection has looked up.
// A number stays its name's for good. Belongs to its connection's thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "coordinator/store/sqlite_db.h"

namespace sink::store {

class SeriesNames {
 public:
  // Gives the name a number where it has none yet; on the writing connection only.
  absl::StatusOr<int64_t> NumberOf(Database& db, const std::string& name);
  absl::StatusOr<std::string> NameOf(Database& db, int64_t number);
  // What was given out by a transaction that was undone must not be remembered.
  void Forget();

 private:
  absl::flat_hash_map<std::string, int64_t> numbers_;
  absl::flat_hash_map<int64_t, std::string> names_;
};

}  // namespace sink::store
