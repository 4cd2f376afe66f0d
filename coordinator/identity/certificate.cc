// See certificate.h.
#include "coordinator/identity/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"

namespace sink::identity {
namespace {

template <auto Function>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    Function(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Request = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using Cert = std::unique_ptr<X509, Free<X509_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
using Period = std::unique_ptr<PKEY_USAGE_PERIOD, Free<PKEY_USAGE_PERIOD_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;

absl::Status Damaged(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat(what, " is damaged or of another kind"));
}
// OpenSSL's refusals of sound arguments: out of memory, or no random numbers.
absl::Status Refused(const char* doing) { return absl::InternalError(absl::StrCat("OpenSSL cannot ", doing)); }

Bio Source(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

template <typename Write>
absl::StatusOr<std::string> Text(Write write) {
  const Bio memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || write(memory.get()) != 1) return Refused("write PEM");
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

// No password: without this, OpenSSL would ask for one on the terminal.
int NoPassword(char*, int, int, void*) { return 0; }

absl::StatusOr<Key> ReadKey(const std::string& text) {
  Key key(PEM_read_bio_PrivateKey(Source(text).get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) return Damaged("the private key");
  return key;
}

absl::StatusOr<Cert> ReadCertificate(const std::string& text) {
  Cert certificate(PEM_read_bio_X509(Source(text).get(), nullptr, NoPassword, nullptr));
  if (certificate == nullptr) return Damaged("the certificate");
  return certificate;
}

bool IsP256(const EVP_PKEY* key) {
  char group[64] = {};
  return key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 && std::string(group) == "prime256v1";
}

absl::StatusOr<std::string> PublicText(EVP_PKEY* key) {
  if (!IsP256(key)) return absl::InvalidArgumentError("the key is not an ECDSA key on P-256");
  return Text([key](BIO* out) { return PEM_write_bio_PUBKEY(out, key); });
}

bool Add(X509* certificate, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetSerial(X509* certificate, const std::string& hex) {
  BIGNUM* parsed = nullptr;
  if (BN_hex2bn(&parsed, hex.c_str()) != static_cast<int>(hex.size())) return false;
  const Number number(parsed);
  return BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetName(X509_NAME* name, const std::string& common_name) {
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1;
}

bool SetTimes(X509* certificate, absl::Time not_before, absl::Time not_after) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(not_before)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(not_after)) != nullptr;
}

// As the time from when the key is used, which nothing checks: not_before is long before.
bool SetIssued(X509* certificate, const std::optional<absl::Time>& issued) {
  if (!issued) return true;
  const Period period(PKEY_USAGE_PERIOD_new());
  if (period == nullptr) return false;
  period->notBefore = ASN1_GENERALIZEDTIME_set(nullptr, absl::ToTimeT(*issued));
  return period->notBefore != nullptr && X509_add1_ext_i2d(certificate, NID_private_key_usage_period, period.get(),
                                                           /*crit=*/0, X509V3_ADD_DEFAULT) == 1;
}

absl::StatusOr<absl::Time> ReadTime(const ASN1_TIME* time) {
  tm fields = {};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return Damaged("the certificate's time");
  return absl::FromTM(fields, absl::UTCTimeZone());
}

absl::StatusOr<std::string> Sign(X509* certificate, EVP_PKEY* key) {
  if (X509_sign(certificate, key, EVP_sha256()) == 0) return Refused("sign a certificate");
  return Text([certificate](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}

}  // namespace

absl::StatusOr<std::string> MakeKey() {
  const Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return Refused("make a key");
  return Text([&key](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

absl::StatusOr<std::string> PublicKeyOfKey(const std::string& key) {
  SINK_ASSIGN_OR_RETURN(const Key read, ReadKey(key));
  return PublicText(read.get());
}

absl::StatusOr<std::string> PublicKeyOfCertificate(const std::string& certificate) {
  SINK_ASSIGN_OR_RETURN(const Cert read, ReadCertificate(certificate));
  return PublicText(X509_get0_pubkey(read.get()));
}

absl::StatusOr<std::string> PublicKeyOfRequest(const std::string& request) {
  const Request read(PEM_read_bio_X509_REQ(Source(request).get(), nullptr, NoPassword, nullptr));
  if (read == nullptr) return Damaged("the signing request");
  EVP_PKEY* const key = X509_REQ_get0_pubkey(read.get());
  SINK_ASSIGN_OR_RETURN(std::string text, PublicText(key));
  if (X509_REQ_verify(read.get(), key) != 1) return Damaged("the signing request");
  return text;
}

absl::StatusOr<std::string> MakeRequest(const std::string& key) {
  SINK_ASSIGN_OR_RETURN(const Key read, ReadKey(key));
  const Request request(X509_REQ_new());
  if (request == nullptr || X509_REQ_set_pubkey(request.get(), read.get()) != 1 ||
      X509_REQ_sign(request.get(), read.get(), EVP_sha256()) == 0)
    return Refused("sign a request");
  return Text([&request](BIO* out) { return PEM_write_bio_X509_REQ(out, request.get()); });
}

absl::StatusOr<std::string> MakeAuthorityCertificate(const std::string& key, absl::Time not_before,
                                                     absl::Time not_after) {
  SINK_ASSIGN_OR_RETURN(const Key read, ReadKey(key));
  const Cert certificate(X509_new());
  X509* const c = certificate.get();
  const bool made = c != nullptr && X509_set_version(c, X509_VERSION_3) == 1 && SetSerial(c, "01") &&
                    SetName(X509_get_subject_name(c), "Sink coordinator's authority") &&
                    X509_set_issuer_name(c, X509_get_subject_name(c)) == 1 && SetTimes(c, not_before, not_after) &&
                    X509_set_pubkey(c, read.get()) == 1 &&
                    Add(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    Add(c, c, NID_key_usage, "critical,keyCertSign") && Add(c, c, NID_subject_key_identifier, "hash");
  if (!made) return Refused("make a certificate");
  return Sign(c, read.get());
}

absl::StatusOr<std::string> Issue(const std::string& authority_key, const std::string& authority_certificate,
                                  const std::string& public_key, const Claims& claims) {
  SINK_ASSIGN_OR_RETURN(const Key signer, ReadKey(authority_key));
  SINK_ASSIGN_OR_RETURN(const Cert issuer, ReadCertificate(authority_certificate));
  const Key subject(PEM_read_bio_PUBKEY(Source(public_key).get(), nullptr, NoPassword, nullptr));
  if (!IsP256(subject.get())) return Damaged("the public key");
  const bool server = claims.use == Use::kServer;
  std::string other_name = server ? absl::StrCat("DNS:", kServerName) : absl::StrCat("URI:", claims.uri);
  if (!claims.host.empty()) absl::StrAppend(&other_name, ",DNS:", claims.host);
  const Cert certificate(X509_new());
  X509* const c = certificate.get();
  const bool made = c != nullptr && X509_set_version(c, X509_VERSION_3) == 1 && SetSerial(c, claims.serial) &&
                    SetName(X509_get_subject_name(c), server ? "Sink coordinator" : claims.serial) &&
                    X509_set_issuer_name(c, X509_get_subject_name(issuer.get())) == 1 &&
                    SetTimes(c, claims.not_before, claims.not_after) && SetIssued(c, claims.issued) &&
                    X509_set_pubkey(c, subject.get()) == 1 &&
                    Add(c, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
                    Add(c, issuer.get(), NID_key_usage, "critical,digitalSignature") &&
                    // Who may call may not serve: a worker cannot pass for the coordinator.
                    Add(c, issuer.get(), NID_ext_key_usage, server ? "serverAuth" : "clientAuth") &&
                    Add(c, issuer.get(), NID_subject_alt_name, other_name.c_str()) &&
                    Add(c, issuer.get(), NID_authority_key_identifier, "keyid");
  if (!made) return Refused("make a certificate");
  return Sign(c, signer.get());
}

absl::StatusOr<Claims> Describe(const std::string& certificate) {
  SINK_ASSIGN_OR_RETURN(const Cert read, ReadCertificate(certificate));
  Claims claims;
  SINK_ASSIGN_OR_RETURN(claims.not_before, ReadTime(X509_get0_notBefore(read.get())));
  SINK_ASSIGN_OR_RETURN(claims.not_after, ReadTime(X509_get0_notAfter(read.get())));
  const Period used(
      static_cast<PKEY_USAGE_PERIOD*>(X509_get_ext_d2i(read.get(), NID_private_key_usage_period, nullptr, nullptr)));
  if (used != nullptr && used->notBefore != nullptr) {
    SINK_ASSIGN_OR_RETURN(claims.issued, ReadTime(used->notBefore));
  }
  const Number serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(read.get()), nullptr));
  const std::unique_ptr<char, Free<[](char* text) { OPENSSL_free(text); }>> hex(BN_bn2hex(serial.get()));
  if (hex == nullptr) return Damaged("the certificate's serial number");
  const std::string digits = absl::AsciiStrToLower(hex.get());
  claims.serial = std::string(digits.size() < 32 ? 32 - digits.size() : 0, '0') + digits;
  claims.use = (X509_get_extended_key_usage(read.get()) & XKU_SSL_SERVER) != 0 ? Use::kServer : Use::kClient;
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(read.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI && name->type != GEN_DNS) continue;
    const ASN1_STRING* text = name->type == GEN_URI ? name->d.uniformResourceIdentifier : name->d.dNSName;
    (name->type == GEN_URI ? claims.uri : claims.host)
        .assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                static_cast<size_t>(ASN1_STRING_length(text)));
  }
  return claims;
}

std::string OutsideItsTime(const Claims& claims, absl::Time now) {
  if (now >= claims.not_before && now < claims.not_after) return "";
  const auto date = [](absl::Time time) { return absl::FormatTime("%Y-%m-%d %H:%M", time, absl::UTCTimeZone()); };
  return absl::StrCat("is good from ", date(claims.not_before), " to ", date(claims.not_after),
                      " (UTC), and by this machine's clock it is ", date(now));
}

}  // namespace sink::identity
