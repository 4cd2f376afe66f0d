// The page's port as browsers and strangers reach it: a real coordinator, bare sockets.
#include "coordinator/web/web_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "coordinator/web/page_files.h"
#include "proto/files/descriptor.h"
#include "proto/run/modeling_sink.h"
#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class WebServerTest : public testing::AccessTest {
 protected:
  WebServerTest() { StartPage(); }

  void StartPage() {
    StopServer();
    page_listen_ = "127.0.0.1:0";
    StartServer();
    host_ = server_->page_address();
    port_ = std::stoi(host_.substr(host_.find(':') + 1));
    session_ = LogInPage(*client_);
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

  static bool SendAll(int fd, const std::string& bytes) {
    return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
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
    EXPECT_TRUE(SendAll(fd.get(), request));
    return Read(fd.get());
  }
  std::string Get(const std::string& path, const std::string& headers = "") const { return Ask("GET", path, headers); }

  // The token of a link that the coordinator gives this client.
  std::string LinkToken(CoordinatorClient& client) const {
    const auto response = client.OpenPage({});
    EXPECT_TRUE(response.ok()) << response.status();
    const std::string begin = absl::StrCat("http://", host_, "/open#");
    EXPECT_THAT(response->url(), StartsWith(begin));
    return response->url().substr(begin.size());
  }
  // The Cookie header of a new session of the client's principal.
  std::string LogInPage(CoordinatorClient& client) const {
    const std::string answer = Ask("POST", "/api/open", FromPage(), LinkToken(client));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(answer, HasSubstr("; HttpOnly; SameSite=Strict; Path=/\r\n"));
    const size_t begin = answer.find("sink_page_");
    return absl::StrCat("Cookie: ", answer.substr(begin, answer.find(';', begin) - begin), "\r\n");
  }
  std::string LogInAs(const std::string& name, const std::string& role) {
    return LogInPage(*ClientOf(User(name, role)));
  }
  std::string FromPage() const { return absl::StrCat("Origin: http://", host_, "\r\nSink-Page: 1\r\n"); }

  v1::JobState StateOf(const std::string& job) const {
    v1::GetJobRequest request;
    request.set_id(job);
    return client_->GetJob(request)->job().state();
  }

  // What the audit log says of the admin's downloads, the newest first.
  std::vector<std::string> AdminsDownloads() const {
    std::vector<std::string> outcomes;
    const auto audit = client_->ListAudit({});
    EXPECT_TRUE(audit.ok()) << audit.status();
    if (!audit.ok()) return outcomes;
    for (const v1::AuditEntry& entry : audit->entries())
      if (entry.who() == "user/admin" && entry.action() == "DownloadCheckpoint") outcomes.push_back(entry.outcome());
    return outcomes;
  }

  // Opens a stream of events of the topic.
  files::Fd Watch(const std::string& topic, const std::string& session) const {
    files::Fd fd = Connect();
    const std::string request =
        absl::StrCat("GET /api/events?topic=", topic, " HTTP/1.1\r\nHost: ", host_, "\r\n", session, "\r\n");
    EXPECT_TRUE(SendAll(fd.get(), request));
    return fd;
  }

  std::string host_;
  int port_ = 0;
  std::string session_;  // the admin's, as a Cookie header
};

TEST_F(WebServerTest, ServesThePageAndItsFilesAndNothingElse) {
  const std::string page = Get("/", session_);
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("Content-Security-Policy: default-src 'self'"));
  EXPECT_THAT(page, ContainsRegex("<script type=\"module\" src=\"/[0-9a-f]{32}/app.js\">"));
  const std::string script = Get("/app.js");
  EXPECT_THAT(script, HasSubstr("Content-Type: text/javascript"));
  const size_t tag = script.find("ETag: ") + 6;
  const std::string known = absl::StrCat("If-None-Match: ", script.substr(tag, script.find('\r', tag) - tag), "\r\n");
  EXPECT_THAT(Get("/app.js", known), StartsWith("HTTP/1.1 304 "));
  for (const char* path : {"/nosuch", "/../etc/passwd", "/%2e%2e/etc/passwd", "/api/nosuch", "/page"})
    EXPECT_THAT(Get(path, session_), StartsWith("HTTP/1.1 404 ")) << path;
  EXPECT_THAT(Ask("HEAD", "/"), Not(HasSubstr("<html")));
  EXPECT_THAT(Ask("DELETE", "/"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Get("/api/cancel"), HasSubstr("Allow: POST\r\n"));
}

// What a browser has had of the page it does not ask for again, and the first time it asks for all of it at once.
TEST_F(WebServerTest, ThePageNamesItsFilesWithAVersionThatABrowserKeeps) {
  const std::string page = Get("/", session_);
  EXPECT_THAT(page, HasSubstr("Cache-Control: no-cache\r\n"));
  const size_t begin = page.find(" src=\"/") + 6;
  const std::string version = page.substr(begin, page.find('/', begin + 1) + 1 - begin);
  ASSERT_EQ(version.size(), 34u) << version;
  for (const web::PageFile& file : web::PageFiles()) {
    const std::string name(file.name), answer = Get(absl::StrCat(version, name));
    if (name.ends_with(".html")) {
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 ")) << name;
      continue;
    }
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 ")) << name;
    EXPECT_THAT(answer, HasSubstr("Cache-Control: max-age=31536000, immutable\r\n")) << name;
    if (name.ends_with(".js") && name != "open.js") {
      EXPECT_THAT(page, HasSubstr(absl::StrCat("=\"", version, name, "\""))) << name;
    }
  }
  EXPECT_THAT(Get(absl::StrCat("/", std::string(32, '0'), "/app.js")), StartsWith("HTTP/1.1 404 "));
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

TEST_F(WebServerTest, WithoutASessionNothingIsShown) {
  const v1::Grant grant = RunningJob("secret");
  const std::string id = grant.lease().job_id();
  const std::string another = "Cookie: sink_page_" + std::to_string(port_) + "=" + std::string(64, '0') + "\r\n";
  for (const std::string& session : {std::string(), another}) {
    for (const char* path : {"/", "/index.html", "/open"}) {
      const std::string page = Get(path, session);
      EXPECT_THAT(page, HasSubstr("sinkctl page")) << path;
      EXPECT_THAT(page, Not(HasSubstr("app.js"))) << path;
    }
    EXPECT_THAT(Get("/api/me", session), HasSubstr("\r\n\r\n{\"name\":\"\"}"));
    for (const std::string& path : {std::string("/api/events?topic=overview"), "/api/events?topic=job/" + id,
                                    std::string("/api/study?sweep=secret"), "/api/checkpoint?job=" + id + "&step=1"}) {
      const std::string answer = Get(path, session);
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 ")) << path;
      EXPECT_THAT(answer, HasSubstr("sinkctl page")) << path;
      EXPECT_THAT(answer, Not(HasSubstr("secret"))) << path;
    }
  }
}

TEST_F(WebServerTest, ALinkLogsOneBrowserInAsItsOwner) {
  const std::string token = LinkToken(*client_);
  const std::string answer = Ask("POST", "/api/open", FromPage(), token);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, Not(HasSubstr(token)));  // the session's secret is another one
  EXPECT_THAT(Ask("POST", "/api/open", FromPage(), token), StartsWith("HTTP/1.1 403 "));
  for (const std::string& bad : {std::string(), std::string(64, '0'), std::string(64, '\0'), token + "x"})
    EXPECT_THAT(Ask("POST", "/api/open", FromPage(), bad), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Ask("POST", "/api/open", FromPage(), std::string(200, '0')), StartsWith("HTTP/1.1 413 "));
  // Another site cannot log a browser in as somebody of its choice.
  EXPECT_THAT(Ask("POST", "/api/open", "Origin: http://evil.example\r\nSink-Page: 1\r\n", LinkToken(*client_)),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get("/api/me", session_),
              HasSubstr(R"({"name":"user/admin","role":"admin","may_change":true,"may_hold":true})"));
  EXPECT_THAT(Get("/api/me", LogInAs("sam", "submitter")),
              HasSubstr(R"({"name":"user/sam","role":"submitter","may_change":true,"may_hold":false})"));
  EXPECT_THAT(Get("/api/me", LogInAs("vera", "viewer")),
              HasSubstr(R"({"name":"user/vera","role":"viewer","may_change":false,"may_hold":false})"));
}

TEST_F(WebServerTest, LoggingOutEndsTheSession) {
  EXPECT_THAT(Ask("POST", "/api/logout", session_, "{}"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Ask("POST", "/api/logout", session_ + FromPage(), "{}"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get("/api/me", session_), HasSubstr("{\"name\":\"\"}"));
  EXPECT_THAT(Get("/", session_), HasSubstr("sinkctl page"));
}

TEST_F(WebServerTest, OnlyAScriptOfThePageChangesAnything) {
  const std::string job = Submit("one", "1e-3")[0];
  const std::string body = absl::StrCat("{\"job_ids\":[\"", job, "\"]}");
  const std::string origin = absl::StrCat("Origin: http://", host_, "\r\n");
  for (const std::string& head :
       {FromPage(), session_ + "Sink-Page: 1\r\n", session_ + "Origin: http://127.0.0.1:1\r\nSink-Page: 1\r\n",
        session_ + "Origin: null\r\nSink-Page: 1\r\n", session_ + origin})
    EXPECT_THAT(Ask("POST", "/api/cancel", head, body), StartsWith("HTTP/1.1 403 ")) << head;
  EXPECT_EQ(StateOf(job), v1::QUEUED);
  EXPECT_THAT(Ask("POST", "/api/cancel", session_ + FromPage(), body), HasSubstr("\"cancelled\":1"));
  EXPECT_EQ(StateOf(job), v1::CANCELLED);
  EXPECT_THAT(Ask("POST", "/api/retry", session_ + FromPage(), body), HasSubstr(job));
  EXPECT_EQ(StateOf(job), v1::QUEUED);
}

// What a page does asks the same of its caller, and leaves the same rows, as the call would.
TEST_F(WebServerTest, APageMayWhatItsOwnerMay) {
  RegisterWorker();
  const std::string admins = Submit("admins", "1e-3")[0];
  const identity::Credential sam = User("sam", "submitter");
  const auto submitted = ClientOf(sam)->SubmitSweep(testing::Submission(testing::SweepYaml("sams", "1e-4"), 2));
  ASSERT_TRUE(submitted.ok()) << submitted.status();
  const std::string sams = submitted->jobs(0).id();
  const std::string sams_page = LogInPage(*ClientOf(sam)) + FromPage();
  const std::string veras_page = LogInAs("vera", "viewer") + FromPage();
  const auto body = [](const std::string& job) { return "{\"job_ids\":[\"" + job + "\"]}"; };
  const char* const hold = R"({"names":["node-1"],"hold":"cordoned"})";

  EXPECT_THAT(Ask("POST", "/api/cancel", veras_page, body(sams)), HasSubstr("whose role is viewer"));
  EXPECT_THAT(Ask("POST", "/api/cancel", sams_page, body(admins)), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Ask("POST", "/api/cancel", sams_page, body(sams)), HasSubstr("\"cancelled\":1"));
  EXPECT_THAT(Ask("POST", "/api/hold", sams_page, hold), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Ask("POST", "/api/hold", session_ + FromPage(), hold), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(StateOf(admins), v1::QUEUED);
  const auto priority = [](const std::string& sweep, int to) {
    return absl::StrCat("{\"sweep\":\"", sweep, "\",\"priority\":", to, "}");
  };
  EXPECT_THAT(Ask("POST", "/api/priority", sams_page, priority("admins", -1)), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Ask("POST", "/api/priority", sams_page, priority("sams", 1)), HasSubstr("only an admin"));
  EXPECT_THAT(Ask("POST", "/api/priority", veras_page, priority("sams", -1)), HasSubstr("whose role is viewer"));
  EXPECT_THAT(Ask("POST", "/api/priority", session_ + FromPage(), priority("admins", 9)), HasSubstr("\"changed\":1"));
  EXPECT_THAT(Ask("POST", "/api/priority", session_ + FromPage(), priority("admins", 1001)),
              StartsWith("HTTP/1.1 400 "));

  std::vector<std::string> rows;
  const auto audit = client_->ListAudit({});
  for (const auto& entry : audit->entries())
    rows.push_back(absl::StrCat(entry.who(), " ", entry.action(), " ", entry.object(), " ", entry.outcome()));
  for (const std::string& row :
       {"user/sam Cancel " + admins + " PERMISSION_DENIED", "user/sam Cancel " + sams + " ok",
        std::string("user/admin HoldWorkers cordoned node-1 ok"), std::string("user/sam OpenPage  ok"),
        std::string("user/admin SetPriority admins 9 ok"),
        std::string("user/sam SetPriority sams 1 PERMISSION_DENIED")})
    EXPECT_THAT(rows, ::testing::Contains(row));
}

TEST_F(WebServerTest, ARevokedUsersOpenPageIsOutWithinASecondOrTwo) {
  Submit("one", "1e-3");
  const std::string page = LogInAs("rita", "admin");
  const files::Fd events = Watch("overview", page);
  ASSERT_THAT(Read(events.get(), "event: whole"), HasSubstr("event: whole"));
  ASSERT_TRUE(Revoke("user/rita").ok());
  const absl::Time revoked = absl::Now();
  EXPECT_THAT(Read(events.get()), HasSubstr("event: out\ndata: {}\n\n"));  // and it is closed
  EXPECT_LT(absl::Now() - revoked, absl::Seconds(10));
  EXPECT_THAT(Get("/api/study?sweep=one", page), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get("/", page), HasSubstr("sinkctl page"));
}

// A role is asked anew at every request.
TEST_F(WebServerTest, ARoleThatChangesHoldsForPagesThatAreOpen) {
  const std::string job = Submit("one", "1e-3")[0];
  const std::string page = LogInAs("lena", "admin") + FromPage();
  EXPECT_THAT(Ask("POST", "/api/retry", page, "{}"), StartsWith("HTTP/1.1 400 "));
  ASSERT_TRUE(Token("login", "lena", "viewer").ok());
  EXPECT_THAT(Ask("POST", "/api/cancel", page, "{\"job_ids\":[\"" + job + "\"]}"), StartsWith("HTTP/1.1 403 "));
}

TEST_F(WebServerTest, BodiesAreBoundedAndChecked) {
  const std::string head = session_ + FromPage();
  EXPECT_THAT(Ask("POST", "/api/cancel", head + "Content-Length: 99999999\r\n", "none"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(Ask("POST", "/api/cancel", head, "none"), StartsWith("HTTP/1.1 411 "));
  for (const char* body : {"", "{", "[]", "{\"nosuch\":1}", "{\"job_ids\":[\"../x\"]}", "{}"})
    EXPECT_THAT(Ask("POST", "/api/cancel", head, body), StartsWith("HTTP/1.1 400 ")) << body;
  EXPECT_THAT(Ask("POST", "/api/hold", head, R"({"names":["nobody"],"hold":"cordoned"})"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(WebServerTest, ASweepIsToldWholeAndThenInChanges) {
  const auto ids = Submit("lr", "1e-3, 1e-4");
  const files::Fd fd = Watch("sweep/lr", LogInAs("vera", "viewer"));
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

TEST_F(WebServerTest, TheOverviewTellsTotalsAndForgetsADeletedSweep) {
  Submit("one", "1e-3");
  Submit("two", "1e-4", 2);
  RegisterWorker();
  const files::Fd fd = Watch("overview", session_);
  const std::string first = Read(fd.get(), "\"warning\"");
  EXPECT_THAT(first, HasSubstr("\"name\":\"one\""));
  EXPECT_THAT(first, HasSubstr("\"eta_seconds\":null"));
  EXPECT_THAT(first, HasSubstr("\"fleet\":{\"workers\":1,\"devices\":4,"));
  EXPECT_THAT(first, Not(HasSubstr("node-1")));
  v1::CancelRequest cancel;
  cancel.set_sweep("two");
  ASSERT_TRUE(client_->Cancel(cancel).ok());
  const std::string change = Read(fd.get(), "\"CANCELLED\":1");
  EXPECT_THAT(change, HasSubstr("event: change"));
  EXPECT_THAT(change, Not(HasSubstr("\"name\":\"one\"")));
  v1::DeleteSweepRequest remove;
  remove.set_name("two");
  ASSERT_TRUE(client_->DeleteSweep(remove).ok());
  std::string whole = Read(fd.get(), "event: whole");
  whole = whole.substr(whole.find("event: whole"));
  if (whole.find("\"warning\"") == std::string::npos) whole += Read(fd.get(), "\"warning\"");
  EXPECT_THAT(whole, HasSubstr("\"name\":\"one\""));
  EXPECT_THAT(whole, Not(HasSubstr("\"name\":\"two\"")));
}

// As sinkctl report judges them, of the same study.
TEST_F(WebServerTest, ASweepsTakeawaysAreJudgedForItsPageAndAgainWhenAJobHasEnded) {
  RegisterWorker();
  Submit("lr", "1e-3, 1e-4");
  const files::Fd fd = Watch("verdicts/lr", session_);
  const std::string first = Read(fd.get(), "too_many\":0");
  EXPECT_THAT(first, HasSubstr("event: whole"));
  EXPECT_THAT(first, HasSubstr("\"experiment\":\"learning_rate\",\"statement\":\"With a larger learning rate"));
  EXPECT_THAT(first, HasSubstr("\"verdict\":\"not enough data\""));
  for (const uint64_t poll : {1, 2}) {
    const v1::Grant grant = Lease(poll);
    ASSERT_TRUE(Report(grant.lease(), 1,
                       {R"({"type":"hello","version":1,"pid":7,"device":"cpu","start_step":0,)"
                        R"("max_steps":100,"parameters":10})",
                        R"({"type":"metrics","step":100,"values":{"alpha_max/1":0.5,"sink_rate/0.3/1":0.25}})"})
                    .ok());
    ASSERT_TRUE(Finish(grant.lease(), 2).ok());
  }
  // Both settings have numbers now, of one seed each.
  EXPECT_THAT(Read(fd.get(), " at step 100 "), HasSubstr("event: whole"));
}

TEST_F(WebServerTest, OfWorkersThoseThatChangeAreToldAgain) {
  RegisterWorker();
  const files::Fd fd = Watch("workers", session_);
  const std::string whole = Read(fd.get(), "\"warning\"");
  EXPECT_THAT(whole, HasSubstr("\"name\":\"node-1\""));
  EXPECT_THAT(whole, HasSubstr("\"state\":\"CONNECTED\""));
  EXPECT_THAT(whole, Not(HasSubstr(testing::kWorkerId)));
  EXPECT_THAT(Ask("POST", "/api/hold", session_ + FromPage(), R"({"names":["node-1"],"hold":"cordoned"})"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Read(fd.get(), "\"hold\":\"cordoned\""), HasSubstr("\"changed\":[[0,{"));
}

TEST_F(WebServerTest, EveryTopicOfAJobIsThere) {
  const v1::Grant grant = RunningJob();
  const std::string id = grant.lease().job_id();
  ASSERT_TRUE(Report(grant.lease(), 2, {R"({"type":"metrics","step":1,"values":{"train_loss":2.5}})"}).ok());
  const std::vector<std::string> topics = {
      "overview",     "workers",    "sweep/one", "verdicts/one",          "job/" + id,
      "points/" + id, "heat/" + id, "log/" + id, "curves/one/train_loss", "compare/" + id + "/train_loss"};
  for (const std::string& topic : topics) {
    const files::Fd fd = Watch(topic, session_);
    EXPECT_THAT(Read(fd.get(), "\"data\":"), HasSubstr(absl::StrCat("event: whole\ndata: {\"topic\":\"", topic, "\"")));
  }
  for (const char* topic : {"", "nosuch", "sweep/", "sweep/a%20b", "job/xyz", "curves/one", "compare/x/train_loss"})
    EXPECT_THAT(Get(absl::StrCat("/api/events?topic=", topic), session_), StartsWith("HTTP/1.1 400 ")) << topic;
  EXPECT_THAT(Get("/api/study?sweep=one", session_), HasSubstr("\"sweep\":\"one\""));
  EXPECT_THAT(Get("/api/study?sweep=two", session_), StartsWith("HTTP/1.1 404 "));
}

TEST_F(WebServerTest, ALongCurveIsThinnedEvenly) {
  const v1::Grant grant = RunningJob();
  constexpr int kSteps = 5000;
  for (int step = 1; step <= kSteps;) {
    std::vector<std::string> records;
    const int first = step;
    for (; step <= kSteps && records.size() < 1000; ++step)
      records.push_back(absl::StrCat(R"({"type":"metrics","step":)", step, R"(,"values":{"train_loss":2.5}})"));
    ASSERT_TRUE(Report(grant.lease(), static_cast<uint64_t>(first) + 1, records).ok());
  }
  const std::string id = grant.lease().job_id();
  const files::Fd events = Watch("curves/one/train_loss", session_);
  std::string told = Read(events.get(), "data: ");
  const size_t begin = told.find("data: ") + 6;
  if (told.find("\n\n", begin) == std::string::npos) told += Read(events.get(), "\n\n");
  const auto frame = nlohmann::json::parse(told.substr(begin, told.find('\n', begin) - begin));
  const auto steps = frame["data"]["curves"][id]["train_loss"][0].get<std::vector<int>>();
  ASSERT_GT(steps.size(), 400u);
  EXPECT_LE(steps.size(), 801u);
  EXPECT_EQ(steps.front(), 1);
  EXPECT_EQ(steps.back(), kSteps);
  for (size_t i = 1; i < steps.size(); ++i) EXPECT_LE(steps[i] - steps[i - 1], 8) << steps[i];
}

// What came while somebody watched is told as it came, after the sample of what there was.
TEST_F(WebServerTest, ACurveGoesOnWhereItsSampleEnds) {
  const v1::Grant grant = RunningJob();
  const std::string id = grant.lease().job_id();
  ASSERT_TRUE(Report(grant.lease(), 2,
                     {R"({"type":"metrics","step":1,"values":{"train_loss":2.5,"learning_rate":0.1}})",
                      R"({"type":"metrics","step":2,"values":{"train_loss":2.25}})"})
                  .ok());
  const files::Fd fd = Watch("curves/one/train_loss", session_);
  EXPECT_THAT(Read(fd.get(), "left_out"),
              HasSubstr(absl::StrCat("{\"", id, "\":{\"train_loss\":[[1,2],[2.5,2.25]]}}")));
  ASSERT_TRUE(Report(grant.lease(), 4, {R"({"type":"metrics","step":3,"values":{"train_loss":2}})"}).ok());
  EXPECT_THAT(
      Read(fd.get(), "[[3],[2]]"),
      HasSubstr(absl::StrCat("event: change\ndata: {\"topic\":\"curves/one/train_loss\",\"data\":{\"curves\":{\"", id,
                             "\":{\"train_loss\":[[3],[2]]}}}")));
}

TEST_F(WebServerTest, ACheckpointIsDownloadedAsATarByWhoMayDownloadIt) {
  const v1::Grant grant = RunningJob();
  testing::TestCheckpoint checkpoint;
  checkpoint.files[1] = {"modeling_sink.py", "a worker's own"};
  ASSERT_TRUE(Upload(grant.lease(), 10, checkpoint).ok());
  const std::string path = absl::StrCat("/api/checkpoint?job=", grant.lease().job_id(), "&step=10");
  EXPECT_THAT(Get(path, LogInAs("vera", "viewer")), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get(path, LogInAs("sam", "submitter")), StartsWith("HTTP/1.1 403 "));  // not of his sweeps
  const std::string answer = Get(path, session_);
  ASSERT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, HasSubstr("filename=\"" + grant.lease().job_id().substr(0, 8) + "-step-10.tar\""));
  const std::string tar = answer.substr(answer.find("\r\n\r\n") + 4);
  const std::string length = answer.substr(answer.find("Content-Length: ") + 16);
  EXPECT_EQ(std::stoull(length), tar.size());
  EXPECT_EQ(tar.size() % 512, 0u);
  EXPECT_THAT(tar, StartsWith("model.safetensors"));
  EXPECT_EQ(tar.substr(512, 600'000), std::string(600'000, 'x'));
  EXPECT_THAT(tar, HasSubstr(std::string("\0\0", 2) + run::kModelingSink + std::string("\0\0", 2)));
  EXPECT_THAT(tar, Not(HasSubstr("a worker's own")));
  EXPECT_THAT(Get(absl::StrCat("/api/checkpoint?job=", grant.lease().job_id(), "&step=11"), session_),
              StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(AdminsDownloads(), ::testing::ElementsAre("NOT_FOUND", "ok"));
}

// Who opens all the pages that there may be keeps nobody else from short requests.
TEST_F(WebServerTest, PagesBeyondTheLimitAreRefusedAndShortRequestsStillAnswered) {
  std::vector<files::Fd> pages;
  for (int i = 0; i < web::kMaxPages; ++i) pages.push_back(Watch("overview", session_));
  for (const files::Fd& page : pages) ASSERT_THAT(Read(page.get(), "event: whole"), HasSubstr("event: whole"));
  EXPECT_THAT(Get("/api/events?topic=overview", session_), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
  Submit("live", "1e-3");
  for (const files::Fd& page : pages) ASSERT_THAT(Read(page.get(), "\"live\""), HasSubstr("\"live\""));
}

TEST_F(WebServerTest, GarbageAndOversizedRequestsAreRefused) {
  const auto send = [this](const std::string& bytes) {
    const files::Fd fd = Connect();
    EXPECT_TRUE(SendAll(fd.get(), bytes));
    return Read(fd.get());
  };
  std::string garbage;
  for (int i = 0; i < 2000; ++i) garbage += static_cast<char>(i * 7 + 1);
  for (const std::string& bytes :
       {garbage, std::string("\0\0\0\0\r\n\r\n", 8), std::string("GET\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 15)})
    EXPECT_THAT(send(bytes), Not(HasSubstr(" 200 ")));
  EXPECT_THAT(Get("/api/me", "X: " + std::string(20'000, 'x') + "\r\n"), Not(HasSubstr(" 200 ")));
  EXPECT_THAT(Get("/api/events?topic=" + std::string(20'000, 'x'), session_), Not(HasSubstr(" 200 ")));
  std::string many;
  for (int i = 0; i < 200; ++i) absl::StrAppend(&many, "X-", i, ": 1\r\n");
  EXPECT_THAT(Get("/api/me", many + session_), HasSubstr("{\"name\":\"\"}"));  // headers beyond the limit are not read
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(WebServerTest, WhoSendsHalfARequestIsLeft) {
  first_message_ = absl::Milliseconds(300);
  StartPage();
  const absl::Time begun = absl::Now();
  const files::Fd head = Connect(), body = Connect();
  ASSERT_TRUE(SendAll(head.get(), "GET / HTTP/1.1\r\nHost: "));
  ASSERT_TRUE(SendAll(body.get(), absl::StrCat("POST /api/cancel HTTP/1.1\r\nHost: ", host_, "\r\n", session_,
                                               FromPage(), "Content-Length: 1000\r\n\r\n{\"")));
  EXPECT_THAT(Read(head.get()), Not(HasSubstr(" 200 ")));
  EXPECT_THAT(Read(body.get()), Not(HasSubstr(" 200 ")));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(10));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(WebServerTest, WhoTakesNothingIsLeft) {
  first_message_ = absl::Milliseconds(300);
  StartPage();
  const v1::Grant grant = RunningJob();
  testing::TestCheckpoint checkpoint;
  checkpoint.files[0].second = std::string(24 << 20, 'x');  // more than both sides' buffers hold
  ASSERT_TRUE(Upload(grant.lease(), 10, checkpoint).ok());
  const files::Fd fd = Connect();
  ASSERT_TRUE(SendAll(fd.get(), absl::StrCat("GET /api/checkpoint?job=", grant.lease().job_id(),
                                             "&step=10 HTTP/1.1\r\nHost: ", host_, "\r\n", session_, "\r\n")));
  absl::SleepFor(absl::Seconds(3));
  const std::string taken = Read(fd.get());
  EXPECT_THAT(taken, StartsWith("HTTP/1.1 200 "));
  EXPECT_LT(taken.size(), size_t{24} << 20);
  EXPECT_THAT(AdminsDownloads(), ::testing::ElementsAre("CANCELLED", "ok"));
}

// More connections than there are threads, all of them silent: they are left in time, and the others are served.
TEST_F(WebServerTest, SilentConnectionsDoNotKeepOthersOut) {
  first_message_ = absl::Milliseconds(300);
  StartPage();
  std::vector<files::Fd> silent;
  for (int i = 0; i < 300; ++i) silent.push_back(Connect());
  const absl::Time begun = absl::Now();
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(15));
}

TEST_F(WebServerTest, WithoutAPageThereIsNoLink) {
  StopServer();
  page_listen_ = "";
  StartServer();
  EXPECT_EQ(server_->page_address(), "");
  EXPECT_TRUE(absl::IsFailedPrecondition(client_->OpenPage({}).status()));
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
