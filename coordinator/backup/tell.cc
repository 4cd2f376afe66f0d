// See tell.h.
#include "coordinator/backup/tell.h"

#include <iostream>

#include "absl/strings/str_cat.h"
#include "proto/files/shell_word.h"

namespace sink::backup {
namespace {

constexpr int kDone = 0, kFailed = 1, kDamaged = 3;

int Failed(const absl::Status& status) {
  std::cerr << "sink-backup: " << status.message() << "\n";
  return kFailed;
}

std::string Counted(int64_t count, const std::string& what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

void TellSetAside(int64_t checkpoints, const std::string& data) {
  if (checkpoints == 0) return;
  std::cout << "in checkpoints/set-aside: " << Counted(checkpoints, "checkpoint") << " beyond its database; jobs go on "
            << "from those, before the coordinator starts, with: sink-backup adopt --data " << files::ShellWord(data)
            << "\n";
}

}  // namespace

int Tell(const char* did, const std::string& data, const absl::StatusOr<Report>& report) {
  if (!report.ok()) return Failed(report.status());
  std::cout << did << " " << Counted(report->jobs, "job") << ", " << Counted(report->checkpoints, "checkpoint") << ", "
            << report->bytes << " bytes of them now\n";
  if (!report->set_aside.empty()) std::cout << "the database that was there is kept as " << report->set_aside << "\n";
  TellSetAside(report->checkpoints_set_aside, data);
  if (report->lost_checkpoints == 0) return kDone;
  std::cerr
      << "sink-backup: left out: " << Counted(report->lost_checkpoints, "checkpoint")
      << ", whose files are gone or damaged, or went before they were copied; jobs that have not ended go on from "
      << "their others" << (report->begun_anew.empty() ? "" : ", where they have any") << "\n";
  for (const std::string& job : report->begun_anew)
    std::cerr << "sink-backup: job " << job << " has none left, and begins anew\n";
  return kDamaged;
}

int Tell(const std::string& data, const absl::StatusOr<Replaced>& salvaged) {
  if (!salvaged.ok()) return Failed(salvaged.status());
  for (const std::string& name : salvaged->set_aside)
    std::cout << "what was left of a database is in its place; all that was there is kept as " << name << "\n";
  if (salvaged->jobs >= 0) std::cout << "the coordinator goes on with " << Counted(salvaged->jobs, "job") << "\n";
  TellSetAside(salvaged->checkpoints, data);
  if (salvaged->forgotten > 0) {
    std::cout << "named no more, as their files are gone: " << Counted(salvaged->forgotten, "checkpoint") << "; "
              << "without any that is named, so that they begin anew: " << Counted(salvaged->begun_anew, "job") << ", "
              << "unless sink-backup adopt takes one that was set aside: sink-backup adopt --data "
              << files::ShellWord(data) << "\n";
  }
  if (salvaged->identity)
    std::cout << "who was revoked last may count again: sinkctl user revoke, sinkctl worker revoke\n";
  return kDone;
}

int Tell(const absl::Status& status, const Adoption& adoption) {
  for (const Adopted& job : adoption.jobs) {
    std::cout << "job " << job.job_id << " goes on from step " << job.step;
    if (job.measured_until < job.step) {
      std::cout << "; the points between step " << job.measured_until << ", the last that its database knows of, and "
                << "that are missing from its curves";
    }
    std::cout << "\n";
  }
  if (!adoption.jobs.empty()) {
    std::cout << "a job that begins anew, or from an older checkpoint, would compute such points again: sinkctl "
                 "checkpoint drop JOB --step N\n";
  } else if (status.ok() && adoption.damaged.empty()) {
    std::cout << "nothing was set aside that is later than what its job has\n";
  }
  for (const std::string& what : adoption.damaged)
    std::cerr << "sink-backup: a checkpoint is damaged and stays set aside: " << what << "\n";
  if (!status.ok()) return Failed(status);
  return adoption.damaged.empty() ? kDone : kDamaged;
}

}  // namespace sink::backup
