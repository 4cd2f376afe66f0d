// Who may call, as each call asks it: while others are added and the disk is slow, over a restart and whatever the
// clock says.
#include "coordinator/core/principals.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/store/sqlite_db.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int64_t kNow = 1'000'000;

class PrincipalsTest : public ::testing::Test {
 protected:
  PrincipalsTest() : principals_(*Principals::Open(path_)) { EXPECT_TRUE(AddUser("user/vera").ok()); }

  absl::Status AddUser(const std::string& name) {
    return principals_->Put(
        {.name = name, .role = Role::kViewer, .key = "", .uses = 0, .revoked = false, .created_ms = kNow});
  }
  static std::string Serial(int n) { return absl::StrCat(std::string(28, '0'), 1000 + n); }
  absl::Status Certify(const std::string& name, int n) {
    return principals_->AddCertificate(
        {.serial = Serial(n), .principal = name, .not_after_ms = kNow + 1000 + n, .renewable = true});
  }
  bool Counts(const std::string& name, int n) const {
    return principals_->Find(Serial(n), absl::StrCat("sink://", name), "", kNow).ok();
  }

  testing::TempDir folder_;
  const std::string path_ = folder_ / "identity.db";
  std::unique_ptr<Principals> principals_;
};

TEST_F(PrincipalsTest, OneHasSoManyCertificatesAndThoseThatEndFirstGo) {
  ASSERT_TRUE(AddUser("user/tom").ok());
  ASSERT_TRUE(Certify("user/tom", 0).ok());
  const int most = static_cast<int>(kMostCertificates);
  for (int n = 1; n <= most + 3; ++n) ASSERT_TRUE(Certify("user/vera", n).ok());
  for (const bool again : {false, true}) {
    for (int n = 1; n <= most + 3; ++n) EXPECT_EQ(Counts("user/vera", n), n > 3) << n;
    EXPECT_TRUE(Counts("user/tom", 0));
    if (!again) {
      principals_.reset();  // a restart knows the same
      principals_ = *Principals::Open(path_);
    }
  }
}

TEST_F(PrincipalsTest, NobodyWaitsForTheDiskToBeKnown) {
  ASSERT_TRUE(Certify("user/vera", 1).ok());
  // As a disk that takes its time would, for as long as this holds the file.
  auto other = *store::Database::Open(path_, store::Database::Mode::kReadWrite);
  ASSERT_TRUE(other->Execute("BEGIN IMMEDIATE").ok());
  std::atomic<bool> added = false;
  std::thread adding([&] {
    EXPECT_TRUE(AddUser("user/tom").ok());
    added = true;
  });
  std::this_thread::sleep_for(milliseconds(300));
  const auto begun = steady_clock::now();
  EXPECT_TRUE(Counts("user/vera", 1));
  EXPECT_EQ(principals_->OwnerOf("nothing"), "");
  EXPECT_EQ(principals_->List().size(), 1u);
  EXPECT_LT(steady_clock::now() - begun, milliseconds(1000));
  EXPECT_FALSE(added);
  EXPECT_TRUE(other->Execute("ROLLBACK").ok());
  adding.join();
  EXPECT_EQ(principals_->List().size(), 2u);
}

TEST_F(PrincipalsTest, ANameWithoutASweepIsAnybodysAndKeepsItsOwnerUntilSomebodyTakesIt) {
  const Caller sam{.name = "user/sam", .role = Role::kSubmitter}, tom{.name = "user/tom", .role = Role::kSubmitter};
  ASSERT_TRUE(principals_->Claim(sam, "kept", false).ok());
  ASSERT_TRUE(principals_->Claim(sam, "gone", false).ok());
  ASSERT_TRUE(principals_->Claim(sam, "back", false).ok());
  principals_->FindVacant({"kept"});
  EXPECT_EQ(principals_->OwnerOf("back"), "user/sam");
  EXPECT_TRUE(principals_->MayChange(sam, "back").ok()) << "as where the database is put back";
  EXPECT_FALSE(principals_->Claim(tom, "kept", false).ok());
  EXPECT_TRUE(principals_->Claim(tom, "gone", false).ok());
  EXPECT_EQ(principals_->OwnerOf("gone"), "user/tom");
  EXPECT_FALSE(principals_->Claim(sam, "gone", false).ok()) << "it is taken";
  principals_->FindVacant({"kept", "back"});
  EXPECT_FALSE(principals_->Claim(tom, "back", false).ok());
}

TEST(Principals, WhateverTheClockSaysTheNewestCertificateOfAWorkerIsRemembered) {
  testing::TempDir folder;
  const std::string path = folder / "identity.db";
  auto principals = *Principals::Open(path);
  ASSERT_TRUE(principals->Put({.name = "worker/1", .role = Role::kWorker}).ok());
  ASSERT_TRUE(principals->Put({.name = "join/2", .role = Role::kJoin, .uses = 1}).ok());
  ASSERT_TRUE(
      principals->AddCertificate({.serial = std::string(32, 'a'), .principal = "worker/1", .not_after_ms = 1000}).ok());
  ASSERT_TRUE(
      principals->AddCertificate({.serial = std::string(32, 'b'), .principal = "worker/1", .not_after_ms = 2000}).ok());
  ASSERT_TRUE(
      principals->AddCertificate({.serial = std::string(32, 'c'), .principal = "join/2", .not_after_ms = 3000}).ok());
  ASSERT_TRUE(principals->Prune(500).ok());
  EXPECT_EQ(principals->List().size(), 2u);
  ASSERT_TRUE(principals->Prune(1'000'000'000).ok());  // as of a machine that has just woken up, say
  for (const bool again : {false, true}) {
    if (again) {
      principals.reset();
      principals = *Principals::Open(path);
    }
    const std::vector<PrincipalInfo> left = principals->List();
    ASSERT_EQ(left.size(), 1u) << "the token is over, and can be made anew";
    EXPECT_EQ(left[0].principal.name, "worker/1");
    EXPECT_EQ(left[0].certificates, 1);
    EXPECT_EQ(left[0].not_after_ms, 2000);
  }
}

}  // namespace
}  // namespace sink
