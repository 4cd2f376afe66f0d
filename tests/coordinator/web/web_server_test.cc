// The page's port as browsers and strangers reach it: a real coordinator, bare sockets.
#include "coordinator/web/web_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/files/descriptor.h"
#include "tests/coordinator/service/service_fixture.h"

namespace sink {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class WebServerTest : public testing::ServiceTest {
 protected:
  WebServerTest() {
    StopServer();
    page_listen_ = "127.0.0.1:0";
    StartServer();
    url_ = server_->page_url();
    host_ = url_.substr(7, url_.size() - 8);
    port_ = std::stoi(host_.substr(host_.find(':') + 1));
  }

  files::Fd Connect() const {
    files::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
  }

  // Reads until `end` has come or, without one, the other side closes.
  static std::string Read(int fd, const std::string& end = "") {
    std::string text;
    char buffer[65536];
    for (ssize_t n; (end.empty() || text.find(end) == std::string::npos) && (n = read(fd, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    return text;
  }

  // `headers`: each with its \r\n.
  std::string Ask(const std::string& method, const std::string& path, const std::string& headers = "",
                  const std::string& body = "", std::string host = "") const {
    const files::Fd fd = Connect();
    if (host.empty()) host = host_;
    std::string request = absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", host, "\r\n", headers);
    if (method == "POST" && headers.find("Content-Length") == std::string::npos && body != "none")
      absl::StrAppend(&request, "Content-Length: ", body.size(), "\r\n");
    absl::StrAppend(&request, "\r\n", body == "none" ? "" : body);
    EXPECT_EQ(write(fd.get(), request.data(), request.size()), static_cast<ssize_t>(request.size()));
    return Read(fd.get());
  }
  std::string Get(const std::string& path, const std::string& headers = "") const { return Ask("GET", path, headers); }

  std::string LoginPath() const {
    std::ifstream file((folder_ / "data") + "/page.url");
    std::string link;
    std::getline(file, link);
    EXPECT_THAT(link, StartsWith(url_ + "login?token="));
    return link.substr(url_.size() - 1);
  }
  // The Cookie header of a new session.
  std::string LogIn() const {
    const std::string answer = Get(LoginPath());
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 303 "));
    EXPECT_THAT(answer, HasSubstr("; HttpOnly; SameSite=Strict; Path=/\r\n"));
    const size_t begin = answer.find("sink_page=");
    return absl::StrCat("Cookie: ", answer.substr(begin, answer.find(';', begin) - begin), "\r\n");
  }
  std::string FromPage() const {
    return absl::StrCat("Origin: http://", host_, "\r\nContent-Type: application/json\r\n");
  }

  std::string url_, host_;
  int port_ = 0;
};

TEST_F(WebServerTest, ServesThePageAndItsFilesAndNothingElse) {
  const std::string page = Get("/");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("Content-Security-Policy: default-src 'self'"));
  EXPECT_THAT(page, HasSubstr("<script type=\"module\" src=\"app.js\">"));
  const std::string script = Get("/app.js");
  EXPECT_THAT(script, HasSubstr("Content-Type: text/javascript"));
  const size_t tag = script.find("ETag: ") + 6;
  const std::string known = absl::StrCat("If-None-Match: ", script.substr(tag, script.find('\r', tag) - tag), "\r\n");
  EXPECT_THAT(Get("/app.js", known), StartsWith("HTTP/1.1 304 "));
  for (const char* path : {"/nosuch", "/../etc/passwd", "/%2e%2e/etc/passwd", "/api/nosuch", "/page.url"})
    EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 404 ")) << path;
  EXPECT_THAT(Ask("HEAD", "/"), Not(HasSubstr("<html")));
  EXPECT_THAT(Ask("DELETE", "/"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Get("/api/cancel"), HasSubstr("Allow: POST\r\n"));
}

TEST_F(WebServerTest, SaysThatItLivesAndIsReady) {
  EXPECT_THAT(Get("/healthz"), HasSubstr("\r\n\r\nok\n"));
  EXPECT_THAT(Get("/readyz"), HasSubstr("\r\n\r\nready\n"));
}

TEST_F(WebServerTest, AnotherNameForThisMachineIsRefused) {
  EXPECT_THAT(Ask("GET", "/", "", "", "evil.example"), StartsWith("HTTP/1.1 421 "));
  EXPECT_THAT(Ask("GET", "/api/events?topic=overview", "", "", "evil.example"), StartsWith("HTTP/1.1 421 "));
  EXPECT_THAT(Ask("GET", "/", "", "", "localhost:9"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(WebServerTest, TheLinkOfTheFolderLogsABrowserInOnce) {
  EXPECT_THAT(Get("/api/me"), HasSubstr("{\"may_change\":false}"));
  const std::string path = LoginPath();
  const std::string cookie = LogIn();
  EXPECT_THAT(Get("/api/me", cookie), HasSubstr("{\"may_change\":true}"));
  EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 403 "));
  EXPECT_NE(LoginPath(), path);
  EXPECT_THAT(Ask("POST", "/api/logout", cookie + FromPage(), "{}"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get("/api/me", cookie), HasSubstr("{\"may_change\":false}"));
}

TEST_F(WebServerTest, OnlyAPageOfOursWithASessionChangesAnything) {
  const std::string job = Submit("one", "1e-3")[0];
  const std::string body = absl::StrCat("{\"job_ids\":[\"", job, "\"]}");
  const std::string cookie = LogIn();
  EXPECT_THAT(Ask("POST", "/api/cancel", FromPage(), body), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Ask("POST", "/api/cancel", cookie + "Content-Type: application/json\r\n", body),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(
      Ask("POST", "/api/cancel", cookie + "Origin: http://127.0.0.1:1\r\nContent-Type: application/json\r\n", body),
      StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Ask("POST", "/api/cancel", absl::StrCat(cookie, "Origin: http://", host_, "\r\n"), body),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(client_->GetJob(job)->job().state(), v1::QUEUED);
  EXPECT_THAT(Ask("POST", "/api/cancel", cookie + FromPage(), body), HasSubstr("\"cancelled\":1"));
  EXPECT_EQ(client_->GetJob(job)->job().state(), v1::CANCELLED);
  EXPECT_THAT(Ask("POST", "/api/retry", cookie + FromPage(), body), HasSubstr(job));
  EXPECT_EQ(client_->GetJob(job)->job().state(), v1::QUEUED);
}

TEST_F(WebServerTest, BodiesAreBoundedAndChecked) {
  const std::string head = LogIn() + FromPage();
  EXPECT_THAT(Ask("POST", "/api/cancel", head + "Content-Length: 99999999\r\n", "none"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask("POST", "/api/cancel", head, "none"), StartsWith("HTTP/1.1 411 "));
  for (const char* body : {"", "{", "[]", "{\"nosuch\":1}", "{\"job_ids\":[\"../x\"]}", "{}"})
    EXPECT_THAT(Ask("POST", "/api/cancel", head, body), StartsWith("HTTP/1.1 400 ")) << body;
  EXPECT_THAT(Ask("POST", "/api/hold", head, R"({"names":["nobody"],"hold":"cordoned"})"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(WebServerTest, ASweepIsToldWholeAndThenInChanges) {
  const auto ids = Submit("lr", "1e-3, 1e-4");
  const files::Fd fd = Connect();
  const std::string request = absl::StrCat("GET /api/events?topic=sweep/lr HTTP/1.1\r\nHost: ", host_, "\r\n\r\n");
  ASSERT_EQ(write(fd.get(), request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string told = Read(fd.get(), "}}\n\n");
  told += told.find("event: whole") == std::string::npos ? Read(fd.get(), "\n\n") : "";
  EXPECT_THAT(told, HasSubstr("Content-Type: text/event-stream"));
  EXPECT_THAT(told, HasSubstr("event: whole\ndata: {\"topic\":\"sweep/lr\",\"data\":{\"sweep\":{\"name\":\"lr\""));
  EXPECT_THAT(
      told, HasSubstr(absl::StrCat("[\"", ids[0], "\",0,\"learning_rate\",\"train.learning_rate=0.001\",\"QUEUED\"")));
  v1::CancelRequest cancel;
  cancel.add_job_ids(ids[1]);
  ASSERT_TRUE(client_->Cancel(cancel).ok());
  const std::string change = Read(fd.get(), "event: change");
  const std::string rest =
      change.find("\n\n", change.find("event: change")) == std::string::npos ? change + Read(fd.get(), "\n\n") : change;
  EXPECT_THAT(rest, HasSubstr(absl::StrCat("[\"", ids[1], "\",1,")));
  EXPECT_THAT(rest, HasSubstr("\"CANCELLED\""));
  EXPECT_THAT(rest, Not(HasSubstr(ids[0])));
}

TEST_F(WebServerTest, EveryTopicOfAJobIsThere) {
  const v1::Grant grant = RunningJob();
  const std::string id = grant.lease().job_id();
  ASSERT_TRUE(Report(grant.lease(), 2, {R"({"type":"metrics","step":1,"values":{"train_loss":2.5}})"}).ok());
  const std::vector<std::string> topics = {"overview",
                                           "sweep/one",
                                           "job/" + id,
                                           "points/" + id,
                                           "heat/" + id,
                                           "log/" + id,
                                           "curves/one/train_loss",
                                           "compare/" + id + "/train_loss"};
  for (const std::string& topic : topics) {
    const files::Fd fd = Connect();
    const std::string request = absl::StrCat("GET /api/events?topic=", topic, " HTTP/1.1\r\nHost: ", host_, "\r\n\r\n");
    ASSERT_EQ(write(fd.get(), request.data(), request.size()), static_cast<ssize_t>(request.size()));
    EXPECT_THAT(Read(fd.get(), "\"data\":"), HasSubstr(absl::StrCat("event: whole\ndata: {\"topic\":\"", topic, "\"")));
  }
  for (const char* topic : {"", "nosuch", "sweep/", "sweep/a%20b", "job/xyz", "curves/one", "compare/x/train_loss"})
    EXPECT_THAT(Get(absl::StrCat("/api/events?topic=", topic)), StartsWith("HTTP/1.1 400 ")) << topic;
  EXPECT_THAT(Get("/api/study?sweep=one"), HasSubstr("\"sweep\":\"one\""));
  EXPECT_THAT(Get("/api/study?sweep=two"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(WebServerTest, ACheckpointIsDownloadedAsATarByWhoMayChangeThings) {
  const v1::Grant grant = RunningJob();
  const testing::TestCheckpoint checkpoint;
  ASSERT_TRUE(Upload(grant.lease(), 10, checkpoint).ok());
  const std::string path = absl::StrCat("/api/checkpoint?job=", grant.lease().job_id(), "&step=10");
  EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 403 "));
  const std::string cookie = LogIn();
  const std::string answer = Get(path, cookie);
  ASSERT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, HasSubstr("filename=\"" + grant.lease().job_id().substr(0, 8) + "-step-10.tar\""));
  const std::string tar = answer.substr(answer.find("\r\n\r\n") + 4);
  const std::string length = answer.substr(answer.find("Content-Length: ") + 16);
  EXPECT_EQ(std::stoull(length), tar.size());
  EXPECT_EQ(tar.size() % 512, 0u);
  EXPECT_THAT(tar, StartsWith("model.safetensors"));
  EXPECT_EQ(tar.substr(512, 600'000), std::string(600'000, 'x'));
  EXPECT_THAT(Get(absl::StrCat("/api/checkpoint?job=", grant.lease().job_id(), "&step=11"), cookie),
              StartsWith("HTTP/1.1 404 "));
}

// Who opens all the pages that there may be keeps nobody else from short requests.
TEST_F(WebServerTest, PagesBeyondTheLimitAreRefusedAndShortRequestsStillAnswered) {
  std::vector<files::Fd> pages;
  const std::string request = absl::StrCat("GET /api/events?topic=overview HTTP/1.1\r\nHost: ", host_, "\r\n\r\n");
  for (int i = 0; i < web::kMaxPages; ++i) {
    pages.push_back(Connect());
    ASSERT_EQ(write(pages.back().get(), request.data(), request.size()), static_cast<ssize_t>(request.size()));
  }
  for (const files::Fd& page : pages) ASSERT_THAT(Read(page.get(), "event: whole"), HasSubstr("event: whole"));
  EXPECT_THAT(Get("/api/events?topic=overview"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
  Submit("live", "1e-3");
  for (const files::Fd& page : pages) ASSERT_THAT(Read(page.get(), "\"live\""), HasSubstr("\"live\""));
}

TEST_F(WebServerTest, AnAddressThatOtherMachinesReachIsRefused) {
  StopServer();
  page_listen_ = "0.0.0.0:0";
  const auto server = Server::Start(Options());
  EXPECT_TRUE(absl::IsInvalidArgument(server.status()));
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("--page-listen"));
}

TEST_F(WebServerTest, APortInUseIsAnErrorWhereItWasNamed) {
  page_listen_ = host_;
  ServerOptions options = Options();
  options.data = folder_ / "other";
  options.listen = "127.0.0.1:0";
  const auto server = Server::Start(options);
  EXPECT_TRUE(absl::IsUnavailable(server.status())) << server.status();
}

}  // namespace
}  // namespace sink
