// Links and sessions of the page: how often, how long and for whom they work.
#include "coordinator/service/page_sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "proto/files/random_id.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

using ::testing::StartsWith;

constexpr int64_t kStart = 1'000'000;
constexpr int64_t kFarAway = kStart + 10 * kPageSessionMs;

class PageSessionsTest : public ::testing::Test {
 protected:
  PageSessionsTest() : principals_(*Principals::Open(folder_ / "identity.db")), pages_(principals_.get()) {
    pages_.SetUrl("http://127.0.0.1:7072/");
  }

  // A user with a certificate.
  Caller User(const std::string& name, Role role = Role::kViewer, int64_t not_after_ms = kFarAway) {
    const std::string principal = "user/" + name, serial = files::RandomId();
    EXPECT_TRUE(Put(principal, role).ok());
    EXPECT_TRUE(principals_
                    ->AddCertificate(
                        {.serial = serial, .principal = principal, .not_after_ms = not_after_ms, .renewable = true})
                    .ok());
    return *principals_->Find(serial, "sink://" + principal, /*secret_hash=*/"", kStart);
  }
  absl::Status Put(const std::string& principal, Role role) {
    return principals_->Put(
        {.name = principal, .role = role, .key = "", .uses = 0, .revoked = false, .created_ms = kStart});
  }
  std::string TokenFor(const Caller& caller, int64_t now_ms = kStart) {
    const auto link = pages_.Invite(caller, now_ms);
    EXPECT_TRUE(link.ok()) << link.status();
    EXPECT_THAT(link->url, StartsWith("http://127.0.0.1:7072/open#"));
    return link->url.substr(link->url.find('#') + 1);
  }
  std::string SessionOf(const Caller& caller, int64_t now_ms = kStart) {
    const auto secret = pages_.Open(TokenFor(caller, now_ms), now_ms);
    EXPECT_TRUE(secret.ok()) << secret.status();
    return *secret;
  }
  bool Counts(const std::string& secret, int64_t now_ms = kStart) {
    const auto found = pages_.Find(secret, now_ms);
    EXPECT_TRUE(found.ok() || absl::IsUnauthenticated(found.status())) << found.status();
    return found.ok();
  }

  testing::TempDir folder_;
  std::unique_ptr<Principals> principals_;
  PageSessions pages_;
};

TEST_F(PageSessionsTest, ATokenBuysOneSessionOfItsOwner) {
  const std::string token = TokenFor(User("vera"));
  EXPECT_FALSE(Counts(token));  // it is no session by itself
  const auto secret = pages_.Open(token, kStart);
  ASSERT_TRUE(secret.ok()) << secret.status();
  EXPECT_EQ(secret->size(), 64u);
  EXPECT_NE(*secret, token);
  EXPECT_EQ(pages_.Find(*secret, kStart)->name, "user/vera");
  EXPECT_TRUE(absl::IsUnauthenticated(pages_.Open(token, kStart).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(pages_.Open(*secret, kStart).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(pages_.Open("", kStart).status()));
}

TEST_F(PageSessionsTest, LinksAndSessionsEndAtTheirTime) {
  const Caller vera = User("vera");
  EXPECT_TRUE(absl::IsUnauthenticated(pages_.Open(TokenFor(vera), kStart + kPageLinkMs).status()));
  EXPECT_TRUE(pages_.Open(TokenFor(vera), kStart + kPageLinkMs - 1).ok());
  const std::string session = SessionOf(vera);
  EXPECT_TRUE(Counts(session, kStart + kPageSessionMs - 1));
  EXPECT_FALSE(Counts(session, kStart + kPageSessionMs));
}

TEST_F(PageSessionsTest, ASessionEndsWithItsOwnersCertificate) {
  const std::string session = SessionOf(User("vera", Role::kViewer, kStart + 1000));
  EXPECT_TRUE(Counts(session, kStart + 1000));
  EXPECT_FALSE(Counts(session, kStart + 1001));
}

TEST_F(PageSessionsTest, ARevocationEndsSessionsAndLinksAtOnce) {
  const Caller rita = User("rita", Role::kAdmin);
  const std::string session = SessionOf(rita), link = TokenFor(rita), other = SessionOf(User("vera"));
  ASSERT_TRUE(principals_->Revoke("user/rita").ok());
  EXPECT_FALSE(Counts(session));
  EXPECT_TRUE(absl::IsUnauthenticated(pages_.Open(link, kStart).status()));
  EXPECT_TRUE(Counts(other));
  EXPECT_TRUE(Counts(SessionOf(User("rita"))));  // she comes back
  EXPECT_FALSE(Counts(session));
}

TEST_F(PageSessionsTest, ARoleIsThatOfNow) {
  const std::string session = SessionOf(User("lena", Role::kAdmin));
  ASSERT_TRUE(Put("user/lena", Role::kViewer).ok());
  EXPECT_EQ(pages_.Find(session, kStart)->role, Role::kViewer);
}

TEST_F(PageSessionsTest, WhoHasTooManyLosesTheirOldestAndNobodyElses) {
  const Caller vera = User("vera"), sam = User("sam");
  const std::string other = SessionOf(sam), first = SessionOf(vera), second = SessionOf(vera, kStart + 1);
  for (size_t i = 2; i < kPageSessionsOfOne; ++i) SessionOf(vera, kStart + 2);
  EXPECT_TRUE(Counts(first, kStart + 2));
  SessionOf(vera, kStart + 2);
  EXPECT_FALSE(Counts(first, kStart + 2));
  EXPECT_TRUE(Counts(second, kStart + 2));
  EXPECT_TRUE(Counts(other, kStart + 2));

  const std::string link = TokenFor(vera);
  for (size_t i = 0; i < kPageLinksOfOne; ++i) TokenFor(vera, kStart + 1);
  EXPECT_TRUE(absl::IsUnauthenticated(pages_.Open(link, kStart + 1).status()));
}

TEST_F(PageSessionsTest, ThereIsRoomForSoManyAndTimeMakesIt) {
  std::vector<std::string> sessions;
  for (size_t i = 0; i < kPageSessions / kPageSessionsOfOne; ++i) {
    const Caller user = User("user" + std::to_string(i));
    for (size_t j = 0; j < kPageSessionsOfOne; ++j) sessions.push_back(SessionOf(user));
  }
  const Caller one_more = User("vera");
  EXPECT_TRUE(absl::IsResourceExhausted(pages_.Open(TokenFor(one_more), kStart).status()));
  EXPECT_TRUE(Counts(sessions.front()));
  pages_.End(sessions.back());
  EXPECT_FALSE(Counts(sessions.back()));
  EXPECT_TRUE(Counts(SessionOf(one_more)));
  EXPECT_TRUE(Counts(SessionOf(User("lena"), kStart + kPageSessionMs), kStart + kPageSessionMs));
}

TEST_F(PageSessionsTest, WithoutAPageThereIsNoLink) {
  const Caller vera = User("vera");
  pages_.SetUrl("");
  EXPECT_TRUE(absl::IsFailedPrecondition(pages_.Invite(vera, kStart).status()));
}

}  // namespace
}  // namespace sink
