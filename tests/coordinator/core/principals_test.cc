// Who is remembered, over what time and over a restart.
#include "coordinator/core/principals.h"

#include <gtest/gtest.h>

#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

std::string Serial(char digit) { return std::string(32, digit); }

class PrincipalsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Principals> Open() {
    auto opened = Principals::Open(folder_ / "identity.db");
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *std::move(opened);
  }

  testing::TempDir folder_;
};

TEST_F(PrincipalsTest, WhateverTheClockSaysTheNewestCertificateOfAWorkerIsRemembered) {
  auto principals = Open();
  ASSERT_TRUE(principals->Put({.name = "worker/1", .role = Role::kWorker}).ok());
  ASSERT_TRUE(principals->Put({.name = "join/2", .role = Role::kJoin, .uses = 1}).ok());
  ASSERT_TRUE(principals->AddCertificate({.serial = Serial('a'), .principal = "worker/1", .not_after_ms = 1000}).ok());
  ASSERT_TRUE(principals->AddCertificate({.serial = Serial('b'), .principal = "worker/1", .not_after_ms = 2000}).ok());
  ASSERT_TRUE(principals->AddCertificate({.serial = Serial('c'), .principal = "join/2", .not_after_ms = 3000}).ok());
  ASSERT_TRUE(principals->Prune(500).ok());
  EXPECT_EQ(principals->List().size(), 2u);
  ASSERT_TRUE(principals->Prune(1'000'000'000).ok());  // as of a machine that has just woken up, say
  for (const bool again : {false, true}) {
    if (again) {
      principals.reset();
      principals = Open();
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
