// See api.h.
#include "coordinator/web/api.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/policy.h"
#include "coordinator/service/validate.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/page_files.h"
#include "coordinator/web/study_of.h"
#include "proto/files/hash.h"

namespace sink::web {
namespace {

constexpr char kOpen[] = "/api/open", kLogout[] = "/api/logout";
constexpr size_t kMaxToken = 128;

constexpr Route kRoutes[] = {{"GET", "/healthz", nullptr},
                             {"GET", "/readyz", nullptr},
                             {"GET", "/api/me", nullptr},
                             {"GET", "/api/study", "/sink.v1.ClientService/GetStudy"},
                             {"GET", kEventsPath, "/sink.v1.ClientService/WatchSweep"},
                             {"GET", kCheckpointPath, "/sink.v1.ClientService/DownloadCheckpoint"},
                             {"POST", kOpen, nullptr},
                             {"POST", kLogout, ""},
                             {"POST", "/api/cancel", "/sink.v1.ClientService/Cancel"},
                             {"POST", "/api/retry", "/sink.v1.ClientService/Retry"},
                             {"POST", "/api/hold", "/sink.v1.ClientService/HoldWorkers"},
                             {"POST", "/api/priority", "/sink.v1.ClientService/SetPriority"}};

const Route* FindRoute(const std::string& path) {
  const auto* const found =
      std::find_if(std::begin(kRoutes), std::end(kRoutes), [&](const Route& route) { return path == route.path; });
  return found == std::end(kRoutes) ? nullptr : found;
}

// One of those that change something.
const Route* FindAction(const std::string& path) {
  const Route* const route = FindRoute(path);
  return route != nullptr && std::string_view(route->method) == "POST" ? route : nullptr;
}

std::string TypeOf(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  return name.ends_with(".svg") ? "image/svg+xml" : "text/plain; charset=utf-8";
}

Response Text(int status, std::string text) {
  return {.status = status,
          .content_type = "text/plain; charset=utf-8",
          .headers = {{"Cache-Control", "no-store"}},
          .body = std::move(text)};
}

Response Json(absl::StatusOr<std::string> json) {
  if (!json.ok()) return ErrorResponse(json.status());
  return {.headers = {{"Cache-Control", "no-store"}}, .body = *std::move(json)};
}

template <typename Message>
absl::StatusOr<Message> Parse(const std::string& body) {
  Message message;
  const auto parsed = google::protobuf::util::JsonStringToMessage(body, &message);
  if (!parsed.ok()) return absl::InvalidArgumentError(absl::StrCat("the body: ", parsed.message().ToString()));
  SINK_RETURN_IF_ERROR(Validate(message));
  return message;
}

}  // namespace

absl::Span<const Route> Routes() { return kRoutes; }

Api::Api(Parts parts) : parts_(std::move(parts)) { AddFiles(); }

// The documents are at their own names alone, for who may see which is looked at there; where they name another file
// (href="style.css") they do it with the version.
void Api::AddFiles() {
  files::Hasher all;
  for (const PageFile& file : PageFiles()) {
    all.Update(file.name);
    all.Update(file.text);
  }
  const std::string version = absl::StrCat("/", all.Digest(), "/");
  std::vector<std::pair<std::string, std::string>> named;
  for (const PageFile& file : PageFiles()) {
    const std::string name(file.name);
    named.emplace_back(absl::StrCat("=\"", name, "\""), absl::StrCat("=\"", version, name, "\""));
  }
  for (const PageFile& file : PageFiles()) {
    const bool document = file.name.ends_with(".html");
    StaticFile served{.text = std::string(file.text), .content_type = TypeOf(file.name)};
    if (document) served.text = absl::StrReplaceAll(served.text, named);
    served.tag = absl::StrCat("\"", files::Hash(served.text), "\"");
    files_.emplace(absl::StrCat("/", std::string(file.name)), served);
    if (document) continue;
    served.lasting = true;
    files_.emplace(absl::StrCat(version, std::string(file.name)), std::move(served));
  }
}

Response Api::Handle(const Request& request) {
  if (request.path == "/healthz") return Text(200, "ok\n");
  if (request.path == "/readyz") return Ready();
  if (!IsLoopbackHost(request.host)) {
    return Text(421, "This page is served at 127.0.0.1, and was asked for by another name.\n");
  }
  const bool action = FindAction(request.path) != nullptr;
  if (request.method == "POST" && action) return Post(request);
  if (!action && (request.method == "GET" || request.method == "HEAD")) return Get(request);
  Response refusal = Text(405, action ? "POST it\n" : "GET it\n");
  refusal.headers.emplace_back("Allow", action ? "POST" : "GET, HEAD");
  return refusal;
}

absl::StatusOr<Actor> Api::WhoAsks(const Request& request) const {
  const std::string secret = CookieValue(request.cookie, CookieName(request.host));
  SINK_ASSIGN_OR_RETURN(Caller caller, parts_.sessions->Find(secret, parts_.now().unix_ms));
  return Actor{.caller = std::move(caller), .from = request.from};
}

absl::StatusOr<Actor> Api::Admit(const Request& request) const {
  const Route* const route = FindRoute(request.path);
  if (route == nullptr || route->call == nullptr) return absl::NotFoundError("there is nothing of this name");
  SINK_ASSIGN_OR_RETURN(Actor actor, WhoAsks(request));
  if (*route->call != '\0') SINK_RETURN_IF_ERROR(parts_.access->CheckRole(actor, route->call));
  return actor;
}

// The cookie does not go along with a request that another site made the browser send. The other two checks are for
// browsers that do not know that, and for other programs of this machine, which are the same site by its rules.
absl::StatusOr<size_t> Api::BodyLimit(const Request& request) const {
  const Route* const action = FindAction(request.path);
  if (action == nullptr) return absl::NotFoundError("there is nothing of this name");
  if (!IsLoopbackHost(request.host) || !request.from_script ||
      request.origin != absl::StrCat("http://", request.host)) {
    return absl::PermissionDeniedError("this comes from another page");
  }
  if (request.path == kOpen) return kMaxToken;
  SINK_RETURN_IF_ERROR(Admit(request).status());
  return kMaxBody;
}

Response Api::Post(const Request& request) {
  if (const auto allowed = BodyLimit(request); !allowed.ok()) return ErrorResponse(allowed.status());
  if (request.path == kOpen) return OpenSession(request);
  if (request.path == kLogout) {
    parts_.sessions->End(CookieValue(request.cookie, CookieName(request.host)));
    return Json(std::string("{}"));
  }
  absl::StatusOr<std::string> done = Act(request);
  parts_.fail_stop->Report(done.status());
  return Json(std::move(done));
}

Response Api::OpenSession(const Request& request) {
  const auto secret = parts_.sessions->Open(request.body, parts_.now().unix_ms);
  if (!secret.ok()) return ErrorResponse(secret.status());
  Response response = Json(std::string("{}"));
  response.headers.emplace_back(
      "Set-Cookie", absl::StrCat(CookieName(request.host), "=", *secret, "; HttpOnly; SameSite=Strict; Path=/"));
  return response;
}

absl::StatusOr<std::string> Api::Act(const Request& request) {
  SINK_ASSIGN_OR_RETURN(const Actor actor, Admit(request));
  if (request.path == "/api/cancel") {
    SINK_ASSIGN_OR_RETURN(const auto message, Parse<v1::CancelRequest>(request.body));
    SINK_ASSIGN_OR_RETURN(const v1::CancelResponse response, parts_.changes->Cancel(actor, message));
    return ToJson(response);
  }
  if (request.path == "/api/retry") {
    SINK_ASSIGN_OR_RETURN(const auto message, Parse<v1::RetryRequest>(request.body));
    SINK_ASSIGN_OR_RETURN(const v1::RetryResponse response, parts_.changes->Retry(actor, message));
    return ToJson(response);
  }
  if (request.path == "/api/priority") {
    SINK_ASSIGN_OR_RETURN(const auto message, Parse<v1::SetPriorityRequest>(request.body));
    SINK_ASSIGN_OR_RETURN(const v1::SetPriorityResponse response, parts_.changes->SetPriority(actor, message));
    return ToJson(response);
  }
  SINK_ASSIGN_OR_RETURN(const auto message, Parse<v1::HoldWorkersRequest>(request.body));
  SINK_RETURN_IF_ERROR(parts_.changes->HoldWorkers(actor, message));
  return std::string("{}");
}

Response Api::Get(const Request& request) const {
  if (request.path == "/api/me") return Json(Me(request));
  if (request.path == "/api/study") return Json(Study(request));
  return File(request);
}

std::string Api::Me(const Request& request) const {
  const auto actor = WhoAsks(request);
  if (!actor.ok()) return R"({"name":""})";
  const Role role = actor->caller.role;
  const auto may = [role](absl::string_view call) { return MayCall(role, call) ? "true" : "false"; };
  return absl::StrCat("{\"name\":", Quoted(actor->caller.name), ",\"role\":\"", std::string(NameOf(role)),
                      "\",\"may_change\":", may("/sink.v1.ClientService/Cancel"),
                      ",\"may_hold\":", may("/sink.v1.ClientService/HoldWorkers"), "}");
}

// Style and scripts say nothing of anybody's jobs. The page itself is for those who may see some.
Response Api::File(const Request& request) const {
  std::string path = request.path;
  if (path == "/" || path == "/index.html") path = WhoAsks(request).ok() ? "/index.html" : "/open.html";
  if (path == "/open") path = "/open.html";
  const auto found = files_.find(path);
  if (found == files_.end()) return ErrorResponse(absl::NotFoundError("there is nothing of this name"));
  const StaticFile& file = found->second;
  Response response{
      .content_type = file.content_type,
      .headers = {{"Cache-Control", file.lasting ? "max-age=31536000, immutable" : "no-cache"}, {"ETag", file.tag}}};
  if (request.if_none_match == file.tag) {
    response.status = 304;
  } else {
    response.body = file.text;
  }
  return response;
}

Response Api::Ready() const {
  absl::Status status = parts_.fail_stop->failure();
  if (status.ok()) status = parts_.queries->ListSweeps().status();
  if (!status.ok()) return Text(503, "the store has failed; the coordinator's log says how\n");
  return parts_.port_answers().ok() ? Text(200, "ready\n")
                                    : Text(503, "the port of workers and of sinkctl does not answer; see the log\n");
}

absl::StatusOr<std::string> Api::Study(const Request& request) const {
  SINK_RETURN_IF_ERROR(Admit(request).status());
  const std::string sweep = request.Get("sweep");
  v1::GetStudyRequest asked;
  asked.set_name(sweep);
  SINK_RETURN_IF_ERROR(Validate(asked));
  SINK_ASSIGN_OR_RETURN(const v1::GetStudyResponse study, StudyOf(parts_.queries, sweep));
  return ToJson(study);
}

}  // namespace sink::web
