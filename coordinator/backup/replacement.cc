// See replacement.h. The note, a word and its values a line:
//   jobs 12
//   forgotten 2
//   anew 1
//   database sink.db sink.db.replaced
//   checkpoint <job>/<fence>/step-20
#include "coordinator/backup/replacement.h"

#include <filesystem>
#include <set>
#include <sstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "coordinator/backup/data_folder.h"
#include "coordinator/backup/ownership.h"
#include "coordinator/backup/set_aside.h"
#include "coordinator/files/file_status.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/store/begun_salvage.h"
#include "proto/files/files.h"

namespace sink::backup {
namespace {

constexpr mode_t kSetAsideMode = 0700, kNoteMode = 0600;
constexpr size_t kMostNoteBytes = 256 << 20;

// While its part is there, a database is not in its place yet.
absl::Status PutIntoPlace(const std::string& place, const std::string& aside) {
  std::error_code error;
  if (std::filesystem::exists(PartOf(place), error)) {
    SINK_RETURN_IF_ERROR(MoveDatabase(place, aside));
    return ToStatus(files::RenameDurably(PartOf(place), place));
  }
  if (!error && std::filesystem::exists(place, error)) return absl::OkStatus();
  if (error) return SystemStatus(error.value(), "look at", place);
  return absl::DataLossError(absl::StrCat(PartOf(place), " is gone, which was to become ", place,
                                          ": put it back, or remove salvage-begun and restore a backup; the database ",
                                          "is kept as ", aside));
}

// One of that name that was set aside before stays, under another.
absl::Status MoveCheckpoint(const std::string& data, const std::string& name) {
  const std::string from = InFolder(CheckpointsFolder(data), name), to = InFolder(SetAsideFolder(data), name);
  if (!IsThere(from)) return absl::OkStatus();  // it has moved
  SINK_RETURN_IF_ERROR(ToStatus(files::MakeFolders(files::FolderOf(to), kSetAsideMode)));
  if (IsThere(to)) SINK_RETURN_IF_ERROR(ToStatus(files::Rename(to, NameAside(to))));
  return ToStatus(files::RenameDurably(from, to));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ListUnnamed(const std::string& data, const std::vector<Checkpoint>& rows) {
  std::set<CheckpointKey> named;
  for (const Checkpoint& row : rows) named.insert(KeyOf(row));
  SINK_ASSIGN_OR_RETURN(const std::vector<CheckpointKey> there, ListComplete(CheckpointsFolder(data)));
  std::vector<std::string> unnamed;
  for (const CheckpointKey& key : there) {
    if (!named.contains(key)) unnamed.push_back(CheckpointName(key));
  }
  return unnamed;
}

absl::Status BeginReplacement(const std::string& data, const Replacement& replacement) {
  std::string note = absl::StrCat("jobs ", replacement.jobs, "\nforgotten ", replacement.forgotten, "\nanew ",
                                  replacement.begun_anew, "\n");
  for (const std::string& name : replacement.databases) {
    const std::string place = InFolder(data, name);
    SINK_RETURN_IF_ERROR(ToStatus(files::SyncFile(PartOf(place))));
    SINK_RETURN_IF_ERROR(ToStatus(files::SyncFolder(files::FolderOf(place))));
    absl::StrAppend(&note, "database ", name, " ", NameAside(place).substr(data.size() + 1), "\n");
  }
  for (const std::string& name : replacement.checkpoints) absl::StrAppend(&note, "checkpoint ", name, "\n");
  return ToStatus(files::ReplaceFile(store::SalvageNote(data), note, kNoteMode));
}

absl::StatusOr<Replaced> FinishReplacement(const std::string& data) {
  const std::string note = store::SalvageNote(data);
  const auto text = files::ReadFile(note, kMostNoteBytes);
  if (!text.ok()) return ToStatus(text.error());
  std::istringstream words(*text);
  Replaced replaced;
  int databases = 0;
  for (std::string word, name, aside; words >> word;) {
    if (word == "jobs") {
      words >> replaced.jobs;
    } else if (word == "forgotten") {
      words >> replaced.forgotten;
    } else if (word == "anew") {
      words >> replaced.begun_anew;
    } else if (word == "database" && words >> name >> aside) {
      const std::string kept = InFolder(data, aside);
      SINK_RETURN_IF_ERROR(PutIntoPlace(InFolder(data, name), kept));
      if (IsDatabaseThere(kept)) replaced.set_aside.push_back(kept);
      if (name == kIdentityDatabase) replaced.identity = true;
      ++databases;
    } else if (word == "checkpoint" && words >> name) {
      SINK_RETURN_IF_ERROR(MoveCheckpoint(data, name));
      ++replaced.checkpoints;
    }
  }
  if (databases == 0)
    return absl::DataLossError(absl::StrCat(note, " does not say what was begun: remove it and restore a backup"));
  SINK_RETURN_IF_ERROR(GiveToOwner(data));
  std::error_code error;
  std::filesystem::remove(note, error);
  if (error) return SystemStatus(error.value(), "remove", note);
  SINK_RETURN_IF_ERROR(ToStatus(files::SyncFolder(data)));
  return replaced;
}

}  // namespace sink::backup
