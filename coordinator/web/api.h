// What a page may ask for beyond the topics that it watches, and what it may do: each request is a call of an RPC's
// meaning, by the principal whose session the browser has, and asks what that RPC asks. Owned by the server; any
// thread.
//
//   GET  /                         the page; without a session, how to get one
//   GET  /NAME, /VERSION/NAME      its other files. The page names them with the version, which is a hash of them all:
//   so
//                                  a browser keeps them for good, and a page that it had needs no request for any
//   GET  /open#TOKEN               what a link of sinkctl page leads to: swaps the token for a session
//   GET  /healthz                  200 as long as the process answers
//   GET  /readyz                   200 while the store can be read and the port of gRPC answers, else 503
//   GET  /api/me                   {"name", "role", "may_change", "may_hold"}; {"name": ""} without a session
//   GET  /api/study?sweep=NAME     GetStudyResponse
//   POST /api/open                 the body is a link's token; the answer sets the cookie
//   POST /api/cancel               CancelRequest -> CancelResponse
//   POST /api/retry                RetryRequest -> RetryResponse
//   POST /api/hold                 HoldWorkersRequest -> {}
//   POST /api/priority             SetPriorityRequest -> SetPriorityResponse
//   POST /api/logout               ends the session
//
// Other bodies are protobuf's JSON of proto/sink/v1/client.proto. A POST comes from a script of this page: it has our
// Origin and the header Sink-Page. 403 is both: no session, and not of a role or an owner that may.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/service/access.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/job_changes.h"
#include "coordinator/service/page_sessions.h"
#include "coordinator/service/service_time.h"
#include "coordinator/web/http.h"

namespace sink::web {

inline constexpr size_t kMaxBody = 512 << 10;  // 10,000 job ids

// What a path that is no file's asks of the caller.
struct Route {
  const char* method;
  const char* path;
  const char* call;  // which call asks the same ("/sink.v1.ClientService/Cancel"); empty: a session; null: nothing
};
inline constexpr char kEventsPath[] = "/api/events", kCheckpointPath[] = "/api/checkpoint";  // web_server.h
// All of them: of any other nobody is admitted.
absl::Span<const Route> Routes();

class Api {
 public:
  // All of it outlives the Api.
  struct Parts {
    JobQueries* queries = nullptr;
    JobChanges* changes = nullptr;
    const Access* access = nullptr;
    PageSessions* sessions = nullptr;
    FailStop* fail_stop = nullptr;
    NowFn now;
    std::function<absl::Status()> port_answers;  // whether the port of gRPC does
  };

  explicit Api(Parts parts);

  Response Handle(const Request& request);
  // How large the body of a POST may be, whose body has not been read yet: an error where it would be refused anyway.
  absl::StatusOr<size_t> BodyLimit(const Request& request) const;
  // Who asks, when that one may make the call of the request's route. UNAUTHENTICATED: there is no session, now;
  // PERMISSION_DENIED; NOT_FOUND: no route asks for a session.
  absl::StatusOr<Actor> Admit(const Request& request) const;

 private:
  struct StaticFile {
    std::string text, content_type, tag;
    bool lasting = false;  // what is at this path never changes
  };

  absl::StatusOr<Actor> WhoAsks(const Request& request) const;
  void AddFiles();
  Response Get(const Request& request) const;
  Response Post(const Request& request);
  Response File(const Request& request) const;
  Response OpenSession(const Request& request);
  Response Ready() const;
  std::string Me(const Request& request) const;
  absl::StatusOr<std::string> Study(const Request& request) const;
  absl::StatusOr<std::string> Act(const Request& request);

  const Parts parts_;
  std::map<std::string, StaticFile> files_;  // by path
};

}  // namespace sink::web
