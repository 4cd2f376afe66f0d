// See web_server.h.
#include "coordinator/web/web_server.h"

#include <civetweb.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/service/civetweb_use.h"
#include "coordinator/service/opened_checkpoint.h"
#include "coordinator/service/validate.h"
#include "coordinator/web/tar.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

constexpr std::chrono::milliseconds kUpdateInterval{1000};
constexpr std::chrono::milliseconds kLook{1000};     // between looks whether a session still counts
constexpr std::chrono::milliseconds kPulse{10'000};  // between signs of life, by which we see that a page has gone
constexpr char kThreads[] = "256";                   // kMaxPages, kMaxDownloads and some for short requests
constexpr char kMaxHead[] = "16384";

class Place {
 public:
  Place(std::atomic<int>* taken, int limit) : taken_(taken), free_(++*taken <= limit) {}
  ~Place() { --*taken_; }
  bool free() const { return free_; }

 private:
  std::atomic<int>* const taken_;
  const bool free_;
};

bool Write(mg_connection* connection, std::string_view bytes) {
  return bytes.empty() || mg_write(connection, bytes.data(), bytes.size()) == static_cast<int>(bytes.size());
}

// In one call of the kernel: of hundreds of pages, each has news of several topics at once.
bool WriteFrames(mg_connection* connection, const std::vector<Frame>& frames) {
  if (frames.size() == 1) return Write(connection, *frames.front());
  std::string all;
  for (const Frame& frame : frames) all += *frame;
  return Write(connection, all);
}

void Send(mg_connection* connection, const Request& request, const Response& response) {
  const bool with_body = request.method != "HEAD" && response.status != 304;
  if (Write(connection, HeadOf(response, static_cast<int64_t>(response.body.size()))) && with_body)
    Write(connection, response.body);
}

Request RequestOf(const mg_connection* connection) {
  const mg_request_info& info = *mg_get_request_info(connection);
  Request request;
  request.method = info.request_method;
  request.path = info.local_uri == nullptr ? "" : info.local_uri;
  if (info.query_string != nullptr) request.query = ParseQuery(info.query_string);
  request.host = HttpHeader(connection, "Host");
  request.origin = HttpHeader(connection, "Origin");
  request.cookie = HttpHeader(connection, "Cookie");
  request.if_none_match = HttpHeader(connection, "If-None-Match");
  request.from_script = mg_get_header(connection, "Sink-Page") != nullptr;
  request.from = absl::StrCat(info.remote_addr, ":", info.remote_port);
  return request;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WebServer>> WebServer::Start(const std::string& host, int port, Parts parts) {
  auto server = std::unique_ptr<WebServer>(new WebServer(host, std::move(parts)));
  const std::string listen =
      absl::StrCat(absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host, ":", port);
  const std::string patience = absl::StrCat(absl::ToInt64Milliseconds(server->parts_.patience));
  const std::pair<const char*, const char*> settings[] = {{"listening_ports", listen.c_str()},
                                                          {"num_threads", kThreads},
                                                          {"request_timeout_ms", patience.c_str()},
                                                          {"max_request_size", kMaxHead},
                                                          {"enable_keep_alive", "no"}};
  std::vector<const char*> options;
  for (const auto& [name, value] : settings) options.insert(options.end(), {name, value});
  options.push_back(nullptr);
  mg_callbacks callbacks = {};
  callbacks.begin_request = &WebServer::Begin;
  callbacks.log_message = [](const mg_connection*, const char* message) {
    spdlog::debug("page: {}", message);
    return 1;
  };
  server->context_ = mg_start(&callbacks, server.get(), options.data());
  if (server->context_ == nullptr) return absl::UnavailableError(absl::StrCat("cannot listen on ", listen));
  mg_server_port bound = {};
  if (mg_get_server_ports(server->context_, 1, &bound) != 1)
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen));
  server->port_ = bound.port;
  server->parts_.api.sessions->SetUrl(absl::StrCat("http://", server->address(), "/"));
  return server;
}

WebServer::WebServer(const std::string& host, Parts parts)
    : host_(host == "localhost" ? "127.0.0.1" : host),
      parts_(std::move(parts)),
      hub_([sources = TopicSources{parts_.api.queries, parts_.disk, parts_.api.now}](
               const std::string& name) { return MakeTopic(sources, name); },
           &parts_.api.queries->changes(), kUpdateInterval),
      api_(parts_.api) {}

WebServer::~WebServer() {
  hub_.Close();
  if (context_ == nullptr) return;
  parts_.api.sessions->SetUrl("");
  StopHttp(context_, port_);
}

std::string WebServer::address() const {
  return absl::StrCat(absl::StrContains(host_, ':') ? absl::StrCat("[", host_, "]") : host_, ":", port_.load());
}

int WebServer::Begin(mg_connection* connection) {
  static_cast<WebServer*>(mg_get_request_info(connection)->user_data)->Serve(connection);
  return 200;  // for a log that is not kept
}

void WebServer::Serve(mg_connection* connection) {
  Request request = RequestOf(connection);
  Response response;
  const bool stream = request.path == kEventsPath || request.path == kCheckpointPath;
  if (stream && request.method == "GET" && IsLoopbackHost(request.host)) {
    return request.path == kEventsPath ? ServeEvents(connection, request) : ServeCheckpoint(connection, request);
  }
  if (request.method != "POST" || ReadBody(connection, &request, &response)) response = api_.Handle(request);
  Send(connection, request, response);
}

// False, with the refusal in *response, for a body that nobody asked for, that is too large, or that comes too slowly.
bool WebServer::ReadBody(mg_connection* connection, Request* request, Response* response) const {
  const auto refuse = [response](const absl::Status& status, int code) {
    *response = ErrorResponse(status);
    if (code != 0) response->status = code;
    return false;
  };
  const auto limit = api_.BodyLimit(*request);
  if (!limit.ok()) return refuse(limit.status(), 0);
  const bool told = mg_get_header(connection, "Content-Length") != nullptr;
  const long long length = told ? mg_get_request_info(connection)->content_length : -1;
  if (length < 0) return refuse(absl::InvalidArgumentError("the body has no length"), 411);
  if (static_cast<unsigned long long>(length) > *limit)
    return refuse(absl::InvalidArgumentError("the body is too large"), 413);
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(parts_.patience);
  request->body.resize(static_cast<size_t>(length));
  for (size_t read = 0; read < request->body.size();) {
    const int n = mg_read(connection, request->body.data() + read, request->body.size() - read);
    if (n <= 0 || std::chrono::steady_clock::now() > deadline)
      return refuse(absl::InvalidArgumentError("the body ends early, or comes too slowly"), 0);
    read += static_cast<size_t>(n);
  }
  return true;
}

void WebServer::ServeEvents(mg_connection* connection, const Request& request) {
  if (const auto actor = api_.Admit(request); !actor.ok()) {
    return Send(connection, request, ErrorResponse(actor.status()));
  }
  const Place place(&pages_, kMaxPages);
  if (!place.free()) {
    return Send(connection, request,
                ErrorResponse(absl::ResourceExhaustedError("too many pages are open; close some")));
  }
  std::vector<std::string> topics;
  for (const auto& [name, value] : request.query)
    if (name == "topic") topics.push_back(value);
  const auto watch = hub_.Subscribe(std::move(topics));
  if (!watch.ok()) return Send(connection, request, ErrorResponse(watch.status()));
  Response head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-store"}};
  if (!Write(connection, HeadOf(head, -1)) || !Write(connection, "retry: 2000\n\n")) return;
  auto told = std::chrono::steady_clock::now();
  while (!hub_.closed()) {
    const std::vector<Frame> frames = (*watch)->Next(kLook);
    if (!api_.Admit(request).ok()) {
      Write(connection, "event: out\ndata: {}\n\n");
      return;
    }
    if (!WriteFrames(connection, frames)) return;
    const auto now = std::chrono::steady_clock::now();
    if (frames.empty() && now < told + kPulse) continue;
    if (frames.empty() && !Write(connection, ":\n\n")) return;
    told = now;
  }
}

void WebServer::ServeCheckpoint(mg_connection* connection, const Request& request) {
  const auto refuse = [&](const absl::Status& status) { Send(connection, request, ErrorResponse(status)); };
  const auto actor = api_.Admit(request);
  if (!actor.ok()) return refuse(actor.status());
  const Place place(&downloads_, kMaxDownloads);
  if (!place.free()) {
    const absl::Status full = absl::UnavailableError("too many downloads at once; try again");
    parts_.api.access->RecordRefusal(*actor, "DownloadCheckpoint", full);
    return refuse(full);
  }
  int64_t step = 0;
  if (!IsId(request.Get("job")) || !absl::SimpleAtoi(request.Get("step"), &step)) {
    return refuse(absl::InvalidArgumentError("job: a job's whole id; step: a number"));
  }
  const auto record = [&](const absl::Status& done) {
    parts_.api.access->Record(*actor, "DownloadCheckpoint", request.Get("job"), done);
  };
  const auto record_refused = [&](const absl::Status& refused) {
    record(refused);
    refuse(refused);
  };
  const absl::Status allowed = parts_.api.access->MayDownload(actor->caller, request.Get("job"));
  if (!allowed.ok()) return record_refused(allowed);
  const auto rows = parts_.api.queries->ListCheckpoints(request.Get("job"));
  if (!rows.ok()) return record_refused(rows.status());
  const auto row = std::find_if(rows->begin(), rows->end(), [&](const Checkpoint& c) { return c.step == step; });
  if (row == rows->end()) return record_refused(absl::NotFoundError("the job has no checkpoint of this step"));
  const Checkpoint opened = AsOpened(*row);
  uint64_t length = TarEnd().size();
  for (const CheckpointFile& file : opened.files) length += kTarBlock + file.size + TarPadding(file.size);
  Response head;
  head.content_type = "application/x-tar";
  head.headers = {{"Content-Disposition",
                   absl::StrCat("attachment; filename=\"", row->job_id.substr(0, 8), "-step-", step, ".tar\"")},
                  {"Cache-Control", "no-store"}};
  record(absl::OkStatus());  // before any byte is handed out, and once more if it does not end well
  const absl::Status left = absl::CancelledError("the browser has left");
  if (!Write(connection, HeadOf(head, static_cast<int64_t>(length)))) return record(left);
  // A damaged one breaks off, short of its length: the browser says that the download has failed.
  const auto send = [&](const std::string& name, uint64_t offset, std::string& data) -> absl::Status {
    const auto file = std::find_if(opened.files.begin(), opened.files.end(),
                                   [&](const CheckpointFile& entry) { return entry.name == name; });
    std::string bytes = offset == 0 ? TarHeader(name, file->size, row->committed_ms / 1000) : "";
    bytes += data;
    if (offset + data.size() == file->size) bytes += std::string(TarPadding(file->size), '\0');
    return Write(connection, bytes) ? absl::OkStatus() : left;
  };
  absl::Status sent = parts_.guard->SendOpened(*row, send);
  if (sent.ok() && !Write(connection, TarEnd())) sent = left;
  if (!sent.ok()) record(sent);
  if (sent.ok() || absl::IsCancelled(sent) || absl::IsDataLoss(sent)) return;  // the guard tells of damage
  spdlog::warn("job {}: a download of its checkpoint broke off: {}", row->job_id, sent.ToString());
}

}  // namespace sink::web
