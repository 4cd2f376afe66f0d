// What the bodies of one group leave, whichever of them fails: the first is undone in another way than those behind it.
#include "coordinator/store/group_commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/store/schema.h"
#include "tests/testing/temp_dir.h"

namespace sink::store {
namespace {

using ::testing::ElementsAre;

// Which sweeps are stored after a group of bodies, each of which stores one named after its place, and then fails where
// `fails` says so; what each caller is told stands behind, as "ok" or the error's words.
std::vector<std::string> StoredAfter(const std::vector<bool>& fails, std::vector<std::string>* told) {
  testing::TempDir folder;
  auto db = Database::Open(folder / "sink.db", Database::Mode::kReadWrite);
  EXPECT_TRUE(db.ok() && Migrate(**db).ok());
  std::vector<std::function<absl::Status(Transaction&)>> bodies;
  for (size_t i = 0; i < fails.size(); ++i) {
    bodies.push_back([i, fail = fails[i]](Transaction& rows) -> absl::Status {
      Sweep sweep;
      sweep.name = absl::StrCat("s", i);
      const absl::Status put = rows.PutSweep(sweep);
      return put.ok() && fail ? absl::AbortedError("no") : put;
    });
  }
  std::vector<PendingWrite> writes(bodies.size());
  for (size_t i = 0; i < bodies.size(); ++i) writes[i].body = &bodies[i];
  size_t next = 0;
  GroupCommit writer(db->get());
  writer.Commit([&] { return next < writes.size() ? &writes[next++] : nullptr; });
  for (const PendingWrite& write : writes) told->push_back(std::string(write.status.message()));

  std::vector<std::string> stored;
  Query names(**db, "SELECT name FROM sweeps ORDER BY name");
  while (names.Next()) stored.push_back(names.Text(0));
  return stored;
}

TEST(GroupCommit, ABodyThatFailsIsUndoneAloneWhereverItStands) {
  std::vector<std::string> first, middle, last, all;
  EXPECT_THAT(StoredAfter({true, false, false}, &first), ElementsAre("s1", "s2"));
  EXPECT_THAT(first, ElementsAre("no", "", ""));
  EXPECT_THAT(StoredAfter({false, true, false}, &middle), ElementsAre("s0", "s2"));
  EXPECT_THAT(middle, ElementsAre("", "no", ""));
  EXPECT_THAT(StoredAfter({false, false, true}, &last), ElementsAre("s0", "s1"));
  EXPECT_THAT(last, ElementsAre("", "", "no"));
  EXPECT_THAT(StoredAfter({true, true}, &all), ElementsAre());
  EXPECT_THAT(all, ElementsAre("no", "no"));
}

}  // namespace
}  // namespace sink::store
