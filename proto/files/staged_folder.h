// A folder that appears complete or not at all: files are written below path(), and Commit() renames it to its target.
// A symbolic link as target stays, and what it points to appears. Owned by one thread.
#pragma once

#include <string>

#include "proto/files/descriptor.h"
#include "proto/files/file_error.h"

namespace sink::files {

class StagedFolder {
 public:
  // Below a new folder of an unguessable name beside `target`, made with those above it. EEXIST when `target` is there
  // and not an empty folder, EINVAL for "-".
  static FileResult<StagedFolder> Create(const std::string& target);

  // Below TARGET.partial, where a run that was killed left what it had, for the next one to use or to clear. EEXIST as
  // above, EBUSY when another process is writing it.
  static FileResult<StagedFolder> Resume(const std::string& target);

  StagedFolder(StagedFolder&& other) noexcept;
  StagedFolder& operator=(StagedFolder&&) = delete;
  ~StagedFolder();  // removes what was not committed, unless KeepUnfinished was called

  const std::string& path() const { return path_; }
  FileError Clear();      // removes what path() holds
  void KeepUnfinished();  // what is there serves a next run
  // Syncs the folders, renames, syncs the folder above. That the files are on disk is their writer's part.
  FileError Commit();

 private:
  StagedFolder(std::string target, std::string path) : target_(std::move(target)), path_(std::move(path)) {}

  std::string target_;
  std::string path_;
  bool remove_ = true;
  Fd lock_;  // of a resumed one: the folder, locked against a second writer
};

}  // namespace sink::files
