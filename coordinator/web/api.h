// What a page may ask for beyond the topics that it watches, and what it may do: each request is a call of core,
// checked as the RPC of the same meaning is. Owned by the server; any thread.
//
//   GET  /                         the page, and its other files by name
//   GET  /healthz                  200 as long as the process answers
//   GET  /readyz                   200 while the store can be read, else 503
//   GET  /login?token=T            makes a session of a one-time token
//   GET  /api/me                   {"may_change": bool}
//   GET  /api/study?sweep=NAME     GetStudyResponse
//   POST /api/cancel               CancelRequest -> CancelResponse
//   POST /api/retry                RetryRequest -> RetryResponse
//   POST /api/hold                 HoldWorkersRequest -> HoldWorkersResponse
//   POST /api/logout               ends the session
//
// Bodies are protobuf's JSON of proto/sink/v1/client.proto. A POST needs a session, and comes from a page of ours.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "coordinator/core/client_calls.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/service_time.h"
#include "coordinator/web/http.h"
#include "coordinator/web/logins.h"

namespace sink::web {

class Api {
 public:
  // What it is given outlives it.
  Api(JobQueries* queries, ClientCalls* clients, FailStop* fail_stop, Logins* logins, NowFn now);

  Response Handle(const Request& request);
  // Whether the request comes with the cookie of a session.
  bool MayChange(const Request& request) const;

 private:
  struct StaticFile {
    std::string_view text;
    std::string content_type, tag;
  };

  Response Answer(const Request& request);
  Response Post(const Request& request);
  Response File(const Request& request) const;
  Response LogIn(const Request& request);
  Response Ready() const;
  absl::StatusOr<std::string> Study(const std::string& sweep) const;
  absl::StatusOr<std::string> Act(const std::string& path, const std::string& body);

  JobQueries* const queries_;
  ClientCalls* const clients_;
  FailStop* const fail_stop_;
  Logins* const logins_;
  const NowFn now_;
  std::map<std::string, StaticFile> files_;  // by path
};

}  // namespace sink::web
