// See http.h.
#include "coordinator/web/http.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "coordinator/web/json_text.h"

namespace sink::web {
namespace {

// Nothing from elsewhere, no script or style in the markup, in nobody's frame; and other origins read nothing of ours.
constexpr char kHeaders[] =
    "Content-Security-Policy: default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Connection: close\r\n";

const char* ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 421:
      return "Misdirected Request";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

int StatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// "127.0.0.1:7072" -> "127.0.0.1", "7072"; "[::1]" -> "[::1]", "".
std::pair<std::string_view, std::string_view> SplitHost(std::string_view host) {
  const size_t colon = host.find(':', host.starts_with("[") ? std::min(host.find(']'), host.size()) : 0);
  if (colon == std::string_view::npos) return {host, ""};
  return {host.substr(0, colon), host.substr(colon + 1)};
}

std::string Decode(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace

std::string Request::Get(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return "";
}

Response ErrorResponse(const absl::Status& status) {
  return {.status = StatusOf(status.code()),
          .headers = {{"Cache-Control", "no-store"}},
          .body = absl::StrCat("{\"error\":", Quoted(std::string(status.message())), "}")};
}

std::vector<std::pair<std::string, std::string>> ParseQuery(absl::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const absl::string_view piece : absl::StrSplit(text, '&', absl::SkipEmpty())) {
    const size_t equals = piece.find('=');
    pairs.emplace_back(Decode(piece.substr(0, equals)),
                       equals == absl::string_view::npos ? "" : Decode(piece.substr(equals + 1)));
  }
  return pairs;
}

bool IsLoopbackHost(std::string_view host) {
  const auto [name, port] = SplitHost(host);
  if (port.size() > 5 || !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return false;
  if (name == "[::1]" || name == "localhost") return true;
  in_addr v4;
  if (name.find_first_not_of("0123456789.") != std::string_view::npos) return false;
  return inet_pton(AF_INET, std::string(name).c_str(), &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

std::string CookieName(std::string_view host) {
  return absl::StrCat("sink_page_", std::string(SplitHost(host).second));
}

std::string CookieValue(absl::string_view header, absl::string_view name) {
  for (absl::string_view piece : absl::StrSplit(header, ';')) {
    piece = absl::StripLeadingAsciiWhitespace(piece);
    if (absl::ConsumePrefix(&piece, name) && absl::ConsumePrefix(&piece, "=")) return std::string(piece);
  }
  return "";
}

std::string HeadOf(const Response& response, int64_t length) {
  std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ", ReasonOf(response.status), "\r\n", kHeaders,
                                  "Content-Type: ", response.content_type, "\r\n");
  for (const auto& [name, value] : response.headers) absl::StrAppend(&head, name, ": ", value, "\r\n");
  if (length >= 0) absl::StrAppend(&head, "Content-Length: ", length, "\r\n");
  return head += "\r\n";
}

}  // namespace sink::web
