// Whole files, so that a crash leaves either the old state or the new one, never half of one. What is created obeys the
// umask. Stateless functions; any thread.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>

#include "proto/files/file_error.h"

namespace sink::files {

// The file's bytes, of whatever kind it is; EFBIG when they are more than max_bytes.
FileResult<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Creates the file or overwrites it where it lies: for files in a folder that counts only once it is renamed. `sync`:
// its bytes are on disk on return (its name is not: SyncFolder).
FileError WriteFile(const std::string& path, std::string_view bytes, bool sync);

// Makes the bytes the content of `path` in one step that survives a power cut: they go to a new file of an unguessable
// name in the same folder (".<32 hex digits>.tmp"), which is synced and renamed over `path`; then the folder is synced.
// A symbolic link stays, and the file it points to is replaced. After a failure the old file is there as it was, and
// nothing beside it. EINVAL when `path` is there and not a regular file.
FileError ReplaceFile(const std::string& path, std::string_view bytes, mode_t mode = 0666);

// The same for what a person names as a program's --out, which is taken as what it is: "-" and /dev/stdout are standard
// output; a device or a FIFO is written to; all else is replaced.
FileError WriteOutput(const std::string& path, std::string_view bytes);
FileError WriteOutput(const std::string& path, std::span<const std::string_view> pieces);  // one after another
// Whether WriteOutput(path) writes to standard output, which must then hold nothing else.
bool IsStandardOutput(std::string_view path);

// Force to disk what others wrote, and the names in a folder.
FileError SyncFile(const std::string& path);
FileError SyncFolder(const std::string& path);

// Makes the folder and those above it that are missing, durably. EEXIST or ENOTDIR when something else is in the way.
FileError MakeFolders(const std::string& path, mode_t mode = 0777);

FileError Rename(const std::string& from, const std::string& to);
FileError RenameDurably(const std::string& from, const std::string& to);  // and syncs the folder that `to` is in

// The folder that a path's last name is in; "." for a bare name.
std::string FolderOf(const std::string& path);

// Where a path leads when symbolic links in its last name are followed, whether or not something is there. ELOOP.
FileResult<std::string> FollowLinks(const std::string& path);

}  // namespace sink::files
