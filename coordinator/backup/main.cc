// sink-backup: copies a coordinator's data folder while it runs, puts a copy back, salvages what a damaged log has
// left, and gives jobs checkpoints back that are newer than either. Exit status: 0 done, 1 could not, 2 wrong usage, 3
// done but for checkpoints whose files are gone or damaged.
#include <ctime>
#include <string>
#include <vector>

#include "coordinator/backup/adopt.h"
#include "coordinator/backup/backup.h"
#include "coordinator/backup/salvage.h"
#include "coordinator/backup/tell.h"
#include "proto/args/command_line.h"

namespace {

namespace backup = sink::backup;

constexpr char kExamples[] =
    "Examples:\n"
    "  sink-backup make --data /var/lib/sink --to /mnt/other/sink       # as often as you like; adds what is new\n"
    "  sink-backup make --data /var/lib/sink --to /mnt/other/sink --check  # now and then\n"
    "  sink-backup restore --from /mnt/other/sink --data /var/lib/sink  # then start sink-coordinator\n"
    "  sink-backup salvage --data /var/lib/sink   # its log is damaged, and there is no backup\n"
    "  sink-backup adopt --data /var/lib/sink     # then: jobs go on from checkpoints that were set aside\n"
    "  sink-backup adopt --data /var/lib/sink 3f2a 77c0   # these jobs alone, by their ids or how those begin\n";

}  // namespace

int main(int argc, char** argv) {
  std::string data, folder;
  std::vector<std::string> jobs;
  backup::RestoreOptions options;
  options.unix_seconds = std::time(nullptr);
  sink::args::CommandLine line("Copies a coordinator's data folder while it runs, and puts a copy back.",
                               "sink-backup");
  line.SetVersion("sink-backup " SINK_VERSION);
  sink::args::Command root = line.root();
  root.RequireCommand();
  root.SetFooter(kExamples);
  sink::args::Command make = root.AddCommand("make", "Copy the database and every checkpoint's files");
  make.AddOption("--data", data, "The coordinator's --data").Required();
  make.AddOption("--to", folder, "Folder for the copy, best on another machine's disk; created when absent").Required();
  sink::args::Command restore = root.AddCommand("restore", "Make a data folder of a copy");
  restore.AddOption("--from", folder, "The copy").Required();
  restore.AddOption("--data", data, "The coordinator's --data; created when absent").Required();
  restore.AddFlag("--replace", options.replace, "Take the place of a database that is there; it is kept beside");
  sink::args::Command salvage = root.AddCommand(
      "salvage", "Go on with what stands before the damage in a log, or end a restore or salvage that was interrupted");
  salvage.AddOption("--data", data, "The coordinator's --data").Required();
  sink::args::Command adopt =
      root.AddCommand("adopt", "Let jobs go on from later checkpoints, which a salvage or a restore has set aside");
  adopt.AddOption("--data", data, "The coordinator's --data; it is stopped").Required();
  adopt.AddOption("JOB", jobs, "Ids, or how they begin; none: every job that has not ended");
  bool read_again = false;
  make.AddFlag("--check", read_again, "Read again what the copy has already, and copy anew what is damaged there");
  int status = 0;
  make.OnParsed([&] { status = backup::Tell("copied", data, backup::Make(data, folder, read_again)); });
  restore.OnParsed([&] { status = backup::Tell("restored", data, backup::Restore(folder, data, options)); });
  salvage.OnParsed([&] { status = backup::Tell(data, backup::Salvage(data, options.unix_seconds)); });
  adopt.OnParsed([&] {
    backup::Adoption adoption;
    const absl::Status done = backup::Adopt(data, jobs, options.unix_seconds, &adoption);
    status = backup::Tell(done, adoption);
  });
  if (const auto parsed = line.Parse(argc, argv, /*usage=*/2)) return *parsed;
  return status;
}
