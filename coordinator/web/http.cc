// See http.h.
#include "coordinator/web/http.h"

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
  if (host.starts_with("[::1]")) return host.size() == 5 || host[5] == ':';
  const std::string_view name = host.substr(0, host.find(':'));
  return name == "127.0.0.1" || name == "localhost";
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
