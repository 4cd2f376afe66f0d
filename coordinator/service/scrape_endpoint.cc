// See scrape_endpoint.h.
#include "coordinator/service/scrape_endpoint.h"

#include <civetweb.h>
#include <prometheus/text_serializer.h>
#include <zlib.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "coordinator/service/civetweb_use.h"
#include "coordinator/service/open_metrics.h"

namespace sink {
namespace {

// A request that stays unfinished holds a thread for a second and no longer, so that a scrape among six hundred of them
// waits for three or four: less than Prometheus' patience. What waits for a thread costs a place in the kernel's queue.
constexpr char kThreads[] = "128", kRequestTimeoutMs[] = "1000", kWaiting[] = "1024";
constexpr char kPlainType[] = "text/plain; version=0.0.4; charset=utf-8";

// In a time that tells nothing of where they differ.
bool Same(const std::string& a, const std::string& b) {
  unsigned difference = a.size() != b.size();
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

// The password of "Basic dXNlcjpwYXNzd29yZA=="; empty when there is none.
std::string PasswordOf(const std::string& authorization) {
  absl::string_view coded = authorization;
  std::string pair;
  if (!absl::StartsWithIgnoreCase(coded, "basic ")) return "";
  coded.remove_prefix(6);
  if (!absl::Base64Unescape(absl::StripAsciiWhitespace(coded), &pair)) return "";
  const size_t colon = pair.find(':');
  return colon == std::string::npos ? "" : pair.substr(colon + 1);
}

// As gzip does; `text` itself when that fails.
std::string Compressed(const std::string& text, bool* compressed) {
  constexpr int kGzip = 16 + MAX_WBITS, kMemory = 8;
  z_stream stream = {};
  *compressed = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) == Z_OK;
  if (!*compressed) return text;
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  *compressed = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return *compressed ? out : text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ScrapeEndpoint>> ScrapeEndpoint::Start(
    const std::string& address, const std::string& token, std::shared_ptr<prometheus::Collectable> collectable) {
  std::unique_ptr<ScrapeEndpoint> endpoint(new ScrapeEndpoint(token, std::move(collectable)));
  const char* options[] = {"listening_ports", address.c_str(),  "num_threads", kThreads, "request_timeout_ms",
                           kRequestTimeoutMs, "listen_backlog", kWaiting,      nullptr};
  const mg_callbacks callbacks = {};
  endpoint->context_ = mg_start(&callbacks, endpoint.get(), options);
  if (endpoint->context_ == nullptr) return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
  mg_server_port ports[1] = {};
  mg_get_server_ports(endpoint->context_, 1, ports);
  endpoint->port_ = ports[0].port;
  mg_set_request_handler(
      endpoint->context_, "/metrics",
      [](mg_connection* connection, void* self) {
        return static_cast<const ScrapeEndpoint*>(self)->Answer(connection);
      },
      endpoint.get());
  return endpoint;
}

ScrapeEndpoint::ScrapeEndpoint(std::string token, std::shared_ptr<prometheus::Collectable> collectable)
    : token_(std::move(token)), collectable_(std::move(collectable)) {}

int ScrapeEndpoint::Answer(mg_connection* connection) const {
  if (!token_.empty() && !Same(PasswordOf(HttpHeader(connection, "Authorization")), token_)) {
    mg_printf(connection,
              "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"Sink\"\r\nContent-Length: 0\r\n"
              "Connection: close\r\n\r\n");
    return 401;
  }
  const bool open = PrefersOpenMetrics(HttpHeader(connection, "Accept"));
  std::string text =
      open ? OpenMetricsText(collectable_->Collect()) : prometheus::TextSerializer().Serialize(collectable_->Collect());
  bool compressed = false;
  if (absl::StrContains(HttpHeader(connection, "Accept-Encoding"), "gzip")) text = Compressed(text, &compressed);
  mg_printf(connection,
            "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%sVary: Accept, Accept-Encoding\r\nContent-Length: %zu\r\n"
            "Connection: close\r\n\r\n",
            open ? kOpenMetricsType : kPlainType, compressed ? "Content-Encoding: gzip\r\n" : "", text.size());
  mg_write(connection, text.data(), text.size());
  return 200;
}

ScrapeEndpoint::~ScrapeEndpoint() {
  if (context_ != nullptr) StopHttp(context_, port_);
}

}  // namespace sink
