#include "coordinator/doctor/credential.h"

#include <filesystem>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/identity/authority.h"
#include "coordinator/identity/certificate.h"

namespace sink::doctor {
namespace {

std::string Day(absl::Time time) { return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone()); }

// A refusal to read a file of ours: its fix comes after the semicolon where it has one.
Finding Unreadable(const std::string& subject, const absl::Status& why) {
  const std::string message(why.message());
  const size_t fix = message.find("; ");
  if (fix != std::string::npos) return {Level::kFault, subject, message.substr(0, fix), message.substr(fix + 2)};
  return {Level::kFault, subject, message,
          "make it the file of the user that runs this (chown), or run this as its user"};
}

}  // namespace

Finding ExamineCredential(const std::string& subject, const identity::Credential& credential, absl::Time now,
                          const std::string& another) {
  const auto fault = [&](std::string what, std::string fix) {
    return Finding{Level::kFault, subject, std::move(what), std::move(fix)};
  };
  const auto claims = identity::Describe(credential.certificate);
  const auto certified = identity::PublicKeyOfCertificate(credential.certificate);
  const auto own = identity::PublicKeyOfKey(credential.key);
  for (const absl::Status& status : {claims.status(), certified.status(), own.status()})
    if (!status.ok()) return fault(std::string(status.message()), another);
  if (*certified != *own) return fault("the certificate is for another key than the one beside it", another);
  if (now < claims->not_before)
    return fault(
        absl::StrCat("the certificate ", identity::OutsideItsTime(*claims, now),
                     ": the clock of this machine is behind, or the coordinator's was ahead"),
        absl::StrCat("set the clock that is wrong (timedatectl set-ntp true); if it was the coordinator's: ", another));
  if (now >= claims->not_after)
    return fault(absl::StrCat("the certificate ended on ", Day(claims->not_after),
                              ", and by this machine's clock it is ", Day(now)),
                 absl::StrCat("set the clock if it is wrong (timedatectl set-ntp true); else ", another));
  if (identity::IsDue(*claims, now) && absl::StartsWith(claims->uri, "sink://token/"))
    return {Level::kHint, subject,
            absl::StrCat("ends on ", Day(claims->not_after), ": the token of a program is never renewed"), another};
  if (identity::IsDue(*claims, now))
    return {Level::kHint, subject,
            absl::StrCat("the certificate ends on ", Day(claims->not_after), " and has not been renewed in time"),
            absl::StrCat("it is renewed while its program runs and the coordinator answers; else ", another)};
  return {
      Level::kGood, subject,
      absl::StrCat(claims->uri.empty() ? "the coordinator's" : claims->uri, ", good until ", Day(claims->not_after)),
      ""};
}

Finding ExamineCredentialFolder(const std::string& subject, const std::string& folder, absl::Time now,
                                const std::string& another) {
  if (folder.empty())
    return {Level::kHint, subject, "this user has no home folder to keep one in",
            "set $HOME, or name a folder by $SINK_CREDENTIALS"};
  const auto credential = identity::ReadCredential(folder);
  if (credential.ok()) return ExamineCredential(subject, *credential, now, another);
  if (absl::IsNotFound(credential.status()))
    return {Level::kHint, subject, absl::StrCat("there is none in ", folder), another};
  return Unreadable(subject, credential.status());
}

std::vector<Finding> ExamineAuthority(const std::string& data, absl::Time now) {
  std::error_code error;
  if (!std::filesystem::exists(absl::StrCat(data, "/tls/ca.pem"), error)) return {};
  constexpr char kAgain[] = "start the coordinator again, which makes it anew";
  return {ExamineCredentialFolder("coordinator's certificate", absl::StrCat(data, "/tls/server"), now, kAgain),
          ExamineCredentialFolder("admin's certificate", absl::StrCat(data, "/tls/", identity::kAdmin), now, kAgain)};
}

}  // namespace sink::doctor
