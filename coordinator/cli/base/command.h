// What a command of sinkctl is: options declared on a command line and a function that runs with a Session. One file a
// command; commands.h lists them. Used by the main thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/cli/base/exit_codes.h"
#include "coordinator/cli/base/world.h"
#include "coordinator/cli/print/printer.h"
#include "coordinator/client/coordinator_client.h"
#include "coordinator/identity/credential.h"
#include "proto/args/command_line.h"

namespace sink::cli {

// How a command ended: an exit code and, unless it went well, one line "what; hint".
struct Outcome {
  ExitCode code = kOk;
  std::string error;
};

// The one table from a coordinator's status to an exit code.
Outcome FromStatus(const absl::Status& status);

enum class Format { kTable, kJson, kCsv };

// One invocation: the global options, and what is made from them.
class Session {
 public:
  explicit Session(World& world);

  // Makes the client; does not call yet. Ctrl-C ends its calls from then on. INVALID_ARGUMENT: `coordinator` is
  // malformed; FAILED_PRECONDITION: the program's token in the environment is none, or open to others.
  absl::Status Connect();

  // The program's token in the environment, by which the session calls; null: there is none.
  const identity::Bundle* token() const { return token_.ok() && token_->has_value() ? &**token_ : nullptr; }
  // Where this user's credential for `coordinator` is, a folder unless there is a token; empty when there is no place.
  std::string credentials() const;

  World& world() { return world_; }
  CoordinatorClient& client() { return *client_; }  // after Connect
  Printer& printer();
  Format format() const { return json ? Format::kJson : csv ? Format::kCsv : Format::kTable; }
  bool color() const;  // of standard output
  int width() const;   // the window's, else $COLUMNS, else 100 on a terminal and without end elsewhere

  // Set by the options, before printer() is first asked for.
  std::string coordinator;
  double timeout_s = 10;
  bool json = false;
  bool csv = false;
  bool no_color = false;

 private:
  World& world_;
  const absl::StatusOr<std::optional<identity::Bundle>> token_;
  std::unique_ptr<CoordinatorClient> client_;
  std::unique_ptr<Interrupt::Waker> waker_;  // before client_ in death: it points there
  std::unique_ptr<Printer> printer_;
};

// What an argument names, for completion in the shell.
enum class Names {
  kNothing,
  kFile,
  kSweep,
  kJob,
  kSweepOrJob,
  kWorker,
  kUser,  // people and programs that may call, as `sinkctl user revoke` names them
  kState,
  kShell,
  kMetric,      // of the sweep that the command is about
  kJobMetric,   // of the job that it is about
  kExperiment,  // of the sweep
  kProfile
};

// The commands as they are added.
class Commands {
 public:
  using Run = std::function<Outcome(Session&)>;
  struct Entry {
    args::Command command;
    Names arguments;  // what its positional arguments name
    bool local;       // runs without a connected client
    Run run;          // empty for a group of commands
  };

  // `json` is the option of sinkctl that asks for it.
  Commands(args::Command root, args::Option json) : root_(root), json_(json) {}

  // A command of sinkctl. `examples` are shown at the end of its help.
  args::Command Add(const std::string& name, const std::string& description, Names arguments,
                    const std::vector<std::string>& examples);
  // One of a group.
  args::Command AddTo(args::Command group, const std::string& name, const std::string& description, Names arguments,
                      const std::vector<std::string>& examples);
  // One that needs no coordinator.
  args::Command AddLocal(const std::string& name, const std::string& description, Names arguments,
                         const std::vector<std::string>& examples);
  void OnRun(args::Command command, Run run);

  args::Command root() const { return root_; }
  args::Option json() const { return json_; }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  args::Command root_;
  args::Option json_;
  std::vector<Entry> entries_;
};

}  // namespace sink::cli
