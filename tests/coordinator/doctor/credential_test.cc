// Faults planted into credentials: each is found, named and given a fix.
#include "coordinator/doctor/credential.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/time/clock.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/certificate.h"
#include "proto/files/files.h"
#include "tests/coordinator/doctor/planted.h"
#include "tests/testing/temp_dir.h"

namespace sink::doctor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kAnother[] = "log in again";

// The folder of a coordinator that was started there.
struct Site {
  testing::TempDir data;
  absl::Time now = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
  std::string admin = data / "tls/admin";

  Site() {
    const auto made = identity::Authority::Open(data / "tls", {}, now);
    EXPECT_TRUE(made.ok()) << made.status();
  }
  void Write(const std::string& path, const std::string& text) {
    const auto failed = files::ReplaceFile(path, text, 0600);
    EXPECT_FALSE(failed);
  }
};

TEST(CredentialDoctor, AGoodOneSaysWhoseItIsAndUntilWhen) {
  Site site;
  const Finding finding = ExamineCredentialFolder("mine", site.admin, site.now, kAnother);
  EXPECT_EQ(finding.level, Level::kGood) << finding.what;
  EXPECT_THAT(finding.what, StartsWith("sink://user/admin, good until "));
  EXPECT_EQ(finding.fix, "");
}

TEST(CredentialDoctor, ACoordinatorsFolderHasTwo) {
  Site site;
  const std::vector<Finding> findings = ExamineAuthority(site.data.path(), site.now);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].subject, "coordinator's certificate");
  EXPECT_EQ(findings[1].subject, "admin's certificate");
  for (const Finding& finding : findings) EXPECT_EQ(finding.level, Level::kGood) << finding.what;
  const testing::TempDir never_started;
  EXPECT_TRUE(ExamineAuthority(never_started.path(), site.now).empty());
}

TEST(CredentialDoctor, ATokenIsNotSaidToBeRenewed) {
  const Site site;
  const auto authority = identity::Authority::Open(site.data / "tls", {}, site.now);
  ASSERT_TRUE(authority.ok()) << authority.status();
  const std::string key = *identity::MakeKey();
  const auto issued = authority->Issue(*identity::PublicKeyOfKey(key), "sink://token/ci", absl::Hours(30), site.now);
  ASSERT_TRUE(issued.ok()) << issued.status();
  const identity::Credential token = {
      .authority = authority->certificate(), .certificate = issued->certificate, .key = key};
  EXPECT_EQ(ExamineCredential("mine", token, site.now, kAnother).level, Level::kGood);
  const Finding late = ExamineCredential("mine", token, site.now + absl::Hours(21), kAnother);
  EXPECT_EQ(late.level, Level::kHint);
  EXPECT_THAT(late.what, HasSubstr("is never renewed"));
  EXPECT_EQ(late.fix, kAnother);
}

TEST(CredentialDoctor, WithoutAHomeThereIsNoPlaceForOne) {
  const Finding finding = ExamineCredentialFolder("mine", "", absl::Now(), kAnother);
  EXPECT_EQ(finding.level, Level::kHint);
  EXPECT_THAT(finding.fix, HasSubstr("$HOME"));
}

using Planted = PlantedIn<Site>;

class CredentialFault : public ::testing::TestWithParam<Planted> {};

TEST_P(CredentialFault, IsFoundAndGivenAFix) {
  Site site;
  GetParam().plant(site);
  const Finding finding = ExamineCredentialFolder("mine", site.admin, site.now, kAnother);
  EXPECT_EQ(finding.level, GetParam().level) << finding.what;
  EXPECT_THAT(finding.what, HasSubstr(GetParam().what));
  EXPECT_THAT(finding.fix, HasSubstr(GetParam().fix));
}

INSTANTIATE_TEST_SUITE_P(
    Planted, CredentialFault,
    ::testing::Values(
        Planted{"ended", Level::kFault, "the certificate ended on 20", kAnother,
                [](Site& s) { s.now += identity::Lifetimes().user + absl::Seconds(1); }},
        Planted{"clock_ahead", Level::kFault, "by this machine's clock it is ", "set the clock if it is wrong",
                [](Site& s) { s.now += absl::Hours(24 * 365); }},
        Planted{"not_renewed", Level::kHint, "has not been renewed in time", kAnother,
                [](Site& s) { s.now += identity::Lifetimes().user * 0.7; }},
        Planted{"clock_behind", Level::kFault, "the clock of this machine is behind", "timedatectl",
                [](Site& s) { s.now = absl::UnixEpoch() + absl::Hours(1); }},
        Planted{"open_key", Level::kFault, "can be read or changed by other users", "chmod 600",
                [](Site& s) { fs::permissions(s.admin + "/key.pem", fs::perms::others_read, fs::perm_options::add); }},
        Planted{"another_key", Level::kFault, "is for another key", kAnother,
                [](Site& s) { s.Write(s.admin + "/key.pem", *identity::MakeKey()); }},
        Planted{"damaged", Level::kFault, "the certificate is damaged", kAnother,
                [](Site& s) { s.Write(s.admin + "/cert.pem", "-----BEGIN NOTHING-----\n"); }},
        Planted{"absent", Level::kHint, "there is none in ", kAnother, [](Site& s) { fs::remove_all(s.admin); }}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace sink::doctor
