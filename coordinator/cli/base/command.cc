#include "coordinator/cli/base/command.h"

#include <algorithm>
#include <cstdlib>

#include "coordinator/identity/credential.h"

namespace sink::cli {
namespace {

constexpr int kUnknownWidth = 100;        // of a terminal
constexpr int kEndlessWidth = 1'000'000;  // of a file or a pipe: nothing that is read by a program is cut
constexpr double kRetrySeconds = 0.3;     // somebody waits for the answer; what follows a sweep has more patience

}  // namespace

Outcome FromStatus(const absl::Status& status) {
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return {};
    case absl::StatusCode::kInvalidArgument:
      return {kUsage, message};
    case absl::StatusCode::kNotFound:
      return {kNotFound, message};
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return {kUnreachable, message};
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kResourceExhausted:
      return {kRefused, message};
    case absl::StatusCode::kCancelled:
      return {kInterrupted, "interrupted"};
    default:
      return {kInternal, message};
  }
}

Session::Session(World& world)
    : world_(world), token_(identity::FindToken([&world](const char* name) { return world.getenv(name); })) {}

std::string Session::credentials() const {
  return identity::CredentialPlace(coordinator,
                                   [this](const char* name) -> const char* { return world_.getenv(name); });
}

absl::Status Session::Connect() {
  if (!token_.ok()) return token_.status();
  ClientOptions options;
  options.address = coordinator;
  options.credentials = credentials();
  if (token() != nullptr) options.credential = token()->credential;
  options.deadline = absl::Seconds(timeout_s);
  options.retry_for = absl::Seconds(std::min(timeout_s, kRetrySeconds));
  auto client = CoordinatorClient::Create(options);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  waker_ = std::make_unique<Interrupt::Waker>(world_.interrupt, [this] { client_->CancelCalls(); });
  return absl::OkStatus();
}

Printer& Session::printer() {
  if (printer_ == nullptr) {
    switch (format()) {
      case Format::kTable:
        printer_ = MakeTablePrinter(world_.out, width(), color());
        break;
      case Format::kJson:
        printer_ = MakeJsonPrinter(world_.out);
        break;
      case Format::kCsv:
        printer_ = MakeCsvPrinter(world_.out, world_.out_is_terminal);
        break;
    }
  }
  return *printer_;
}

bool Session::color() const { return world_.out_is_terminal && !no_color && world_.Environment("TERM") != "dumb"; }

int Session::width() const {
  if (const int columns = world_.window().columns; columns > 0) return columns;
  const int columns = std::atoi(world_.Environment("COLUMNS").c_str());
  return columns > 0 ? columns : world_.out_is_terminal ? kUnknownWidth : kEndlessWidth;
}

args::Command Commands::Add(const std::string& name, const std::string& description, Names arguments,
                            const std::vector<std::string>& examples) {
  return AddTo(root_, name, description, arguments, examples);
}

args::Command Commands::AddTo(args::Command group, const std::string& name, const std::string& description,
                              Names arguments, const std::vector<std::string>& examples) {
  args::Command command = group.AddCommand(name, description);
  std::string footer = "Examples:\n";
  for (const std::string& example : examples) footer += "  " + example + "\n";
  command.SetFooter(footer +
                    "\nOptions of every command: --coordinator, --json, --no-color, --timeout; see `sinkctl --help`.");
  command.TakeOptionsOfParent();
  entries_.push_back({command, arguments, false, nullptr});
  return command;
}

args::Command Commands::AddLocal(const std::string& name, const std::string& description, Names arguments,
                                 const std::vector<std::string>& examples) {
  const args::Command command = Add(name, description, arguments, examples);
  entries_.back().local = true;
  return command;
}

void Commands::OnRun(args::Command command, Run run) {
  for (Entry& entry : entries_)
    if (entry.command == command) entry.run = std::move(run);
}

}  // namespace sink::cli
