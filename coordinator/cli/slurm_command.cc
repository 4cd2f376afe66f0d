// `sinkctl slurm up`: asks a Slurm cluster for nodes and lets a worker run on each, by way of deploy/slurm's script.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/files/program.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

constexpr int kMaxNodes = 1000;  // the size of an array job that Slurm allows unless told otherwise
constexpr const char* kScripts[] = {"deploy/slurm/sink-worker.sbatch", "/usr/local/share/sink/sink-worker.sbatch",
                                    "/usr/share/sink/sink-worker.sbatch"};

struct UpOptions {
  int nodes = 1;
  std::string time;
  std::string script;
  std::vector<std::string> sbatch;  // passed on
};

std::string FindScript(const UpOptions& options, const World& world) {
  if (!options.script.empty()) return options.script;
  if (const char* named = world.getenv("SINK_SLURM_SCRIPT"); named != nullptr && *named != '\0') return named;
  for (const char* script : kScripts)
    if (std::filesystem::exists(script)) return script;
  return "";
}

Outcome Up(Session& session, const UpOptions& options) {
  World& world = session.world();
  const std::string script = FindScript(options, world);
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(script, ignored)) {
    return {kUsage, absl::StrCat("there is no script ", script.empty() ? kScripts[0] : script,
                                 "; run this in the project's folder, or name the file with --script")};
  }
  // Nodes that find no coordinator would wait for it, and be paid for.
  if (const auto workers = session.client().ListWorkers({}); !workers.ok()) return FromStatus(workers.status());
  if (absl::StartsWith(session.coordinator, "127.") || absl::StartsWith(session.coordinator, "localhost")) {
    world.err << "sinkctl: note: " << session.coordinator << " is this machine's own address; "
              << "nodes elsewhere cannot reach it (--coordinator)\n";
  }
  std::vector<std::string> words = {"sbatch", "--parsable", absl::StrCat("--array=1-", options.nodes), "--nodes=1",
                                    "--export=ALL"};
  if (!options.time.empty()) words.push_back("--time=" + options.time);
  words.insert(words.end(), options.sbatch.begin(), options.sbatch.end());
  words.push_back(script);
  const auto ended = RunProgram(words, ProgramOutput::kCaptured, {"SINK_COORDINATOR=" + session.coordinator});
  if (!ended.ok()) {
    return {kRefused, absl::StrCat("cannot run sbatch (", ended.status().message(),
                                   "); use a machine from which jobs can be submitted to Slurm")};
  }
  if (ended->code != 0) return {kRefused, "sbatch has refused; its message is above"};
  // "JOB" or "JOB;CLUSTER".
  const std::string answer(absl::StripAsciiWhitespace(ended->output));
  const std::string job = answer.substr(0, answer.find(';'));
  if (session.json) {
    world.out << nlohmann::json{{"job", job}, {"nodes", options.nodes}}.dump() << "\n";
  } else {
    world.out << "Slurm job " << job << ": " << Counted(options.nodes, "node") << "\n"
              << "see them come:  squeue --job " << job << ";  sinkctl workers\n"
              << "let them go:    scancel --state=PENDING " << job << ";  scancel --signal=TERM --batch " << job
              << "\n";
  }
  return {};
}

}  // namespace

void AddSlurmCommand(Commands& commands) {
  args::Command slurm = commands.Add("slurm", "Workers on the nodes of a Slurm cluster", Names::kNothing,
                                     {"sinkctl slurm up --nodes 4 --time 12:00:00", "sinkctl slurm up --help"});
  slurm.RequireCommand();
  args::Command up = commands.AddTo(
      slurm, "up", "Submit a job that runs a worker on each of its nodes, and is requeued", Names::kNothing,
      {"sinkctl slurm up --nodes 4 --time 12:00:00",
       "sinkctl slurm up --nodes 2 --time 1-0 -- --partition=gpu --gpus-per-node=8"});
  auto options = std::make_shared<UpOptions>();
  up.AddOption("--nodes", options->nodes, "How many nodes, each a job of its own (1)")
      .ValueText("N")
      .Within(1, kMaxNodes);
  up.AddOption("--time", options->time, "How long each may run before it is requeued, as sbatch takes it")
      .ValueText("TIME")
      .Check([](const std::string& text) {
        const bool valid = !text.empty() && text.find_first_not_of("0123456789:-") == std::string::npos;
        return valid ? std::string() : text + " is no time of Slurm's; write minutes, HH:MM:SS or DAYS-HOURS";
      });
  up.AddOption("--script", options->script,
               "The script; $SINK_SLURM_SCRIPT, else deploy/slurm/sink-worker.sbatch of the project or of /usr/local")
      .ValueText("FILE");
  up.AddOption("sbatch", options->sbatch, "Options of sbatch, after --").ValueText("OPTION...");
  commands.OnRun(up, [options](Session& session) { return Up(session, *options); });
}

}  // namespace sink::cli
