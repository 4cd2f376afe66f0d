#include "coordinator/doctor/reach.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "proto/files/shell_word.h"

namespace sink::doctor {
namespace {

constexpr char kCoordinator[] = "coordinator";
constexpr char kPorts[] = "coordinator's ports";

// The first line of a file; empty where there is none.
std::string ReadLine(const std::filesystem::path& path) {
  std::string line;
  std::ifstream in(path);
  std::getline(in, line);
  return line;
}

}  // namespace

Finding ExamineRefusal(const std::string& address, Peer listens, const absl::Status& why) {
  if (absl::IsPermissionDenied(why) || absl::IsUnauthenticated(why))
    return {Level::kFault, kCoordinator, absl::StrCat("the one at ", address, " refuses us: ", why.message()),
            "ask its admin for a login: sinkctl user add NAME --role viewer, then here: sinkctl login FILE"};
  switch (listens) {
    case Peer::kNobody:
      return {Level::kFault, kCoordinator, absl::StrCat("nobody answers at ", address),
              "start sink-coordinator, let its port through the firewall, or name another by --coordinator or "
              "$SINK_COORDINATOR"};
    case Peer::kSilent:
    case Peer::kOther:
      return {Level::kFault, kCoordinator,
              absl::StrCat("what listens at ", address, " does not answer as a coordinator"),
              "it may hang or have too many connections, which its log tells; else name the address that is in "
              "DATA/coordinator.addr where it runs, or, if another program has taken its port, stop that or start "
              "sink-coordinator with another --listen"};
    case Peer::kCoordinator:
      break;
  }
  return {Level::kFault, kCoordinator,
          absl::StrCat("one listens at ", address, ", but the call failed: ", why.message()),
          "if its certificate here is missing or of another coordinator: sinkctl login FILE, with what its admin makes "
          "by sinkctl user add; else look at its log"};
}

std::vector<Finding> ExaminePorts(const std::filesystem::path& data,
                                  absl::FunctionRef<Peer(const std::string& address)> find) {
  const std::string address = ReadLine(data / "coordinator.addr");
  if (address.empty()) return {};
  switch (find(address)) {
    case Peer::kNobody:
      return {{Level::kHint, kPorts, absl::StrCat("nobody listens at ", address, ": it is not running"),
               absl::StrCat("sink-coordinator --data ", files::ShellWord(data.string()), " starts it")}};
    case Peer::kSilent:
    case Peer::kOther:
      return {{Level::kFault, kPorts, absl::StrCat("what listens at ", address, " does not answer as a coordinator"),
               "look at the coordinator's log: it may hang or have too many connections; if another program is there "
               "(ss -ltnp names it), stop that, or start sink-coordinator with another --listen"}};
    case Peer::kCoordinator:
      break;
  }
  std::vector<Finding> out = {{Level::kGood, kPorts, absl::StrCat("a coordinator listens at ", address), ""}};
  const struct {
    const char *file, *what, *option;
  } others[] = {{"metrics.addr", "/metrics", "--metrics-listen"}, {"page.addr", "the page", "--page-listen"}};
  for (const auto& other : others) {
    const std::string place = ReadLine(data / other.file);
    if (!place.empty() && find(place) == Peer::kNobody)
      out.push_back(
          {Level::kFault, kPorts, absl::StrCat("nobody answers at ", place, ", where ", other.what, " should be"),
           absl::StrCat("start sink-coordinator again, with another ", other.option, " if its port is taken")});
  }
  return out;
}

}  // namespace sink::doctor
