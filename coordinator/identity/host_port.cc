// See host_port.h.
#include "coordinator/identity/host_port.h"

#include <arpa/inet.h>

#include <algorithm>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace sink::identity {
namespace {

constexpr int kMostPort = 65535;
constexpr char kDefaultPort[] = "7070";
constexpr char kExample[] = "host:port, e.g. 127.0.0.1:7070";

struct Fault {
  std::string why, instead;  // why may be empty
};

// With its zone, where it has one.
bool IsIpv6(const std::string& text) {
  in6_addr address;
  return inet_pton(AF_INET6, text.substr(0, text.find('%')).c_str(), &address) == 1;
}

bool IsNumber(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// What is left without that which belongs to a URL, or came with a copy from elsewhere. `why`: the first that was
// there.
std::string Bare(const std::string& text, std::string* why) {
  std::string bare = text;
  const auto take = [&](std::string rest, const char* not_there) {
    if (rest != bare && why->empty()) *why = not_there;
    bare = std::move(rest);
  };
  std::string dense = bare;
  dense.erase(std::remove_if(dense.begin(), dense.end(), absl::ascii_isspace), dense.end());
  take(std::move(dense), "it has no blanks");
  if (const size_t scheme = bare.find("://"); scheme != std::string::npos)
    take(bare.substr(scheme + 3), "it has no scheme");
  take(bare.substr(0, bare.find('/')), "it has no path");
  if (const size_t user = bare.rfind('@'); user != std::string::npos) take(bare.substr(user + 1), "it has no user");
  return bare;
}

std::variant<HostPort, Fault> Judge(const std::string& text, int least_port) {
  std::string why;
  if (const std::string bare = Bare(text, &why); !why.empty()) {
    const auto rest = Judge(bare, least_port);
    const Fault* const more = std::get_if<Fault>(&rest);
    return Fault{why, more == nullptr ? bare : more->instead};
  }
  const size_t colon = text.rfind(':');
  const std::string host = text.substr(0, colon);
  // "::1:7070" may be either; who writes it means a port.
  if (colon != std::string::npos && IsIpv6(host))
    return Fault{"an IPv6 address stands in brackets", absl::StrCat("[", host, "]", text.substr(colon))};
  if (IsIpv6(text)) return Fault{"an IPv6 address stands in brackets", absl::StrCat("[", text, "]:", kDefaultPort)};
  if (IsNumber(text)) return Fault{"the host is missing", absl::StrCat("host:port, e.g. 127.0.0.1:", text)};
  if (!text.empty() && (colon == std::string::npos || (absl::StartsWith(text, "[") && absl::EndsWith(text, "]"))))
    return Fault{"the port is missing", absl::StrCat("host:port, e.g. ", text, ":", kDefaultPort)};
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const std::string inner = brackets ? host.substr(1, host.size() - 2) : host;
  // Of the characters of an IPv6 address only what stands in brackets has any.
  if (brackets ? !IsIpv6(inner) : inner.empty() || inner.find_first_of("[]:") != std::string::npos)
    return Fault{"", kExample};
  HostPort parsed{.host = inner};
  const std::string port = text.substr(colon + 1);
  if (!IsNumber(port) || !absl::SimpleAtoi(port, &parsed.port) || parsed.port < least_port || parsed.port > kMostPort)
    return Fault{absl::StrCat("a port is a number from ", least_port, " to ", kMostPort),
                 absl::StrCat("host:port, e.g. ", host, ":", kDefaultPort)};
  return parsed;
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(const std::string& text, absl::string_view what, int least_port) {
  std::variant<HostPort, Fault> judged = Judge(text, least_port);
  if (auto* parsed = std::get_if<HostPort>(&judged)) return *std::move(parsed);
  const Fault& fault = std::get<Fault>(judged);
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not ", what, fault.why.empty() ? "" : ": ",
                                                 fault.why, "; write ", fault.instead));
}

std::string HostIn(const std::string& text) {
  std::string ignored;
  const std::string bare = Bare(text, &ignored);
  const auto judged = Judge(bare, 0);
  if (const auto* parsed = std::get_if<HostPort>(&judged)) return parsed->host;
  if (absl::StartsWith(bare, "[") && absl::EndsWith(bare, "]")) return bare.substr(1, bare.size() - 2);
  return bare;
}

}  // namespace sink::identity
