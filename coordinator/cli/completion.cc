// sinkctl completion: a script for the user's shell, which asks the hidden `sinkctl __complete WORD...` what may stand
// for the last word. The answer has a line "candidate<TAB>description" for each, or the one line ":files".
#include "coordinator/cli/completion.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/print/terminal_text.h"
#include "coordinator/cli/study/metric_names.h"
#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/views.h"
#include "proto/base/counted.h"

namespace sink::cli {
namespace {

constexpr char kBash[] = R"sh(# bash completion of sinkctl; enable it with:  source <(sinkctl completion bash)
_sinkctl() {
  local answer
  answer=$(sinkctl __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=()
  if [[ $answer == ":files" ]]; then
    compopt -o default
  elif [[ -n $answer ]]; then
    mapfile -t COMPREPLY < <(cut -f 1 <<<"$answer")
  fi
}
complete -F _sinkctl sinkctl
)sh";

constexpr char kZsh[] = R"sh(#compdef sinkctl
# zsh completion of sinkctl; enable it with:  source <(sinkctl completion zsh)
_sinkctl() {
  local line
  local -a answer items
  answer=("${(@f)$(sinkctl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ ${answer[1]} == ":files" ]]; then
    _files
    return
  fi
  for line in "${answer[@]}"; do
    [[ -n $line ]] && items+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  _describe sinkctl items
}
# As a file of a folder in $fpath this is the function itself, at its first call.
if [[ ${funcstack[1]} == _sinkctl ]]; then
  _sinkctl "$@"
else
  compdef _sinkctl sinkctl
fi
)sh";

constexpr char kFish[] = R"sh(# fish completion of sinkctl; enable it with:  sinkctl completion fish | source
function __sinkctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer (sinkctl __complete $words[2..-1] 2>/dev/null)
    if test "$answer[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $answer
    end
end
complete -c sinkctl -f -a '(__sinkctl_complete)'
)sh";

struct Candidate {
  std::string word;
  std::string description;
};

std::vector<Candidate> SweepNames(Session& session) {
  std::vector<Candidate> out;
  if (!session.Connect().ok()) return out;
  if (const auto sweeps = session.client().ListSweeps({}); sweeps.ok())
    for (const v1::Sweep& sweep : sweeps->sweeps()) out.push_back({sweep.name(), Counted(sweep.jobs(), "job")});
  return out;
}

std::vector<Candidate> JobIds(Session& session) {
  std::vector<Candidate> out;
  if (!session.Connect().ok()) return out;
  if (const auto jobs = session.client().ListJobs({}); jobs.ok())
    for (const v1::Job& job : jobs->jobs())
      out.push_back({job.id().substr(0, kShortId),
                     StateCell(StateName(job.state())).text + " " +
                         (job.sweeps_size() > 0 ? ShortLabel(job.sweeps(0).label()) : std::string())});
  return out;
}

std::vector<Candidate> WorkerNames(Session& session) {
  std::vector<Candidate> out;
  if (!session.Connect().ok()) return out;
  if (const auto workers = session.client().ListWorkers({}); workers.ok())
    for (const v1::Worker& worker : workers->workers()) out.push_back({worker.name(), worker.state()});
  return out;
}

// An admin is told them, others are told nothing.
std::vector<Candidate> UserNames(Session& session) {
  std::vector<Candidate> out;
  if (!session.Connect().ok()) return out;
  if (const auto known = session.client().ListPrincipals({}); known.ok())
    for (const v1::PrincipalInfo& info : known->principals())
      if (!info.revoked() && !info.name().starts_with("worker/"))
        out.push_back({info.name().substr(info.name().starts_with("user/") ? 5 : 0), info.role()});
  return out;
}

// What the job has measured.
std::vector<Candidate> JobMetrics(const std::string& id, Session& session) {
  std::vector<Candidate> out;
  if (id.empty() || !session.Connect().ok()) return out;
  v1::GetJobRequest request;
  request.set_id(id);
  const auto response = session.client().GetJob(request);
  if (!response.ok()) return out;
  for (const auto& [name, value] : response->job().progress().latest()) out.push_back({name, ""});
  std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) { return a.word < b.word; });
  return out;
}

std::vector<Candidate> Experiments(const std::string& sweep, Session& session) {
  std::vector<Candidate> out;
  if (sweep.empty() || !session.Connect().ok()) return out;
  v1::GetSweepRequest request;
  request.set_name(sweep);
  if (const auto status = session.client().GetSweep(request); status.ok())
    for (const v1::Job& job : status->jobs()) out.push_back({PlaceIn(job, sweep).experiment(), ""});
  return out;  // repeated ones are told once
}

// What the sweep has measured.
std::vector<Candidate> Metrics(const std::string& sweep, Session& session) {
  std::vector<Candidate> out;
  if (sweep.empty() || !session.Connect().ok()) return out;
  v1::GetSweepRequest request;
  request.set_name(sweep);
  if (const auto status = session.client().GetSweep(request); status.ok())
    for (std::string& name : MetricNames(*status)) out.push_back({std::move(name), ""});
  return out;
}

// The profiles beside the sweep file; files where there are none.
std::vector<Candidate> Profiles(const std::string& file) {
  std::vector<Candidate> out;
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(file).parent_path() / "profiles";
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().extension() == ".yaml") out.push_back({entry.path().stem().string(), ""});
  std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) { return a.word < b.word; });
  if (out.empty()) out.push_back({":files", ""});
  return out;
}

// `subject`: the first word that the command was given, often what its options are about.
std::vector<Candidate> Values(Names names, const std::string& subject, Session& session) {
  switch (names) {
    case Names::kMetric:
      return Metrics(subject, session);
    case Names::kJobMetric:
      return JobMetrics(subject, session);
    case Names::kExperiment:
      return Experiments(subject, session);
    case Names::kWorker:
      return WorkerNames(session);
    case Names::kUser:
      return UserNames(session);
    case Names::kProfile:
      return Profiles(subject);
    case Names::kNothing:
      return {};
    case Names::kFile:
      return {{":files", ""}};
    case Names::kShell:
      return {{"bash", ""}, {"zsh", ""}, {"fish", ""}};
    case Names::kSweep:
      return SweepNames(session);
    case Names::kJob:
      return JobIds(session);
    case Names::kSweepOrJob: {
      std::vector<Candidate> out = SweepNames(session);
      for (Candidate& job : JobIds(session)) out.push_back(std::move(job));
      return out;
    }
    case Names::kState: {
      std::vector<Candidate> out;
      for (int state = v1::QUEUED; state <= v1::CANCELLED; ++state)
        out.push_back({StateCell(StateName(static_cast<v1::JobState>(state))).text, ""});
      return out;
    }
  }
  return {};
}

Names NamesOfOption(const std::string& command, const std::string& option) {
  if (option == "--name" && command == "metrics") return Names::kJobMetric;
  if (option == "--experiment") return Names::kExperiment;
  if (option == "--sweep" || option == "--failed") return Names::kSweep;
  if (option == "--state") return Names::kState;
  if (option == "--job") return Names::kJob;
  if (option == "--metric") return Names::kMetric;
  if (option == "--profile") return Names::kProfile;
  for (const char* path :
       {"--out", "--python", "--speed", "--worker", "--data-root", "--trainer", "--coordinator-data"})
    if (option == path) return Names::kFile;
  return Names::kNothing;
}

// What may follow an option: the words of its help where these are a choice ("markdown|html|both"; "NAME|PATH" stands
// for other words).
std::vector<Candidate> ValuesOf(const std::string& command, const args::Option& option, const std::string& subject,
                                Session& session) {
  const std::string text = option.value_text();
  const bool choice =
      text.find('|') != std::string::npos && std::none_of(text.begin(), text.end(), absl::ascii_isupper);
  if (!choice) return Values(NamesOfOption(command, option.name()), subject, session);
  std::vector<Candidate> out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('|', begin), text.size());
    out.push_back({text.substr(begin, end - begin), ""});
    begin = end + 1;
  }
  return out;
}

// The option of a command, or of sinkctl itself, that `word` names.
std::optional<args::Option> FindOption(std::optional<args::Command> command, const std::string& word) {
  for (; command; command = command->parent())
    if (const auto option = command->FindOption(word)) return option;
  return std::nullopt;
}

std::vector<Candidate> Candidates(const std::vector<std::string>& words, const Commands& commands, Session& session) {
  args::Command command = commands.root();
  std::string subject;
  std::optional<args::Option> waiting;  // the option whose value comes next
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (waiting) {
      if (waiting->Is("--coordinator")) session.coordinator = word;
      waiting.reset();
    } else if (word.size() > 1 && word[0] == '-') {
      const std::optional<args::Option> option = FindOption(command, word);
      if (option && option->takes_value()) waiting = option;
    } else if (const auto named = command.FindCommand(word)) {
      command = *named;
    } else if (subject.empty()) {
      subject = word;
    }
  }
  if (waiting) return ValuesOf(command.name(), *waiting, subject, session);
  std::vector<Candidate> out;
  if (words.back().starts_with("-")) {
    for (std::optional<args::Command> c = command; c; c = c->parent())
      for (const args::Option& option : c->options())
        if (!option.long_names().empty()) out.push_back({"--" + option.long_names().front(), option.description()});
    return out;
  }
  for (const args::Command& sub : command.commands()) out.push_back({sub.name(), sub.description()});
  if (out.empty())
    for (const Commands::Entry& entry : commands.entries())
      if (entry.command == command) return Values(entry.arguments, subject, session);
  return out;
}

Outcome Script(Session& session, const std::string& shell) {
  if (session.json) return {kUsage, "completion prints a script; leave --json out"};
  session.world().out << (shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish) << std::flush;
  return {};
}

}  // namespace

void Complete(const std::vector<std::string>& words, const Commands& commands, Session& session) {
  if (words.empty()) return;
  std::vector<std::string> seen;
  for (const Candidate& candidate : Candidates(words, commands, session)) {
    if (candidate.word != ":files" && !candidate.word.starts_with(words.back())) continue;
    if (std::find(seen.begin(), seen.end(), candidate.word) != seen.end()) continue;
    seen.push_back(candidate.word);
    session.world().out << Clean(candidate.word);
    if (!candidate.description.empty()) session.world().out << "\t" << Clean(candidate.description);
    session.world().out << "\n";
  }
  session.world().out << std::flush;
}

void AddCompletionCommand(Commands& commands) {
  args::Command command = commands.AddLocal("completion", "Print a completion script for a shell", Names::kShell,
                                            {"source <(sinkctl completion bash)", "sinkctl completion fish | source"});
  auto shell = std::make_shared<std::string>();
  command.AddOption("SHELL", *shell, "bash, zsh or fish").Required().OneOf({"bash", "zsh", "fish"});
  commands.OnRun(command, [shell](Session& session) { return Script(session, *shell); });
}

}  // namespace sink::cli
