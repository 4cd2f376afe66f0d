// Who may do what on the page: every path of its port by browsers of every kind, and what comes from other pages.
#include <unistd.h>

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "coordinator/web/api.h"
#include "coordinator/web/page_files.h"
#include "tests/coordinator/service/access_fixture.h"
#include "tests/security/http.h"

namespace sink {
namespace {

using testing::AccessTest;
using testing::Submission;
using testing::SweepYaml;

// n nobody, f a forged session, r one whose user is revoked, v viewer, s submitter of other sweeps, o the owner of the
// sweep and its job, a admin.
constexpr char kAll[] = "nfrvsoa", kSessions[] = "vsoa", kOwners[] = "oa";

struct Row {
  std::string query, body;  // with JOB for the job's id
  std::string admitted;
};

const std::map<std::string, Row> kRows = {
    {"GET /healthz", {"", "", kAll}},
    {"GET /readyz", {"", "", kAll}},
    {"GET /api/me", {"", "", kAll}},  // which says to whom without a session that there is none
    {"GET /api/study", {"?sweep=sams", "", kSessions}},
    {"GET /api/events", {"?topic=job/JOB", "", kSessions}},
    {"GET /api/checkpoint", {"?job=JOB&step=10", "", kOwners}},
    {"POST /api/open", {"", "ffffffffffffffffffffffffffffffff", ""}},  // asks for a link's token, and for no session
    {"POST /api/logout", {"", "{}", kSessions}},
    {"POST /api/cancel", {"", R"({"job_ids":["JOB"]})", kOwners}},
    {"POST /api/retry", {"", R"({"sweep":"sams"})", kOwners}},
    {"POST /api/priority", {"", R"({"sweep":"sams","priority":-1})", kOwners}},
    {"POST /api/hold", {"", R"({"names":["node-1"],"hold":"none"})", "a"}},
};

class PageMatrixTest : public AccessTest {
 protected:
  PageMatrixTest() {
    StopServer();
    page_listen_ = "127.0.0.1:0";
    StartServer();
    host_ = server_->page_address();
    users_ = {{'v', User("vera", "viewer")}, {'s', User("tom", "submitter")}, {'o', User("sam", "submitter")}};
    users_['a'] = *identity::ReadCredential(admin_folder());
    const auto submitted = ClientOf(users_['o'])->SubmitSweep(Submission(SweepYaml("sams", "1e-3")));
    EXPECT_TRUE(submitted.ok()) << submitted.status();
    job_ = submitted->jobs(0).id();
    RegisterWorker();
    revoked_ = LogIn(User("rita", "admin"));
    EXPECT_EQ(Ask("GET /api/study", "?sweep=sams", revoked_), 200);
    EXPECT_TRUE(Revoke("user/rita").ok());
  }

  std::string FromPage() const { return absl::StrCat("Origin: http://", host_, "\r\nSink-Page: 1\r\n"); }

  // The Cookie header of a new session.
  std::string LogIn(const identity::Credential& user) const {
    const auto link = ClientOf(user)->OpenPage({});
    EXPECT_TRUE(link.ok()) << link.status();
    const std::string token = link->url().substr(link->url().find('#') + 1);
    const std::string answer =
        testing::Exchange(host_, absl::StrCat("POST /api/open HTTP/1.1\r\nHost: ", host_, "\r\n", FromPage(),
                                              "Content-Length: ", token.size(), "\r\n\r\n", token));
    const size_t begin = answer.find("sink_page_");
    EXPECT_NE(begin, std::string::npos) << answer;
    return absl::StrCat("Cookie: ", answer.substr(begin, answer.find(';', begin) - begin), "\r\n");
  }
  std::string SessionOf(char who) const {
    const std::string forged = absl::StrCat("Cookie: ", web::CookieName(host_), "=", std::string(64, '0'), "\r\n");
    return who == 'n' ? "" : who == 'f' ? forged : who == 'r' ? revoked_ : LogIn(users_.at(who));
  }

  // The status of the answer, of which some never end. `request`: method and path.
  int Ask(const std::string& request, const std::string& query, const std::string& headers,
          const std::string& body = "", const std::string& host = "") const {
    const auto filled = [this](const std::string& text) { return absl::StrReplaceAll(text, {{"JOB", job_}}); };
    const std::string sent = filled(body);
    const std::string length = body.empty() ? "" : absl::StrCat("Content-Length: ", sent.size(), "\r\n");
    const std::string text = absl::StrCat(request, filled(query), " HTTP/1.1\r\nHost: ", host.empty() ? host_ : host,
                                          "\r\n", headers, length, "\r\n", sent);
    const files::Fd fd = testing::Dial(host_);
    std::string answer;
    char buffer[4096];
    EXPECT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    for (ssize_t n; answer.find("\r\n") == std::string::npos && (n = read(fd.get(), buffer, sizeof buffer)) > 0;)
      answer.append(buffer, static_cast<size_t>(n));
    const size_t space = answer.find(' ');
    return space == std::string::npos ? 0 : std::atoi(answer.c_str() + space);
  }

  std::string host_, job_, revoked_;
  std::map<char, identity::Credential> users_;
};

// A path that is new has no row here, and this fails.
TEST_F(PageMatrixTest, EveryPathHasARow) {
  std::set<std::string> routes, rows;
  for (const web::Route& route : web::Routes()) routes.insert(absl::StrCat(route.method, " ", route.path));
  for (const auto& [path, row] : kRows) rows.insert(path);
  EXPECT_EQ(routes, rows);
}

TEST_F(PageMatrixTest, EveryPathAdmitsThoseOfTheTableAndNobodyElse) {
  for (const auto& [path, row] : kRows) {
    const std::string post = row.body.empty() ? "" : FromPage();
    for (const char who : std::string(kAll)) {
      const int status = Ask(path, row.query, SessionOf(who) + post, row.body);
      if (row.admitted.find(who) == std::string::npos) {
        EXPECT_EQ(status, 403) << path << " by " << who;
      } else {
        EXPECT_TRUE(status == 200 || status == 404)
            << path << " by " << who << ": " << status;  // there is no checkpoint
      }
    }
  }
}

// A program's session is that of its role, and ends with its token: at the token's time, or when it is revoked.
TEST_F(PageMatrixTest, SessionsOfProgramsEndWithTheirTokens) {
  const identity::Credential lasting = *Token("token", "lasting", "viewer"), gone = *Token("token", "gone", "admin"),
                             brief = *Token("token", "brief", "admin", absl::Seconds(6));
  const std::map<std::string, std::string> ended = {{"revoked", LogIn(gone)}, {"over", LogIn(brief)}};
  for (const auto& [why, session] : ended) EXPECT_EQ(Ask("GET /api/study", "?sweep=sams", session), 200) << why;
  ASSERT_TRUE(Revoke("token/gone").ok());
  for (int i = 0; i < 100 && Ask("GET /api/study", "?sweep=sams", ended.at("over")) != 403; ++i)
    absl::SleepFor(absl::Milliseconds(100));
  for (const auto& [path, row] : kRows) {
    const std::string post = row.body.empty() ? "" : FromPage();
    const bool open = row.admitted == kAll;
    for (const auto& [why, session] : ended)
      EXPECT_EQ(Ask(path, row.query, session + post, row.body), open ? 200 : 403) << path << ", " << why;
    const int status = Ask(path, row.query, LogIn(lasting) + post, row.body);
    EXPECT_EQ(status, row.admitted.find('v') == std::string::npos ? 403 : 200) << path << " by a viewer's program";
  }
}

// Not even with an admin's cookie: another site's script, another program's page on this machine, another name for it.
TEST_F(PageMatrixTest, WhatComesFromElsewhereIsRefused) {
  const std::string session = SessionOf('a');
  for (const auto& [path, row] : kRows) {
    if (path == "GET /healthz" || path == "GET /readyz") continue;  // they say nothing of anybody's jobs
    const int renamed =
        Ask(path, row.query, session + (row.body.empty() ? "" : FromPage()), row.body, "evil.example:7072");
    EXPECT_TRUE(renamed == 421 || renamed == 403) << path << ": " << renamed;
    if (row.body.empty()) continue;
    for (const std::string& head :
         {std::string(), std::string("Sink-Page: 1\r\n"), absl::StrCat("Origin: http://", host_, "\r\n"),
          std::string("Origin: http://127.0.0.1:1\r\nSink-Page: 1\r\n")})
      EXPECT_EQ(Ask(path, row.query, session + head, row.body), 403) << path << " with " << head;
  }
}

TEST_F(PageMatrixTest, FilesAreOpenAndThereIsNothingElse) {
  for (const web::PageFile& file : web::PageFiles())
    EXPECT_EQ(Ask(absl::StrCat("GET /", std::string(file.name)), "", ""), 200) << file.name;
  const std::string session = SessionOf('a');
  for (const char* path : {"/api/nosuch", "/api/", "/api/events/x", "/../tls/ca.key.pem", "/%2e%2e/tls/ca.key.pem",
                           "/sink.v1.ClientService/ListSweeps", "/metrics"}) {
    EXPECT_EQ(Ask(absl::StrCat("GET ", path), "", session), 404) << path;
    EXPECT_EQ(Ask(absl::StrCat("POST ", path), "", session + FromPage(), "{}"), 404) << path;
  }
  for (const char* method : {"PUT", "DELETE", "OPTIONS", "PATCH"})
    EXPECT_GE(Ask(absl::StrCat(method, " /api/cancel"), "", session + FromPage()), 400) << method;
}

}  // namespace
}  // namespace sink
