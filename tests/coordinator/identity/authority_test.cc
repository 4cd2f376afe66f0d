// Keys, certificates and credentials, without a network: what an authority makes, keeps and refuses.
#include "coordinator/identity/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "absl/time/clock.h"
#include "coordinator/identity/credential.h"
#include "coordinator/identity/one_way.h"
#include "proto/files/files.h"
#include "tests/testing/temp_dir.h"

namespace sink::identity {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class AuthorityTest : public ::testing::Test {
 protected:
  Authority Open(absl::Time now) {
    auto opened = Authority::Open(folder_ / "tls", lifetimes_, now);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return *opened;
  }

  testing::TempDir folder_;
  Lifetimes lifetimes_;
  const absl::Time now_ = absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()));
};

TEST_F(AuthorityTest, ACertificateSaysWhoWhichAndHowLong) {
  const Authority authority = Open(now_);
  const std::string key = *MakeKey();
  const auto issued = authority.Issue(*PublicKeyOfRequest(*MakeRequest(key)), "sink://worker/7", absl::Hours(2), now_);
  ASSERT_TRUE(issued.ok()) << issued.status();
  const auto claims = Describe(issued->certificate);
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->uri, "sink://worker/7");
  EXPECT_EQ(claims->use, Use::kClient);
  EXPECT_EQ(claims->serial, issued->claims.serial);
  EXPECT_EQ(claims->not_after, now_ + absl::Hours(2));
  EXPECT_EQ(*PublicKeyOfCertificate(issued->certificate), *PublicKeyOfKey(key));
  EXPECT_NE(issued->claims.serial, authority.Issue(*PublicKeyOfKey(key), "x", absl::Hours(2), now_)->claims.serial);
}

TEST_F(AuthorityTest, SerialNumbersWithZerosInFrontAreReadAsTheyWereWritten) {
  const Authority authority = Open(now_);
  const std::string key = *MakeKey(), ca = *files::ReadFile(folder_ / "tls/ca.key.pem", 10'000);
  const std::string serial = "000000000000000000000000000000a7";
  const auto certificate = Issue(ca, authority.certificate(), *PublicKeyOfKey(key),
                                 {.use = Use::kClient,
                                  .uri = "sink://x/y",
                                  .serial = serial,
                                  .not_before = now_,
                                  .not_after = now_ + absl::Hours(1)});
  EXPECT_EQ(Describe(*certificate)->serial, serial);
}

TEST_F(AuthorityTest, IsTheSameAtTheNextStart) {
  const std::string certificate = Open(now_).certificate();
  const std::string admin = ReadCredential(folder_ / "tls/admin")->certificate;
  EXPECT_EQ(Open(now_ + absl::Hours(1)).certificate(), certificate);
  EXPECT_EQ(ReadCredential(folder_ / "tls/admin")->certificate, admin);
}

TEST_F(AuthorityTest, RenewsInTimeAndForTheSameKey) {
  const Authority authority = Open(now_);
  const Credential first = *ReadCredential(authority.admin_folder());
  EXPECT_TRUE(authority.Refresh(now_ + lifetimes_.user * 0.6)->empty());
  const auto renewed = authority.Refresh(now_ + lifetimes_.user * 0.7);
  ASSERT_TRUE(renewed.ok()) << renewed.status();
  ASSERT_EQ(renewed->size(), 1u);
  const Credential second = *ReadCredential(authority.admin_folder());
  EXPECT_EQ(second.key, first.key);
  EXPECT_NE(second.certificate, first.certificate);
  EXPECT_EQ(Describe(second.certificate)->serial, renewed->front().serial);
  EXPECT_EQ(Describe(second.certificate)->uri, kAdminUri);
}

TEST_F(AuthorityTest, WhatIsIssuedWhileTheClockIsAheadIsGoodWhenItIsSetBack) {
  const Authority authority = Open(now_ + absl::Hours(24 * 40));
  const std::string key = *PublicKeyOfKey(*MakeKey());
  const auto issued = authority.Issue(key, "sink://worker/7", absl::Hours(2), now_ + absl::Hours(24 * 40));
  ASSERT_TRUE(issued.ok()) << issued.status();
  for (const std::string& certificate : {issued->certificate, ReadCredential(authority.server_folder())->certificate,
                                         ReadCredential(authority.admin_folder())->certificate}) {
    EXPECT_EQ(OutsideItsTime(*Describe(certificate), now_ - absl::Hours(10)), "");
  }
}

TEST_F(AuthorityTest, TheLifetimeOfACertificateBeginsWhenItIsIssued) {
  const auto issued =
      Open(now_).Issue(*PublicKeyOfKey(*MakeKey()), "sink://worker/7", absl::Hours(30), now_ + absl::Hours(1));
  ASSERT_TRUE(issued.ok()) << issued.status();
  const Claims claims = *Describe(issued->certificate);
  EXPECT_EQ(claims.issued, now_ + absl::Hours(1));
  EXPECT_EQ(claims.not_after, now_ + absl::Hours(31));
  EXPECT_EQ(LifetimeOf(claims), absl::Hours(30));
  EXPECT_FALSE(IsDue(claims, now_ + absl::Hours(20)));
  EXPECT_TRUE(IsDue(claims, now_ + absl::Hours(21)));
  // Of the first releases: good from an hour before.
  const Claims old = {.serial = "", .not_before = now_, .not_after = now_ + absl::Hours(31)};
  EXPECT_EQ(LifetimeOf(old), absl::Hours(30));
}

TEST_F(AuthorityTest, OneOfTheFirstReleasesFromAClockThatWasAheadIsMadeAnewOnceItIsRight) {
  const Authority authority = Open(now_);
  const std::string ca = *files::ReadFile(folder_ / "tls/ca.key.pem", 10'000);
  for (const std::string& folder : {authority.server_folder(), authority.admin_folder()}) {
    const bool server = folder == authority.server_folder();
    const auto ahead = Issue(ca, authority.certificate(), *PublicKeyOfKey(ReadCredential(folder)->key),
                             {.use = server ? Use::kServer : Use::kClient,
                              .uri = server ? "" : kAdminUri,
                              .serial = "000000000000000000000000000000a7",
                              .not_before = now_ + absl::Hours(24),
                              .not_after = now_ + absl::Hours(24 * 90)});
    ASSERT_TRUE(ahead.ok()) << ahead.status();
    EXPECT_FALSE(Describe(*ahead)->issued);
    ASSERT_TRUE(ReplaceCertificate(folder, *ahead).ok());
  }
  EXPECT_EQ(authority.Refresh(now_)->size(), 1u);
  for (const std::string& folder : {authority.server_folder(), authority.admin_folder()})
    EXPECT_LE(Describe(ReadCredential(folder)->certificate)->not_before, now_) << folder;
  EXPECT_TRUE(authority.Refresh(now_)->empty());
}

TEST_F(AuthorityTest, MadeWhileTheClockWasWrongItIsGoodOnceTheClockIsRight) {
  for (const absl::Time wrong : {now_ + absl::Hours(24 * 400), absl::UnixEpoch() + absl::Hours(24 * 30)}) {
    std::filesystem::remove_all(folder_ / "tls");
    const std::string made = Open(wrong).certificate();
    const Authority authority = Open(now_);
    EXPECT_EQ(authority.certificate(), made) << "whoever has it goes on";
    std::vector<std::string> certificates = {made};
    for (const std::string& folder : {authority.server_folder(), authority.admin_folder()})
      certificates.push_back(ReadCredential(folder)->certificate);
    for (const std::string& certificate : certificates) {
      EXPECT_LE(Describe(certificate)->not_before, now_);
      EXPECT_GT(Describe(certificate)->not_after, now_ + absl::Hours(24 * 30));
    }
  }
}

TEST_F(AuthorityTest, OneThatIsNotGoodByTheClockIsRefusedWithWhatToDo) {
  // As the first release made it while the clock was ahead; and one whose time is over.
  const absl::Duration day = absl::Hours(24);
  for (const auto& [from, to] : {std::pair(now_ + 10 * day, now_ + 100 * day), std::pair(now_ - 9 * day, now_ - day)}) {
    std::filesystem::remove_all(folder_ / "tls");
    std::filesystem::create_directories(folder_ / "tls");
    const std::string key = *MakeKey();
    ASSERT_FALSE(files::ReplaceFile(folder_ / "tls/ca.key.pem", key, 0600));
    ASSERT_FALSE(files::ReplaceFile(folder_ / "tls/ca.pem", *MakeAuthorityCertificate(key, from, to), 0600));
    const absl::Status refused = Authority::Open(folder_ / "tls", lifetimes_, now_).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("set the clock"));
    EXPECT_THAT(std::string(refused.message()), HasSubstr("remove that file"));
    std::filesystem::remove(folder_ / "tls/ca.pem");
    EXPECT_EQ(*PublicKeyOfCertificate(Open(now_).certificate()), *PublicKeyOfKey(key));
  }
}

TEST_F(AuthorityTest, ALostKeyIsNotReplacedInSilence) {
  Open(now_);
  std::filesystem::remove(folder_ / "tls/ca.key.pem");
  const auto opened = Authority::Open(folder_ / "tls", lifetimes_, now_);
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr("must join again"));
}

TEST_F(AuthorityTest, ADamagedKeyOrCertificateIsNamedWithTheWayOutAndStays) {
  Open(now_);
  for (const char* const name : {"tls/ca.key.pem", "tls/ca.pem"}) {
    const std::string path = folder_ / name, kept = *files::ReadFile(path, 10'000);
    for (const std::string& damaged : {std::string(), std::string(9000, 'x'), kept.substr(0, kept.size() / 2)}) {
      ASSERT_FALSE(files::ReplaceFile(path, damaged, 0600));
      const absl::Status refused = Authority::Open(folder_ / "tls", lifetimes_, now_).status();
      EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused << ": no wrong usage";
      for (const std::string& part : {path + ": ", std::string("sink-backup"), std::string("must join again")})
        EXPECT_THAT(std::string(refused.message()), HasSubstr(part));
      EXPECT_EQ(*files::ReadFile(path, 10'000), damaged);
    }
    ASSERT_FALSE(files::ReplaceFile(path, kept, 0600));
  }
  Open(now_);
}

TEST_F(AuthorityTest, TheServersAndTheAdminsDamagedFilesAreMadeAnew) {
  const Authority authority = Open(now_);
  for (const std::string& folder : {authority.server_folder(), authority.admin_folder()}) {
    for (const std::string& path : {KeyPath(folder), CertificatePath(folder)}) {
      ASSERT_FALSE(files::ReplaceFile(path, std::string(9000, 'x'), 0600));
      EXPECT_TRUE(authority.Refresh(now_).ok());
      EXPECT_TRUE(CheckCredential(folder, *ReadCredential(folder)).ok()) << path;
    }
    ASSERT_FALSE(files::ReplaceFile(KeyPath(folder), *MakeKey(), 0600));
    EXPECT_EQ(CheckCredential(folder, *ReadCredential(folder)).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(authority.Refresh(now_).ok());
    EXPECT_TRUE(CheckCredential(folder, *ReadCredential(folder)).ok());
  }
}

TEST_F(AuthorityTest, ClosesAFolderThatWasOpen) {
  std::filesystem::create_directories(folder_ / "tls");
  ASSERT_EQ(chmod((folder_ / "tls").c_str(), 0755), 0);
  Open(now_);
  struct stat info {};
  ASSERT_EQ(stat((folder_ / "tls").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(AuthorityTest, ACertificateNamesTheHostOfAWorker) {
  const Authority authority = Open(now_);
  const std::string key = *PublicKeyOfKey(*MakeKey());
  for (const std::string host : {"", "node-1.cluster", "10.0.0.7", "fe80::1", "node_1"}) {
    const auto issued = authority.Issue(key, "sink://worker/7", absl::Hours(2), now_, host);
    ASSERT_TRUE(issued.ok()) << issued.status();
    const auto claims = Describe(issued->certificate);
    EXPECT_EQ(claims->host, host);
    EXPECT_EQ(claims->uri, "sink://worker/7");
  }
}

TEST(Certificate, RefusesWhatIsDamagedOrOfAnotherKind) {
  const std::string request = *MakeRequest(*MakeKey());
  std::string forged = request;
  // Another key's signature under this one's public key.
  const std::string other = *MakeRequest(*MakeKey());
  forged.replace(forged.size() / 2, 40, other, other.size() / 2, 40);
  EXPECT_FALSE(PublicKeyOfRequest(forged).ok());
  for (const std::string& text : {std::string(), std::string("x"), request.substr(0, request.size() / 2)}) {
    EXPECT_EQ(PublicKeyOfRequest(text).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Describe(text).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(PublicKeyOfKey(text).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Credential, GoesThroughABundleUnharmed) {
  const Bundle bundle{.address = "head:7070",
                      .credential = {.authority = "-- ca\n", .certificate = "-- cert\n", .key = "-- key\n"}};
  const std::string text = EncodeBundle("sink-join", bundle);
  EXPECT_THAT(text, StartsWith("sink-join:"));
  const auto read = DecodeBundle("sink-join", "  " + text + "\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->address, bundle.address);
  EXPECT_EQ(read->credential.authority, bundle.credential.authority);
  EXPECT_EQ(read->credential.certificate, bundle.credential.certificate);
  EXPECT_EQ(read->credential.key, bundle.credential.key);
  EXPECT_EQ(read->credential.secret, "");
  for (const std::string& bad : {std::string(), text.substr(1), "sink-login:" + text.substr(10), text + "!"})
    EXPECT_EQ(DecodeBundle("sink-join", bad).status().code(), absl::StatusCode::kInvalidArgument);
}

// As functions here take getenv.
struct Environment {
  std::map<std::string, std::string> values;
  const char* operator()(const char* name) const {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : found->second.c_str();
  }
};

TEST(Credential, AProgramsTokenIsALineOrAFile) {
  testing::TempDir folder;
  Bundle bundle{
      .address = "head:7070",
      .credential = {.authority = "-- ca\n", .certificate = "-- cert\n", .key = "-- key\n", .secret = "ab12"}};
  const std::string text = EncodeBundle(kTokenBundle, bundle);
  Environment environment;
  const auto none = FindToken(environment);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_FALSE(none->has_value());
  environment.values = {{"SINK_TOKEN", text + "\n"}, {"SINK_CREDENTIALS", "/nowhere"}};
  const auto line = FindToken(environment);
  ASSERT_TRUE(line.ok() && line->has_value()) << line.status();
  EXPECT_EQ((*line)->address, "head:7070");
  EXPECT_EQ((*line)->credential.secret, "ab12");
  const std::string path = folder / "token";
  ASSERT_FALSE(files::ReplaceFile(path, text, 0600));
  environment.values = {{"SINK_TOKEN", ""}, {"SINK_CREDENTIALS", path}};
  const auto file = FindToken(environment);
  ASSERT_TRUE(file.ok() && file->has_value()) << file.status();
  EXPECT_EQ((*file)->credential.secret, "ab12");
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  EXPECT_EQ(FindToken(environment).status().code(), absl::StatusCode::kFailedPrecondition);
  environment.values = {{"SINK_TOKEN", "sink-token:!"}};
  EXPECT_EQ(FindToken(environment).status().code(), absl::StatusCode::kFailedPrecondition);
  for (const std::string& other : {std::string("/nowhere"), folder / ""}) {  // a client says that it is none
    environment.values = {{"SINK_CREDENTIALS", other}};
    EXPECT_TRUE(FindToken(environment).ok() && !FindToken(environment)->has_value()) << other;
  }
  // One of the first release has no secret; of other kinds none has.
  bundle.credential.secret.clear();
  EXPECT_EQ(DecodeBundle(kTokenBundle, EncodeBundle(kTokenBundle, bundle))->credential.secret, "");
  bundle.credential.secret = "ab12";
  EXPECT_FALSE(DecodeBundle(kJoinBundle, EncodeBundle(kJoinBundle, bundle)).ok());
}

TEST(OneWay, Sha256IsTheStandards) {
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-4's example
}

TEST(Credential, IsLookedForByTheAddress) {
  Environment getenv{{{"HOME", "/home/a"}}};
  std::map<std::string, std::string>& environment = getenv.values;
  EXPECT_EQ(CredentialPlace("head.example:7070", getenv), "/home/a/.config/sink/head.example_7070");
  EXPECT_EQ(CredentialPlace("localhost:7070", getenv), "/home/a/.config/sink/127.0.0.1_7070");
  EXPECT_EQ(CredentialPlace("[::1]:7070", getenv), "/home/a/.config/sink/127.0.0.1_7070");
  EXPECT_EQ(CredentialPlace("../../x:1", getenv), "/home/a/.config/sink/.._.._x_1");
  environment["XDG_CONFIG_HOME"] = "/x";
  EXPECT_EQ(CredentialPlace("head:7070", getenv), "/x/sink/head_7070");
  environment["SINK_CREDENTIALS"] = "/etc/sink/ci";
  EXPECT_EQ(CredentialPlace("head:7070", getenv), "/etc/sink/ci");
  environment.clear();
  EXPECT_EQ(CredentialPlace("head:7070", getenv), "");
}

TEST(Credential, ASecretFileThatAnybodyCanReadIsRefused) {
  testing::TempDir folder;
  const std::string path = folder / "token";
  ASSERT_FALSE(files::ReplaceFile(path, "sink-join:x", 0600));
  EXPECT_TRUE(ReadSecretFile(path).ok());
  ASSERT_EQ(chmod(path.c_str(), 0440), 0);  // as Kubernetes hands out secrets
  EXPECT_TRUE(ReadSecretFile(path).ok());
  ASSERT_EQ(chmod(path.c_str(), 0444), 0);
  EXPECT_EQ(ReadSecretFile(path).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(ReadSecretFile(folder / "fifo").status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace sink::identity
