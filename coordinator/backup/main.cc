// sink-backup: copies a coordinator's data folder while it runs, puts a copy back, and salvages what a damaged log has
// left. Exit status: 0 done, 1 could not, 2 wrong usage, 3 done but for checkpoints whose files are gone or damaged.
#include <ctime>
#include <iostream>
#include <string>

#include "coordinator/backup/backup.h"
#include "coordinator/backup/salvage.h"
#include "proto/args/command_line.h"

namespace {

constexpr char kExamples[] =
    "Examples:\n"
    "  sink-backup make --data /var/lib/sink --to /mnt/other/sink       # as often as you like; adds what is new\n"
    "  sink-backup make --data /var/lib/sink --to /mnt/other/sink --check  # now and then\n"
    "  sink-backup restore --from /mnt/other/sink --data /var/lib/sink  # then start sink-coordinator\n"
    "  sink-backup salvage --data /var/lib/sink   # its log is damaged, and there is no backup\n";

int Tell(const char* did, const absl::StatusOr<sink::backup::Report>& report) {
  if (!report.ok()) {
    std::cerr << "sink-backup: " << report.status().message() << "\n";
    return 1;
  }
  std::cout << did << " " << report->jobs << " jobs, " << report->checkpoints << " checkpoints, " << report->bytes
            << " bytes of them now\n";
  if (!report->set_aside.empty()) std::cout << "the database that was there is kept as " << report->set_aside << "\n";
  if (report->lost_checkpoints > 0) {
    std::cerr << "sink-backup: " << report->lost_checkpoints
              << " checkpoints have files that are gone or damaged and were left out; their jobs go on from others\n";
  }
  return report->lost_checkpoints > 0 ? 3 : 0;
}

int Tell(const absl::StatusOr<sink::backup::Salvaged>& salvaged) {
  if (!salvaged.ok()) {
    std::cerr << "sink-backup: " << salvaged.status().message() << "\n";
    return 1;
  }
  for (const std::string& name : salvaged->set_aside)
    std::cout << "what stood before the damage is in its place; the database and its damaged log are kept as " << name
              << "\n";
  if (salvaged->jobs >= 0)
    std::cout << "the coordinator goes on with " << salvaged->jobs << " jobs; " << salvaged->checkpoints
              << " checkpoints that its database does not name are in checkpoints/set-aside\n";
  if (salvaged->identity)
    std::cout << "who was revoked last may count again: sinkctl user revoke, sinkctl worker revoke\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string data, folder;
  sink::backup::RestoreOptions options;
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
  sink::args::Command salvage = root.AddCommand("salvage", "Go on with what stands before the damage in a log");
  salvage.AddOption("--data", data, "The coordinator's --data").Required();
  bool read_again = false;
  make.AddFlag("--check", read_again, "Read again what the copy has already, and copy anew what is damaged there");
  int status = 0;
  make.OnParsed([&] { status = Tell("copied", sink::backup::Make(data, folder, read_again)); });
  restore.OnParsed([&] { status = Tell("restored", sink::backup::Restore(folder, data, options)); });
  salvage.OnParsed([&] { status = Tell(sink::backup::Salvage(data, options.unix_seconds)); });
  if (const auto parsed = line.Parse(argc, argv, /*usage=*/2)) return *parsed;
  return status;
}
