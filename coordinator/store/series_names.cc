// See series_names.h.
#include "coordinator/store/series_names.h"

#include "absl/strings/str_cat.h"

namespace sink::store {
namespace {

constexpr size_t kMostRemembered = 100'000;  // a study has a few hundred

}  // namespace

absl::StatusOr<int64_t> SeriesNames::NumberOf(Database& db, const std::string& name) {
  const auto known = numbers_.find(name);
  if (known != numbers_.end()) return known->second;
  if (numbers_.size() >= kMostRemembered) Forget();
  int64_t number = 0;
  Query found(db, "SELECT id FROM series WHERE name = ?1", name);
  if (found.Next()) {
    number = found.Int(0);
  } else if (!found.status().ok()) {
    return found.status();
  } else {
    const absl::Status added = Query(db, "INSERT INTO series (name) VALUES (?1)", name).Run();
    if (!added.ok()) return added;
    number = sqlite3_last_insert_rowid(db.handle());
  }
  numbers_[name] = number;
  return number;
}

absl::StatusOr<std::string> SeriesNames::NameOf(Database& db, int64_t number) {
  const auto known = names_.find(number);
  if (known != names_.end()) return known->second;
  if (names_.size() >= kMostRemembered) Forget();
  Query found(db, "SELECT name FROM series WHERE id = ?1", number);
  if (!found.Next()) {
    return found.status().ok() ? absl::DataLossError(absl::StrCat("database failed: no series ", number))
                               : found.status();
  }
  return names_[number] = found.Text(0);
}

void SeriesNames::Forget() {
  numbers_.clear();
  names_.clear();
}

}  // namespace sink::store
