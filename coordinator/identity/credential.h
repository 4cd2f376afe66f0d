// A credential: what a client shows and whom it trusts. On disk it is a folder of ca.pem, cert.pem and key.pem that
// nobody but its owner can read; or, as a bundle, one line of text, for files and pasted commands. Stateless functions;
// any thread.
#pragma once

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sink::identity {

// All three in PEM.
struct Credential {
  std::string authority;    // the certificate of the coordinator's authority
  std::string certificate;  // of the holder
  std::string key;          // the holder's, private
  std::string secret = "";  // of a program's token: shown with every call, after the handshake
};

// NOT_FOUND: nothing is there, or not yet all of it. FAILED_PRECONDITION: others could read or change it.
absl::StatusOr<Credential> ReadCredential(const std::string& folder);
// FAILED_PRECONDITION: one of the files of what was read there is damaged, which it names, or the certificate is for
// another key.
absl::Status CheckCredential(const std::string& folder, const Credential& credential);
// FAILED_PRECONDITION, with what certificate.h says of the content of a file.
absl::Status DamagedFile(const std::string& path, const absl::Status& damage);
// Makes the folder, 0700, and its files, 0600; the certificate comes last, so that a folder with one is whole. Replaces
// what is there.
absl::Status WriteCredential(const std::string& folder, const Credential& credential);
// The key of a credential that is yet to be had: made and stored at the first call, so that every try to get a
// certificate is for the same one.
absl::StatusOr<std::string> KeepKey(const std::string& folder);
// The certificate alone, for the same key, in one step.
absl::Status ReplaceCertificate(const std::string& folder, const std::string& certificate);

std::string CertificatePath(const std::string& folder);
std::string KeyPath(const std::string& folder);
std::string AuthorityPath(const std::string& folder);

// A credential together with where to use it.
struct Bundle {
  std::string address;  // host:port
  Credential credential;
};
// What the holder of a bundle may do with it: join as a worker, log in as a user, call as a program.
inline constexpr char kJoinBundle[] = "sink-join", kLogInBundle[] = "sink-login", kTokenBundle[] = "sink-token";
// "KIND:" and base64.
std::string EncodeBundle(absl::string_view kind, const Bundle& bundle);
// INVALID_ARGUMENT: not a bundle of this kind. White space around it does not matter.
absl::StatusOr<Bundle> DecodeBundle(absl::string_view kind, absl::string_view text);

// Closes a folder of ours to other users. FAILED_PRECONDITION: it is another user's, who could change what is in it;
// one of root's stays as it is.
absl::Status CloseFolder(const std::string& folder);

// A small file with a secret, such as a bundle, that its owner has written by hand: FAILED_PRECONDITION when anybody
// may read it, or others may write it. "-" is standard input.
absl::StatusOr<std::string> ReadSecretFile(const std::string& path);

// The program's token that the environment has: the line itself in $SINK_TOKEN, where a CI puts its secrets, else in
// the file that $SINK_CREDENTIALS names. Nothing when it has neither. FAILED_PRECONDITION: what is there is no token,
// or others can read it.
absl::StatusOr<std::optional<Bundle>> FindToken(absl::FunctionRef<const char*(const char*)> getenv);

// getenv, as the functions here take it.
const char* ProcessEnvironment(const char* name);
// Where the environment says that the credential for the coordinator at `address` is: $SINK_CREDENTIALS, else
// $XDG_CONFIG_HOME/sink/HOST_PORT, else ~/.config/sink/HOST_PORT. Empty when there is no home.
std::string CredentialPlace(const std::string& address, absl::FunctionRef<const char*(const char*)> getenv);
// What to tell people where nothing is at such a place, or there is none: "there is no credential for it ...".
std::string NoCredentialAt(const std::string& place);
// The folder "sink" of a person's configuration; empty when there is no home.
std::string ConfigFolder(absl::FunctionRef<const char*(const char*)> getenv);
// "127.0.0.1:7070" -> "127.0.0.1_7070"; "localhost" and "[::1]" are the same machine as 127.0.0.1.
std::string AddressFolder(absl::string_view address);

}  // namespace sink::identity
