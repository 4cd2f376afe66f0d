// Fuzzes what a browser, or somebody in its place, may write into the pieces of a request of the page beyond what the
// HTTP library reads (page_api_fuzz.cc has whole requests): the query, the cookie, the host, and the body of a change.
// Nothing crashes; a name that is accepted as this machine's own cannot end a header; what is quoted for an event stays
// one line; and a body that is accepted names jobs alone.
#include <google/protobuf/util/json_util.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "coordinator/service/validate.h"
#include "coordinator/web/http.h"
#include "coordinator/web/json_text.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

bool IsOneLine(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20) return false;
  return true;
}

template <typename Message>
void Body(const std::string& text) {
  Message message;
  if (!google::protobuf::util::JsonStringToMessage(text, &message).ok() || !sink::Validate(message).ok()) return;
  for (const std::string& id : message.job_ids()) Require(sink::IsId(id) || sink::IsJobPrefix(id));
  Require(IsOneLine(sink::web::ToJson(message)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      size_t decoded = 0;
      for (const auto& [name, value] : sink::web::ParseQuery(text)) decoded += name.size() + value.size();
      Require(decoded <= text.size());
      break;
    }
    case 1:
      if (sink::web::IsLoopbackHost(text)) {
        Require(text.size() < 32 && IsOneLine(text));
        const std::string cookie = sink::web::CookieName(text);
        Require(cookie.find_first_not_of("sink_page_0123456789") == std::string::npos);
        Require(sink::web::CookieValue("a=b; " + cookie + "=c", cookie) == "c");
      }
      break;
    case 2:
      Require(text.find(sink::web::CookieValue(text, "sink_page_7072")) != std::string::npos);
      break;
    case 3:
      Require(IsOneLine(sink::web::Quoted(text)));
      break;
    default:
      Body<sink::v1::CancelRequest>(text);
      Body<sink::v1::RetryRequest>(text);
  }
  return 0;
}
