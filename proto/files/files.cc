#include "proto/files/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "proto/files/descriptor.h"
#include "proto/files/random_id.h"

namespace sink::files {
namespace {

namespace fs = std::filesystem;

FileError SyncAt(const std::string& path, int flags) {
  const FileResult<Fd> fd = Open(path, O_RDONLY | flags);
  return fd.ok() ? Sync(*fd, path) : fd.error();
}

using Pieces = std::span<const std::string_view>;

FileError WritePieces(const Fd& fd, const std::string& path, Pieces pieces) {
  for (const std::string_view piece : pieces) {
    if (FileError error = WriteAll(fd, path, piece)) return error;
  }
  return {};
}

// Writes the bytes to a new file `temporary` and renames it; `path` is what errors name.
FileError WriteAndRename(const std::string& temporary, const std::string& target, const std::string& path,
                         Pieces pieces, mode_t mode) {
  {
    FileResult<Fd> fd = Open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (!fd.ok()) return SystemError(fd.error().code(), "write", path);
    if (FileError error = WritePieces(*fd, path, pieces)) return error;
    if (FileError error = Sync(*fd, path)) return error;
    // Some network file systems report a full disk only here.
    if (close(fd->Release()) != 0) return SystemError(errno, "write", path);
  }
  return std::rename(temporary.c_str(), target.c_str()) == 0 ? FileError() : SystemError(errno, "write", path);
}

// ReplaceFile, of pieces.
FileError Replace(const std::string& path, Pieces pieces, mode_t mode) {
  const FileResult<std::string> target = FollowLinks(path);
  if (!target.ok()) return target.error();
  struct stat info = {};
  if (stat(target->c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return SystemError(EISDIR, "write", path);
    if (!S_ISREG(info.st_mode)) return FileError(EINVAL, "cannot write " + path + ": it is not a regular file");
  }
  if (!fs::path(*target).has_filename()) return SystemError(EISDIR, "write", path);
  const std::string folder = FolderOf(*target);
  const std::string temporary = folder + "/." + RandomId() + ".tmp";
  if (FileError error = WriteAndRename(temporary, *target, path, pieces, mode)) {
    unlink(temporary.c_str());
    return error;
  }
  return SyncFolder(folder);
}

}  // namespace

FileResult<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  // A named pipe in place of a file would otherwise wait for somebody who writes to it.
  const FileResult<Fd> fd = Open(path, O_RDONLY | O_NONBLOCK);
  if (!fd.ok()) return fd.error();
  struct stat info = {};
  std::string begun;
  if (fstat(fd->get(), &info) == 0 && S_ISFIFO(info.st_mode)) {
    char first = 0;
    const ssize_t n = read(fd->get(), &first, 1);
    if (n == 0) return FileError(EINVAL, "cannot read " + path + ": it is a pipe that nobody writes to");
    if (n == 1) begun = first;
  }
  fcntl(fd->get(), F_SETFL, 0);
  FileResult<std::string> rest = ReadRest(*fd, path, max_bytes);
  if (begun.empty() || !rest.ok()) return rest;
  return begun + *rest;
}

FileError WriteFile(const std::string& path, std::string_view bytes, bool sync) {
  FileResult<Fd> fd = Open(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd.ok()) return fd.error();
  if (FileError error = WriteAll(*fd, path, bytes)) return error;
  if (sync) {
    if (FileError error = Sync(*fd, path)) return error;
  }
  return close(fd->Release()) == 0 ? FileError() : SystemError(errno, "write", path);
}

FileError ReplaceFile(const std::string& path, std::string_view bytes, mode_t mode) {
  return Replace(path, {&bytes, 1}, mode);
}

FileError WriteOutput(const std::string& path, std::string_view bytes) { return WriteOutput(path, Pieces(&bytes, 1)); }

FileError WriteOutput(const std::string& path, Pieces pieces) {
  if (IsStandardOutput(path)) {
    const Fd out(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    return out.valid() ? WritePieces(out, "standard output", pieces) : SystemError(errno, "write", "standard output");
  }
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))
    return Replace(path, pieces, 0666);
  const FileResult<Fd> fd = Open(path, O_WRONLY);
  return fd.ok() ? WritePieces(*fd, path, pieces) : fd.error();
}

bool IsStandardOutput(std::string_view path) { return path == "-" || path == "/dev/stdout"; }

FileError SyncFile(const std::string& path) { return SyncAt(path, 0); }

FileError SyncFolder(const std::string& path) { return SyncAt(path, O_DIRECTORY); }

FileError MakeFolders(const std::string& path, mode_t mode) {
  const std::string parent = FolderOf(path);
  int failed = mkdir(path.c_str(), mode) == 0 ? 0 : errno;
  if (failed == ENOENT && parent != path) {
    if (FileError error = MakeFolders(parent, mode)) return error;
    failed = mkdir(path.c_str(), mode) == 0 ? 0 : errno;
  }
  struct stat info = {};
  if (failed == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
  if (failed != 0) return SystemError(failed, "create", path);
  return SyncFolder(parent);
}

FileError Rename(const std::string& from, const std::string& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? FileError() : SystemError(errno, "rename to", to);
}

FileError RenameDurably(const std::string& from, const std::string& to) {
  if (FileError error = Rename(from, to)) return error;
  return SyncFolder(FolderOf(to));
}

std::string FolderOf(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

FileResult<std::string> FollowLinks(const std::string& path) {
  constexpr int kMaxLinks = 40;  // as the kernel
  fs::path target = path;
  for (int links = 0; links <= kMaxLinks; ++links) {
    std::error_code error;
    if (!fs::is_symlink(fs::symlink_status(target, error))) return target.string();
    const fs::path next = fs::read_symlink(target, error);
    if (error) return SystemError(error.value(), "follow", path);
    target = next.is_absolute() ? next : target.parent_path() / next;
  }
  return SystemError(ELOOP, "follow", path);
}

}  // namespace sink::files
