// sinkctl page: a link that lets a browser see the coordinator's page as this user.
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/files/program.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/views/views.h"
#include "coordinator/identity/credential.h"
#include "proto/files/files.h"

namespace sink::cli {
namespace {

// "http://127.0.0.1:7072/open#..." -> "127.0.0.1:7072".
absl::string_view AddressOf(absl::string_view url) {
  absl::ConsumePrefix(&url, "http://");
  return url.substr(0, url.find('/'));
}

bool IsThisMachine(absl::string_view address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:");
}

// The link itself must not be on a command line, which every user of the machine can read: the browser gets the name of
// a file that leads there.
Outcome OpenBrowser(Session& session, const std::string& url) {
  const std::string folder = identity::ConfigFolder(session.world().getenv);
  if (folder.empty()) return {kBadFile, "there is no home folder for a file that leads to the page; open the link"};
  const std::string path = folder + "/page.html";
  const std::string text = absl::StrReplaceAll(
      "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Sink</title>\n"
      "<meta http-equiv=\"refresh\" content=\"0; url=%\">\n<a href=\"%\">The page</a>\n",
      {{"%", url}});
  if (auto failed = files::MakeFolders(folder, 0700)) return {kBadFile, failed.message()};
  if (auto failed = files::ReplaceFile(path, text, 0600)) return {kBadFile, failed.message()};
  const std::string wanted = session.world().Environment("BROWSER");
  const auto ended = RunProgram({wanted.empty() ? "xdg-open" : wanted, path}, ProgramOutput::kToStderr);
  if (ended.ok() && ended->code == 0) return {};
  return {kBadFile,
          absl::StrCat("the browser could not be started (",
                       ended.ok() ? absl::StrCat("exit status ", ended->code) : std::string(ended.status().message()),
                       "); open the link by hand, or name a program in $BROWSER")};
}

Outcome OpenPage(Session& session, bool open) {
  const auto response = session.client().OpenPage({});
  if (!response.ok()) return FromStatus(response.status());
  if (session.json) {
    session.world().out << Compact({{"url", response->url()}, {"good_until_ms", response->good_until_ms()}}) << "\n";
  } else {
    session.world().out << response->url() << "\n";
  }
  std::ostream& notes = session.world().err;
  notes << "sinkctl: note: the link works once, until " << FormatTime(response->good_until_ms())
        << "; who opens it sees and does there what you may\n";
  if (!IsThisMachine(session.coordinator)) {
    const absl::string_view page = AddressOf(response->url());
    const absl::string_view port = page.substr(page.rfind(':') + 1);
    const std::string host = session.coordinator.substr(0, session.coordinator.rfind(':'));
    notes << "sinkctl: note: it leads to the coordinator's own machine; on another one, first: ssh -N -L " << port
          << ":" << page << " " << host << "\n";
  }
  session.world().out.flush();
  return open ? OpenBrowser(session, response->url()) : Outcome();
}

}  // namespace

void AddPageCommand(Commands& commands) {
  args::Command command = commands.Add("page", "A link to the coordinator's page, which logs a browser in as you, once",
                                       Names::kNothing, {"sinkctl page", "sinkctl page --open"});
  auto open = std::make_shared<bool>(false);
  command.AddFlag("--open", *open, "Open it in this machine's browser ($BROWSER, else xdg-open)");
  commands.OnRun(command, [open](Session& session) { return OpenPage(session, *open); });
}

}  // namespace sink::cli
