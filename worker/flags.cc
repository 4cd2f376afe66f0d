// See flags.h.
#include "worker/flags.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "coordinator/identity/host_port.h"
#include "proto/files/control_group.h"
#include "proto/run/checkpoint_names.h"
#include "worker/control_group.h"
#include "worker/trainer_process.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr size_t kGroupDigits = 12;  // of the worker's id, in the names of its control groups

// The folders are the worker's; the user gets through them. Sets below a folder that several pass through would be
// everybody's: they are for whoever packs them to open.
absl::Status LetReach(const TrainerUser& user, const DataFolder& folder, bool own_sets, const RunnerContext& runner) {
  absl::Status status = LetThrough(user, folder.path());
  if (status.ok() && own_sets && user.alone) status = LetList(user, runner.data_root);
  if (status.ok()) status = CheckReach(user, folder.path(), X_OK);
  if (status.ok()) status = CheckReach(user, runner.trainer, X_OK);
  if (status.ok()) status = CheckReach(user, runner.data_root, R_OK | X_OK);
  if (status.ok() && !runner.model_root.empty()) status = CheckReach(user, runner.model_root, R_OK | X_OK);
  return status;
}

// Trainers have their own user's home instead of the worker's.
absl::Status UseTrainerUsers(const std::string& names, int devices, const DataFolder& folder, bool own_sets,
                             DaemonOptions* options) {
  auto users = FindTrainerUsers(names, devices);
  if (!users.ok()) return users.status();
  RunnerContext& runner = options->runner;
  for (const TrainerUser& user : *users) {
    if (absl::Status status = LetReach(user, folder, own_sets, runner); !status.ok()) return status;
  }
  std::erase_if(runner.environment, [](const std::string& entry) { return absl::StartsWith(entry, "HOME="); });
  runner.trainer_users = *std::move(users);
  return absl::OkStatus();
}

// Where no group can be made, trainers run as they always could, unless one is needed for a limit.
absl::Status UseControlGroups(const Flags& flags, DaemonOptions* options) {
  const ControlGroupLimits limits = {flags.trainer_memory_mib << 20, flags.trainer_tasks};
  const bool needed = limits.memory_bytes > 0 || limits.tasks > 0;
  const files::ControlGroupPlace place = files::FindControlGroup();
  absl::Status status = absl::FailedPreconditionError(place.why_not);
  if (!place.folder.empty()) {
    auto groups = ControlGroups::Open(
        place.folder, absl::StrCat("sink-", options->runner.worker_id.substr(0, kGroupDigits), "-"), limits);
    status = groups.status();
    if (groups.ok()) options->runner.groups = *std::move(groups);
  }
  if (status.ok() || !needed) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("--trainer-memory and --trainer-tasks need a control group: ", status.message()));
}

constexpr char kTrainerName[] = "sink-trainer";

// What the coordinator takes as a worker's name.
bool IsName(const std::string& name) { return name.size() <= 64 && run::IsCheckpointFileName(name); }

// A name, an IPv4 or a bare IPv6 address: a single colon would be a port's.
bool IsHost(const std::string& host) {
  const bool characters = std::all_of(host.begin(), host.end(),
                                      [](unsigned char c) { return isalnum(c) != 0 || strchr(".-_:", c) != nullptr; });
  return characters && host.size() <= 253 && std::count(host.begin(), host.end(), ':') != 1;
}

// The name of an environment variable, or the beginning of one with a * behind it.
bool IsVariable(absl::string_view name) {
  absl::ConsumeSuffix(&name, "*");
  return !name.empty() && isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return isalnum(c) != 0 || c == '_'; });
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "worker";
}

bool IsProgram(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

void AddFlags(args::Command root, Flags& flags) {
  root.AddOption("--coordinator", flags.coordinator, "HOST:PORT (default: as the join token says)")
      .OrEnvironment("SINK_COORDINATOR");
  root.AddOption("--join", flags.join,
                 "@FILE, or - for standard input: a token of `sinkctl worker token`, for the first start (default: the "
                 "credential of this user for the coordinator)");
  root.AddOption("--data", flags.data, "folder of this worker: runs, checkpoints, undelivered events");
  root.AddOption("--name", flags.name, "name shown to people (default: the host's)");
  root.AddOption(
      "--advertise", flags.advertise,
      "HOST at which other workers reach this one, for jobs on several (default: as the coordinator sees it)");
  root.AddOption("--devices", flags.devices, "auto (GPUs, else one CPU slot), cpu:N or gpu").ShowDefault();
  root.AddOption("--trainer", flags.trainer, "the sink-trainer program (default: beside this one, else on PATH)");
  root.AddOption("--trainer-user", flags.trainer_user,
                 "run trainers as this user, who cannot read the worker's key; with %d in the name as one for each "
                 "device, numbered from 0, so that no job reaches another one. The worker starts as root, or with "
                 "CAP_SETUID, CAP_SETGID, CAP_KILL and CAP_SYS_PTRACE and in the groups of these users");
  root.AddOption("--data-root", flags.data_root, "folder of the packed sets (default: DATA/sets)");
  root.AddOption(
          "--check-sets", flags.check_sets,
          "how fast the packed sets are read, once, to compare them with their hashes, or off: their sizes alone "
          "are compared. For a large set that many workers share, or where --data does not outlive the worker")
      .ValueText("RATE|off")
      .ShowDefault();
  root.AddOption("--models", flags.models, "folder of the open models that jobs of kind evaluate measure");
  root.AddOption("--pass-env", flags.pass_env,
                 "also give trainers this variable of the worker's environment; a * at the end stands for any ending")
      .ValueText("NAME")
      .OneValueEach();
  root.AddOption("--grace", flags.grace, "how long a stopped job may take to save before it is killed").ShowDefault();
  root.AddOption("--trainer-memory", flags.trainer_memory_mib,
                 "MiB that a trainer, with all it starts, may have of the machine's memory; this and the next need a "
                 "control group of the worker's own, as the unit in deploy/systemd has it")
      .Within(64, int64_t{1} << 40);
  root.AddOption("--trainer-tasks", flags.trainer_tasks, "how many processes and threads it may be")
      .Within(16, 1 << 22);
  root.AddOption("--hang-timeout", flags.hang_timeout, "a trainer silent for this long hangs").ShowDefault();
  root.AddOption("--stall-timeout", flags.stall_timeout,
                 "a training that talks, but makes no step, measures nothing and saves no checkpoint for this long "
                 "hangs, too, unless its sweep says how long (stall); 0 or never: no limit")
      .ShowDefault();
  AddLogOptions(root, &flags.log, /*with_trace=*/true);
  root.SetFooter(
      "SIGTERM, SIGINT or SIGHUP (a closed terminal, unless started by nohup): trainers save, the rest is delivered,\n"
      "exit 0. A second SIGTERM or SIGINT kills at once.\n\nExamples:\n"
      "  sink-worker --coordinator 127.0.0.1:7070 --data ~/sink/worker1 --devices cpu:1\n"
      "  SINK_COORDINATOR=head:7070 sink-worker --data /scratch/sink --devices gpu --data-root /data/packed\n"
      "  sink-worker --data ~/sink/worker1 --join - <<< sink-join:...\n"
      "  sink-worker --data ~/sink/w --models ~/.cache/huggingface/hub\n\n"
      "Trainers see of the environment: PATH HOME LANG LC_* TZ TMPDIR LD_LIBRARY_PATH OMP_* KMP_* MKL_* MALLOC_* "
      "CUDA_*\n"
      "NCCL_* GLOO_* TP_* TORCH_* PYTORCH_*, and what --pass-env names.");
}

absl::StatusOr<std::string> FindTrainer(const std::string& flag) {
  std::error_code error;
  if (!flag.empty()) {
    if (!fs::exists(flag, error)) return absl::NotFoundError(absl::StrCat("--trainer ", flag, " does not exist"));
    if (!IsProgram(flag)) return absl::PermissionDeniedError(absl::StrCat("--trainer ", flag, " is not a program"));
    return fs::absolute(flag).string();
  }
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / kTrainerName;
  if (IsProgram(beside)) return beside.string();
  const char* search_path = getenv("PATH");
  for (absl::string_view folder : absl::StrSplit(search_path == nullptr ? "" : search_path, ':', absl::SkipEmpty())) {
    const fs::path candidate = fs::path(std::string(folder)) / kTrainerName;
    if (IsProgram(candidate)) return fs::absolute(candidate).string();
  }
  return absl::NotFoundError(
      absl::StrCat("no ", kTrainerName, " at ", beside.string(), " nor on PATH; build it or name it with --trainer"));
}

absl::StatusOr<absl::Duration> ParseDurationFlag(const std::string& flag, const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration() || duration > absl::Hours(24)) {
    return absl::InvalidArgumentError(absl::StrCat(flag, " ", text, ": give a duration up to 24h, such as 30s"));
  }
  return duration;
}

absl::StatusOr<absl::Duration> ParseTimeoutFlag(const std::string& flag, const std::string& text) {
  absl::Duration zero;
  if (text == "never" || (absl::ParseDuration(text, &zero) && zero == absl::ZeroDuration()))
    return absl::InfiniteDuration();
  auto duration = ParseDurationFlag(flag, text);
  if (duration.ok()) return duration;
  return absl::InvalidArgumentError(absl::StrCat(duration.status().message(), ", or never"));
}

absl::StatusOr<int64_t> ParseRateFlag(const std::string& flag, const std::string& text) {
  if (text == "off") return 0;
  constexpr double kMost = 1e12;
  absl::string_view number = text;
  const double unit = absl::ConsumeSuffix(&number, "MB/s") ? 1e6 : absl::ConsumeSuffix(&number, "GB/s") ? 1e9 : 0;
  double value = 0;
  if (unit == 0 || !absl::SimpleAtod(number, &value) || !(value * unit >= 1 && value * unit <= kMost)) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " ", text, ": give a rate such as 200MB/s or 1.5GB/s, or off"));
  }
  return static_cast<int64_t>(value * unit);
}

absl::Status CheckFlags(const Flags& flags) {
  if (flags.coordinator.empty() && flags.join.empty()) {
    return absl::InvalidArgumentError("--coordinator HOST:PORT is required, unless a token of --join names it");
  }
  if (flags.data.empty()) return absl::InvalidArgumentError("--data FOLDER is required");
  return absl::OkStatus();
}

EnrolmentOptions MakeEnrolmentOptions(const Flags& flags, const DataFolder& folder,
                                      const std::optional<identity::Bundle>& join) {
  EnrolmentOptions options;
  options.address = flags.coordinator;
  if (options.address.empty() && join) options.address = join->address;
  options.folder = folder.path() + "/tls";
  options.worker_id = folder.worker_id();
  if (join) options.token = join->credential;
  options.default_credential = identity::CredentialPlace(options.address, identity::ProcessEnvironment);
  options.advertise = flags.advertise;
  return options;
}

absl::StatusOr<DaemonOptions> MakeDaemonOptions(const Flags& flags, const DataFolder& folder, int devices) {
  DaemonOptions options;
  options.name = flags.name.empty() ? HostName() : flags.name;
  if (!IsName(options.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("worker name \"", options.name, "\": give --name 1 to 64 of A-Z a-z 0-9 . _ -, not a dot first"));
  }
  options.version = SINK_VERSION;
  options.advertise = flags.advertise;
  if (!IsHost(options.advertise)) {
    const std::string meant = identity::HostIn(flags.advertise);
    return absl::InvalidArgumentError(
        absl::StrCat("--advertise \"", flags.advertise, "\": give a host name or address alone, without a port",
                     IsHost(meant) && !meant.empty() ? absl::StrCat("; write ", meant) : ""));
  }
  options.session = folder.session();
  options.runner.worker_id = folder.worker_id();
  options.runner.data = folder.path();
  for (const std::string& name : flags.pass_env) {
    if (!IsVariable(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--pass-env ", name, ": give the name of a variable, such as HF_HOME, or HF_* for all that begin so"));
    }
  }
  options.runner.environment = TrainerEnvironment(environ, flags.pass_env);

  auto trainer = FindTrainer(flags.trainer);
  if (!trainer.ok()) return trainer.status();
  options.runner.trainer = *trainer;

  auto grace = ParseDurationFlag("--grace", flags.grace);
  if (!grace.ok()) return grace.status();
  options.runner.limits.grace = *grace;
  auto hang = ParseDurationFlag("--hang-timeout", flags.hang_timeout);
  if (!hang.ok()) return hang.status();
  options.runner.limits.hang = *hang;
  auto stall = ParseTimeoutFlag("--stall-timeout", flags.stall_timeout);
  if (!stall.ok()) return stall.status();
  options.runner.limits.idle = *stall;

  auto check_rate = ParseRateFlag("--check-sets", flags.check_sets);
  if (!check_rate.ok()) return check_rate.status();
  options.set_check_rate = *check_rate;

  std::error_code error;
  options.runner.data_root = flags.data_root.empty() ? folder.path() + "/sets" : fs::absolute(flags.data_root).string();
  if (flags.data_root.empty()) fs::create_directories(options.runner.data_root, error);
  if (!fs::is_directory(options.runner.data_root, error)) {
    return absl::NotFoundError(absl::StrCat("--data-root ", flags.data_root, " is not a folder"));
  }
  if (!flags.models.empty()) {
    options.runner.model_root = fs::absolute(flags.models).string();
    if (!fs::is_directory(options.runner.model_root, error)) {
      return absl::NotFoundError(absl::StrCat("--models ", flags.models, " is not a folder"));
    }
  }
  if (!flags.trainer_user.empty()) {
    absl::Status used = UseTrainerUsers(flags.trainer_user, devices, folder, flags.data_root.empty(), &options);
    if (!used.ok()) return used;
  }
  if (absl::Status status = UseControlGroups(flags, &options); !status.ok()) return status;
  return options;
}

}  // namespace sink::worker
