// See api.h.
#include "coordinator/web/api.h"

#include <google/protobuf/util/json_util.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/convert.h"
#include "coordinator/service/study_document.h"
#include "coordinator/service/validate.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/page_files.h"
#include "proto/files/hash.h"

namespace sink::web {
namespace {

constexpr char kCookie[] = "sink_page";
constexpr size_t kBodyLogged = 200;

const std::vector<std::string>& Actions() {
  static const std::vector<std::string> kActions = {"/api/cancel", "/api/retry", "/api/hold", "/api/logout"};
  return kActions;
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

Api::Api(JobQueries* queries, ClientCalls* clients, FailStop* fail_stop, Logins* logins, NowFn now)
    : queries_(queries), clients_(clients), fail_stop_(fail_stop), logins_(logins), now_(std::move(now)) {
  for (const PageFile& file : PageFiles()) {
    const StaticFile served{file.text, TypeOf(file.name), absl::StrCat("\"", files::Hash(file.text), "\"")};
    files_.emplace(absl::StrCat("/", std::string(file.name)), served);
    if (file.name == "index.html") files_.emplace("/", served);
  }
}

Response Api::Handle(const Request& request) {
  if (request.path == "/healthz") return Text(200, "ok\n");
  if (request.path == "/readyz") return Ready();
  if (!IsLoopbackHost(request.host)) {
    return Text(421, "This page is served at 127.0.0.1, and was asked for by another name.\n");
  }
  return Answer(request);
}

bool Api::MayChange(const Request& request) const {
  const std::string secret = CookieValue(request.cookie, kCookie);
  return !secret.empty() && logins_->IsSession(secret, Logins::Clock::now());
}

Response Api::Answer(const Request& request) {
  const auto& actions = Actions();
  if (std::find(actions.begin(), actions.end(), request.path) != actions.end()) {
    if (request.method == "POST") return Post(request);
    Response refusal = Text(405, "POST it\n");
    refusal.headers.emplace_back("Allow", "POST");
    return refusal;
  }
  if (request.method != "GET" && request.method != "HEAD") {
    Response refusal = Text(405, "GET it\n");
    refusal.headers.emplace_back("Allow", "GET, HEAD");
    return refusal;
  }
  if (request.path == "/login") return LogIn(request);
  if (request.path == "/api/me")
    return Json(absl::StrCat("{\"may_change\":", MayChange(request) ? "true" : "false", "}"));
  if (request.path == "/api/study") return Json(Study(request.Get("sweep")));
  return File(request);
}

// The cookie does not go along with a request that another site made the browser send, and the other two checks are for
// browsers that do not know that, and for other programs of this machine, which are the same site by its rules.
Response Api::Post(const Request& request) {
  if (request.origin != absl::StrCat("http://", request.host)) {
    return ErrorResponse(absl::PermissionDeniedError("this comes from another page"));
  }
  if (!absl::StartsWith(request.content_type, "application/json")) {
    return ErrorResponse(absl::InvalidArgumentError("the body is not application/json"));
  }
  if (!MayChange(request)) {
    return ErrorResponse(absl::UnauthenticatedError(
        "this page only shows: to change something, open the link in the coordinator's folder, page.url"));
  }
  if (request.path == "/api/logout") {
    logins_->End(CookieValue(request.cookie, kCookie));
    return Json(std::string("{}"));
  }
  absl::StatusOr<std::string> done = Act(request.path, request.body);
  fail_stop_->Report(done.status());
  spdlog::info("page: {} {}: {}", request.path, Quoted(request.body.substr(0, kBodyLogged)), done.status().ToString());
  return Json(std::move(done));
}

absl::StatusOr<std::string> Api::Act(const std::string& path, const std::string& body) {
  if (path == "/api/cancel") {
    SINK_ASSIGN_OR_RETURN(const auto request, Parse<v1::CancelRequest>(body));
    SINK_ASSIGN_OR_RETURN(const CancelResult result, clients_->Cancel(FromProto(request), now_()));
    v1::CancelResponse response;
    response.set_cancelled(result.cancelled);
    response.set_requested(result.requested);
    response.set_kept(result.kept);
    return ToJson(response);
  }
  if (path == "/api/retry") {
    SINK_ASSIGN_OR_RETURN(const auto request, Parse<v1::RetryRequest>(body));
    SINK_ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                          clients_->Retry(FromProto(request), now_(), FromStep(request)));
    v1::RetryResponse response;
    for (const std::string& id : ids) response.add_job_ids(id);
    return ToJson(response);
  }
  SINK_ASSIGN_OR_RETURN(const auto request, Parse<v1::HoldWorkersRequest>(body));
  SINK_RETURN_IF_ERROR(clients_->HoldWorkers({request.names().begin(), request.names().end()},
                                             *ParseName<WorkerHold>(request.hold()), request.reason()));
  return std::string("{}");
}

Response Api::File(const Request& request) const {
  const auto found = files_.find(request.path);
  if (found == files_.end()) return ErrorResponse(absl::NotFoundError("there is nothing of this name"));
  const StaticFile& file = found->second;
  Response response{.content_type = file.content_type, .headers = {{"Cache-Control", "no-cache"}, {"ETag", file.tag}}};
  if (request.if_none_match == file.tag) {
    response.status = 304;
  } else {
    response.body = std::string(file.text);
  }
  return response;
}

Response Api::LogIn(const Request& request) {
  const std::string secret = logins_->Redeem(request.Get("token"), Logins::Clock::now());
  if (secret.empty()) {
    return Text(403,
                "This link is no longer good: each works once. The next one is in the coordinator's folder, "
                "in the file page.url.\n");
  }
  Response response = Text(303, "");
  response.headers.emplace_back("Location", "/");
  response.headers.emplace_back("Set-Cookie",
                                absl::StrCat(kCookie, "=", secret, "; HttpOnly; SameSite=Strict; Path=/"));
  return response;
}

Response Api::Ready() const {
  absl::Status status = fail_stop_->failure();
  if (status.ok()) status = queries_->ListSweeps().status();
  return status.ok() ? Text(200, "ready\n") : Text(503, absl::StrCat(std::string(status.message()), "\n"));
}

absl::StatusOr<std::string> Api::Study(const std::string& sweep) const {
  v1::GetStudyRequest request;
  request.set_name(sweep);
  SINK_RETURN_IF_ERROR(Validate(request));
  SINK_ASSIGN_OR_RETURN(const std::string stored, queries_->GetStudy(sweep));
  v1::GetStudyResponse response;
  if (stored.empty()) {
    std::vector<std::pair<Membership, std::string>> places;
    SINK_RETURN_IF_ERROR(queries_
                             ->VisitSweep(sweep,
                                          [&places](const Job& job) {
                                            for (const Membership& place : job.sweeps)
                                              places.emplace_back(place, job.id);
                                          })
                             .status());
    StudyFromLabels(std::move(places), &response);
  } else {
    SINK_RETURN_IF_ERROR(DecodeStudy(stored, &response));
  }
  response.set_sweep(sweep);
  return ToJson(response);
}

}  // namespace sink::web
