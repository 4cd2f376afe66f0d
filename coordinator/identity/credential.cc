// See credential.h.
#include "coordinator/identity/credential.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "coordinator/files/file_status.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/descriptor.h"
#include "proto/files/files.h"

namespace sink::identity {
namespace {

constexpr size_t kMaxFile = 64 * 1024;
constexpr mode_t kFolderMode = 0700, kFileMode = 0600;

// Reads a regular file none of whose `forbidden` permissions are given; a FIFO in its place does not block.
absl::StatusOr<std::string> ReadGuarded(const std::string& path, mode_t forbidden) {
  SINK_ASSIGN_OR_RETURN(const files::Fd fd, ToStatusOr(files::Open(path, O_RDONLY | O_NONBLOCK)));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return SystemStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is no file that can be read; move it away and bring the file back, or join again"));
  }
  if (geteuid() != 0 && info.st_uid != geteuid() && info.st_uid != 0) {
    return absl::FailedPreconditionError(absl::StrCat(path, " belongs to another user, who can change it"));
  }
  if ((info.st_mode & forbidden) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " can be read or changed by other users; make it yours alone: chmod 600 ", path));
  }
  return ToStatusOr(files::ReadRest(fd, path, kMaxFile));
}

}  // namespace

absl::Status DamagedFile(const std::string& path, const absl::Status& damage) {
  return absl::FailedPreconditionError(absl::StrCat(path, ": ", damage.message()));
}

std::string CertificatePath(const std::string& folder) { return absl::StrCat(folder, "/cert.pem"); }
std::string KeyPath(const std::string& folder) { return absl::StrCat(folder, "/key.pem"); }
std::string AuthorityPath(const std::string& folder) { return absl::StrCat(folder, "/ca.pem"); }

absl::StatusOr<Credential> ReadCredential(const std::string& folder) {
  Credential credential;
  SINK_ASSIGN_OR_RETURN(credential.certificate, ReadGuarded(CertificatePath(folder), 0022));
  SINK_ASSIGN_OR_RETURN(credential.authority, ReadGuarded(AuthorityPath(folder), 0022));
  SINK_ASSIGN_OR_RETURN(credential.key, ReadGuarded(KeyPath(folder), 0077));
  return credential;
}

absl::Status CheckCredential(const std::string& folder, const Credential& credential) {
  const auto own = PublicKeyOfKey(credential.key);
  const auto certified = PublicKeyOfCertificate(credential.certificate);
  const auto authority = PublicKeyOfCertificate(credential.authority);
  if (!own.ok()) return DamagedFile(KeyPath(folder), own.status());
  if (!certified.ok()) return DamagedFile(CertificatePath(folder), certified.status());
  if (!authority.ok()) return DamagedFile(AuthorityPath(folder), authority.status());
  if (*own == *certified) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(CertificatePath(folder), " is for another key than ", KeyPath(folder)));
}

absl::Status CloseFolder(const std::string& folder) {
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) return SystemStatus(errno, "look at", folder);
  if (info.st_uid == geteuid()) {
    return chmod(folder.c_str(), kFolderMode) == 0 ? absl::OkStatus() : SystemStatus(errno, "protect", folder);
  }
  if (info.st_uid == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      folder,
      " belongs to another user, who can change what is in it; give --data a folder of the user that runs this"));
}

absl::Status WriteCredential(const std::string& folder, const Credential& credential) {
  if (const auto failed = files::MakeFolders(folder, kFolderMode)) return ToStatus(failed);
  SINK_RETURN_IF_ERROR(CloseFolder(folder));
  if (const auto failed = files::ReplaceFile(KeyPath(folder), credential.key, kFileMode)) return ToStatus(failed);
  if (const auto failed = files::ReplaceFile(AuthorityPath(folder), credential.authority, kFileMode))
    return ToStatus(failed);
  return ReplaceCertificate(folder, credential.certificate);
}

absl::StatusOr<std::string> KeepKey(const std::string& folder) {
  auto kept = ReadGuarded(KeyPath(folder), 0077);
  if (!absl::IsNotFound(kept.status())) return kept;
  SINK_ASSIGN_OR_RETURN(std::string key, MakeKey());
  if (const auto failed = files::MakeFolders(folder, kFolderMode)) return ToStatus(failed);
  SINK_RETURN_IF_ERROR(CloseFolder(folder));
  if (const auto failed = files::ReplaceFile(KeyPath(folder), key, kFileMode)) return ToStatus(failed);
  return key;
}

absl::Status ReplaceCertificate(const std::string& folder, const std::string& certificate) {
  return ToStatus(files::ReplaceFile(CertificatePath(folder), certificate, kFileMode));
}

std::string EncodeBundle(absl::string_view kind, const Bundle& bundle) {
  const Credential& credential = bundle.credential;
  // None of them holds a zero.
  std::vector<absl::string_view> parts = {bundle.address, credential.authority, credential.certificate, credential.key};
  if (!credential.secret.empty()) parts.push_back(credential.secret);
  return absl::StrCat(kind, ":", absl::WebSafeBase64Escape(absl::StrJoin(parts, absl::string_view("\0", 1))));
}

absl::StatusOr<Bundle> DecodeBundle(absl::string_view kind, absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat("this is not a whole line that begins with ", kind, ":, as sinkctl prints it"));
  std::string bytes;
  if (!absl::ConsumePrefix(&text, kind) || !absl::ConsumePrefix(&text, ":") || text.size() > kMaxFile ||
      !absl::WebSafeBase64Unescape(text, &bytes))
    return bad;
  const std::vector<std::string> parts = absl::StrSplit(bytes, '\0');
  // A program's token of the first release has no secret.
  const bool has_secret = kind == kTokenBundle && parts.size() == 5;
  if (parts.size() != 4 && !has_secret) return bad;
  return Bundle{
      .address = parts[0],
      .credential = {
          .authority = parts[1], .certificate = parts[2], .key = parts[3], .secret = has_secret ? parts[4] : ""}};
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  if (path == "-") return ToStatusOr(files::ReadRest(files::Fd(dup(STDIN_FILENO)), "standard input", kMaxFile));
  // A group may read it: that is how Kubernetes hands out secrets.
  return ReadGuarded(path, 0027);
}

absl::StatusOr<std::optional<Bundle>> FindToken(absl::FunctionRef<const char*(const char*)> getenv) {
  const char* const line = getenv("SINK_TOKEN");
  const char* const file = getenv("SINK_CREDENTIALS");
  std::string where = "$SINK_TOKEN", text;
  if (line != nullptr && *line != '\0') {
    text = line;
  } else {
    struct stat info {};
    // A folder has a user's credential, and nothing at all is the client's to tell.
    if (file == nullptr || stat(file, &info) != 0 || S_ISDIR(info.st_mode)) return std::nullopt;
    where = file;
    SINK_ASSIGN_OR_RETURN(text, ReadSecretFile(where));
  }
  auto bundle = DecodeBundle(kTokenBundle, text);
  if (!bundle.ok()) return absl::FailedPreconditionError(absl::StrCat(where, ": ", bundle.status().message()));
  return *std::move(bundle);
}

const char* ProcessEnvironment(const char* name) { return ::getenv(name); }

std::string ConfigFolder(absl::FunctionRef<const char*(const char*)> getenv) {
  const char* config = getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config == '/') return absl::StrCat(config, "/sink");
  const char* home = getenv("HOME");
  return home != nullptr && *home == '/' ? absl::StrCat(home, "/.config/sink") : "";
}

std::string CredentialPlace(const std::string& address, absl::FunctionRef<const char*(const char*)> getenv) {
  const char* named = getenv("SINK_CREDENTIALS");
  if (named != nullptr && *named != '\0') return named;
  const std::string config = ConfigFolder(getenv);
  return config.empty() ? "" : absl::StrCat(config, "/", AddressFolder(address));
}

std::string NoCredentialAt(const std::string& place) {
  return absl::StrCat("there is no credential for it",
                      place.empty() ? ", and neither $HOME nor $SINK_CREDENTIALS says where one would be" : " in ",
                      place);
}

std::string AddressFolder(absl::string_view address) {
  const size_t colon = address.rfind(':');
  absl::string_view host = address.substr(0, colon);
  if (host == "localhost" || host == "[::1]") host = "127.0.0.1";
  std::string name = absl::StrCat(host, colon == absl::string_view::npos ? "" : address.substr(colon));
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') c = '_';
  }
  return name;
}

}  // namespace sink::identity
