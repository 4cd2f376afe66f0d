// The pages of the coordinator over HTTP, for browsers on this machine or at the end of a tunnel to it. What they are
// is in api.h and topics.h; here are the connections: how many, how long, how large. Owned by the server; made and
// destroyed by one thread.
//
//   GET /api/events?topic=NAME&topic=NAME...   server-sent events, the frames of topic_hub.h
//   GET /api/checkpoint?job=ID&step=N          the checkpoint as a tar, for who may change things; every byte verified
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/core/client_calls.h"
#include "coordinator/core/job_queries.h"
#include "coordinator/service/checkpoint_repository.h"
#include "coordinator/service/disk_watch.h"
#include "coordinator/service/fail_stop.h"
#include "coordinator/service/service_time.h"
#include "coordinator/web/api.h"
#include "coordinator/web/logins.h"
#include "coordinator/web/topic_hub.h"

struct mg_connection;
struct mg_context;

namespace sink::web {

inline constexpr int kMaxPages = 208;  // that watch at once
inline constexpr int kMaxDownloads = 8;
inline constexpr size_t kMaxBody = 512 << 10;  // 10,000 job ids

class WebServer {
 public:
  // All of it outlives the server.
  struct Parts {
    JobQueries* queries = nullptr;
    ClientCalls* clients = nullptr;
    CheckpointRepository* checkpoints = nullptr;
    const DiskWatch* disk = nullptr;
    FailStop* fail_stop = nullptr;
    NowFn now;
    std::string login_file;  // gets the link that logs the next browser in, readable for its owner alone
  };

  // Serves when it returns. `host` is of this machine alone; port 0: the kernel chooses. UNAVAILABLE when it cannot
  // listen there.
  static absl::StatusOr<std::unique_ptr<WebServer>> Start(const std::string& host, int port, Parts parts);
  ~WebServer();

  int port() const { return port_; }
  std::string url() const;  // "http://127.0.0.1:7072/"

 private:
  WebServer(const std::string& host, Parts parts);
  static int Begin(mg_connection* connection);
  void Serve(mg_connection* connection);
  void ServeEvents(mg_connection* connection, const Request& request);
  void ServeCheckpoint(mg_connection* connection, const Request& request);
  void WriteLoginLink();

  const std::string host_;
  const Parts parts_;
  TopicHub hub_;
  std::atomic<int> port_ = 0;
  std::atomic<int> pages_ = 0, downloads_ = 0;
  Mutex login_mutex_;
  std::string login_token_ ABSL_GUARDED_BY(login_mutex_);
  Logins logins_;
  Api api_;
  mg_context* context_ = nullptr;
};

}  // namespace sink::web
