// A request of a browser and the answer, apart from the server that carries them. Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sink::web {

struct Request {
  std::string method;
  std::string path;                                        // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::string host, origin, cookie, if_none_match;
  bool from_script = false;  // it has the header Sink-Page, which the script of another site may not send
  std::string from;          // host:port of the browser
  std::string body;

  // The first of that name; empty when there is none.
  std::string Get(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

// {"error": "..."} with the status of HTTP that is nearest.
Response ErrorResponse(const absl::Status& status);

// "a=1&b=x%20y" as pairs; '+' is a space. What is malformed is taken as it is.
std::vector<std::pair<std::string, std::string>> ParseQuery(absl::string_view text);

// The name that a browser was given is this machine's own, with a port or without: another one belongs to a site that
// had its name resolved to us, whose scripts would otherwise be of the same origin (DNS rebinding).
bool IsLoopbackHost(std::string_view host);

// A cookie goes to every port of a machine; this one has the port in its name, so that the pages of two coordinators,
// or of two tunnels, do not take each other's. `host` is one that IsLoopbackHost accepts.
std::string CookieName(std::string_view host);

// The value of a cookie in a Cookie header; empty when it is not there.
std::string CookieValue(absl::string_view header, absl::string_view name);

// Status line and headers, those of every answer included, up to and with the empty line. `length` < 0: until the
// connection ends.
std::string HeadOf(const Response& response, int64_t length);

}  // namespace sink::web
