// The pages of the coordinator over HTTP, for browsers on this machine or at the end of a tunnel to it. What they are
// is in api.h and topics.h; here are the connections: how many, how long, how large. Owned by the server; made and
// destroyed by one thread.
//
//   GET /api/events?topic=NAME&topic=NAME...   server-sent events, the frames of topic_hub.h; "out" when the
//                                              session has ended, or its owner may no longer read
//   GET /api/checkpoint?job=ID&step=N          the checkpoint as a tar, for who may download it; every byte verified
//
// The HTTP library reads requests: at most 16 KiB of head, within `patience` altogether; of its headers the first 64.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/service/checkpoint_guard.h"
#include "coordinator/service/disk_watch.h"
#include "coordinator/web/api.h"
#include "coordinator/web/topic_hub.h"

struct mg_connection;
struct mg_context;

namespace sink::web {

inline constexpr int kMaxPages = 208;  // that watch at once
inline constexpr int kMaxDownloads = 8;

class WebServer {
 public:
  // All of it outlives the server.
  struct Parts {
    Api::Parts api;  // `sessions` is told where the page is
    CheckpointGuard* guard = nullptr;
    const DiskWatch* disk = nullptr;
    absl::Duration patience = absl::Seconds(5);  // with a browser that sends or takes nothing
  };

  // Serves when it returns. `host` is of this machine alone; port 0: the kernel chooses. UNAVAILABLE when it cannot
  // listen there.
  static absl::StatusOr<std::unique_ptr<WebServer>> Start(const std::string& host, int port, Parts parts);
  ~WebServer();

  std::string address() const;  // "127.0.0.1:7072"

 private:
  WebServer(const std::string& host, Parts parts);
  static int Begin(mg_connection* connection);
  void Serve(mg_connection* connection);
  void ServeEvents(mg_connection* connection, const Request& request);
  void ServeCheckpoint(mg_connection* connection, const Request& request);
  bool ReadBody(mg_connection* connection, Request* request, Response* response) const;

  const std::string host_;
  const Parts parts_;
  TopicHub hub_;
  std::atomic<int> port_ = 0;
  std::atomic<int> pages_ = 0, downloads_ = 0;
  Api api_;
  mg_context* context_ = nullptr;
};

}  // namespace sink::web
