// What is written is there whole or not at all, where it was asked for, and readable by whom the umask says.
#include "proto/files/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proto/files/descriptor.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_files.h"

namespace sink::files {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

// Sets the process's umask as long as it lives.
class Umask {
 public:
  explicit Umask(mode_t mask) : old_(umask(mask)) {}
  ~Umask() { umask(old_); }

 private:
  const mode_t old_;
};

class FilesTest : public ::testing::Test {
 protected:
  size_t Entries() const { return testing::EntriesIn(dir_.path()); }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "file";
};

TEST_F(FilesTest, ReplacedFileHoldsTheNewBytesAndNothingIsBesideIt) {
  for (const char* text : {"first", "second, longer", ""}) {
    const FileError error = ReplaceFile(path_, text);
    ASSERT_FALSE(error) << error.message();
    EXPECT_EQ(testing::ReadFile(path_), text);
  }
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(FilesTest, NewFilesObeyTheUmask) {
  for (const auto& [mask, mode] : {std::pair<mode_t, mode_t>{022, 0644}, {077, 0600}, {002, 0664}, {0, 0666}}) {
    const Umask during(mask);
    ASSERT_FALSE(ReplaceFile(path_, "x"));
    EXPECT_EQ(ModeOf(path_), mode) << std::oct << mask;
    ASSERT_FALSE(WriteOutput(path_, "x"));
    EXPECT_EQ(ModeOf(path_), mode) << std::oct << mask;
  }
  const Umask during(022);
  ASSERT_FALSE(ReplaceFile(path_, "x", 0600));
  EXPECT_EQ(ModeOf(path_), 0600u);
}

TEST_F(FilesTest, SymbolicLinkStaysAndItsTargetIsReplaced) {
  fs::create_directory(dir_ / "there");
  std::ofstream(dir_ / "there/target") << "old";
  fs::create_symlink("there/link", path_);  // relative, over two links
  fs::create_symlink("target", dir_ / "there/link");
  ASSERT_FALSE(WriteOutput(path_, "new"));
  EXPECT_TRUE(fs::is_symlink(path_));
  EXPECT_TRUE(fs::is_symlink(dir_ / "there/link"));
  EXPECT_FALSE(fs::is_symlink(dir_ / "there/target"));
  EXPECT_EQ(testing::ReadFile(dir_ / "there/target"), "new");

  fs::remove(dir_ / "there/target");
  ASSERT_FALSE(ReplaceFile(path_, "dangled"));
  EXPECT_EQ(testing::ReadFile(dir_ / "there/target"), "dangled");
}

TEST_F(FilesTest, LinksInACircleAreAnError) {
  fs::create_symlink("file", dir_ / "other");
  fs::create_symlink("other", path_);
  EXPECT_EQ(ReplaceFile(path_, "x").code(), ELOOP);
}

// The device is reached over a link, so that a wrong implementation cannot harm the machine's own.
TEST_F(FilesTest, DeviceIsWrittenToAndNotReplaced) {
  fs::create_symlink("/dev/null", path_);
  ASSERT_FALSE(WriteOutput(path_, "x"));
  EXPECT_TRUE(fs::is_symlink(path_));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(ReplaceFile(path_, "x").code(), EINVAL);

  fs::create_symlink("/dev/full", dir_ / "full");
  const FileError full = WriteOutput(dir_ / "full", "x");
  EXPECT_EQ(full.code(), ENOSPC);
  EXPECT_EQ(full.message(), "cannot write " + (dir_ / "full") + ": No space left on device");
}

TEST_F(FilesTest, FifoIsWrittenToAndNotReplaced) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  // A reader that does not wait, so that a wrong implementation fails and does not hang.
  const FileResult<Fd> reader = Open(path_, O_RDONLY | O_NONBLOCK);
  ASSERT_TRUE(reader.ok());
  ASSERT_FALSE(WriteOutput(path_, "through"));
  EXPECT_TRUE(fs::is_fifo(path_));
  const FileResult<std::string> read = ReadRest(*reader, path_, 100);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(*read, "through");
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(FilesTest, DashIsStandardOutput) {
  const fs::path before = fs::current_path();
  fs::current_path(dir_.path());
  ::testing::internal::CaptureStdout();
  const FileError dash = WriteOutput("-", "one ");
  const FileError named = WriteOutput("/dev/stdout", "two");
  const std::string out = ::testing::internal::GetCapturedStdout();
  fs::current_path(before);
  EXPECT_FALSE(dash || named);
  EXPECT_EQ(out, "one two");
  EXPECT_EQ(Entries(), 0u);
}

TEST_F(FilesTest, PiecesAreWrittenOneAfterAnother) {
  const std::vector<std::string_view> pieces = {"a", "", "bc"};
  EXPECT_FALSE(WriteOutput(dir_ / "file", pieces));
  EXPECT_EQ(testing::ReadFile(dir_ / "file"), "abc");
  EXPECT_FALSE(WriteOutput(dir_ / "file", std::vector<std::string_view>()));
  EXPECT_EQ(testing::ReadFile(dir_ / "file"), "");
  ::testing::internal::CaptureStdout();
  EXPECT_FALSE(WriteOutput("-", pieces));
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "abc");
}

TEST_F(FilesTest, FailedWriteLeavesTheOldFile) {
  ASSERT_FALSE(ReplaceFile(path_, "old"));
  rlimit old_limit;
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit small = {4096, old_limit.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const FileError error = ReplaceFile(path_, std::string(8192, 'x'));
  setrlimit(RLIMIT_FSIZE, &old_limit);
  signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(error.message(), "cannot write " + path_ + ": File too large");
  EXPECT_EQ(testing::ReadFile(path_), "old");
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(FilesTest, WhatCannotBeReplacedIsNamedWithTheReason) {
  fs::create_directory(path_);
  EXPECT_EQ(ReplaceFile(path_, "x").message(), "cannot write " + path_ + ": Is a directory");
  EXPECT_EQ(WriteOutput(path_, "x").code(), EISDIR);
  EXPECT_EQ(WriteOutput(dir_ / "new/", "x").code(), EISDIR);
  EXPECT_EQ(WriteOutput(dir_ / "none/file", "x").message(),
            "cannot write " + (dir_ / "none/file") + ": No such file or directory");
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(FilesTest, NamesOfAnyLengthCanBeReplaced) {
  const std::string longest = dir_ / std::string(255, 'n');
  ASSERT_FALSE(ReplaceFile(longest, "x"));
  EXPECT_EQ(testing::ReadFile(longest), "x");
}

TEST_F(FilesTest, ReadingIsBounded) {
  ASSERT_FALSE(WriteFile(path_, "12345", /*sync=*/true));
  EXPECT_EQ(*ReadFile(path_, 5), "12345");
  EXPECT_EQ(ReadFile(path_, 4).error().code(), EFBIG);
  EXPECT_EQ(ReadFile("/dev/zero", 1 << 20).error().code(), EFBIG);
  EXPECT_EQ(ReadFile(dir_ / "none", 5).error().code(), ENOENT);
  EXPECT_EQ(ReadFile(dir_.path().string(), 5).error().code(), EISDIR);
  EXPECT_THAT(*ReadFile("/proc/self/status", 1 << 20), HasSubstr("Pid:"));  // says that its size is 0
  const std::string large(300'000, 'l');
  ASSERT_FALSE(WriteFile(path_, large, /*sync=*/false));
  EXPECT_EQ(*ReadFile(path_, 1 << 20), large);
}

// S13 of tests/security/README.md: what lies in place of a file keeps nobody waiting.
TEST_F(FilesTest, APipeIsReadWhereSomebodyWritesToIt) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(ReadFile(path_, 1 << 20).error().code(), EINVAL);
  const int reader = open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int writer = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  close(reader);
  std::thread text([&] {
    usleep(100'000);
    EXPECT_EQ(write(writer, "12345", 5), 5);
    close(writer);
  });
  EXPECT_EQ(*ReadFile(path_, 1 << 20), "12345");
  text.join();
}

TEST_F(FilesTest, FoldersAreMadeOnceAndNothingElseTakesTheirPlace) {
  const std::string deep = dir_ / "a/b/c";
  ASSERT_FALSE(MakeFolders(deep, 0700));
  EXPECT_EQ(ModeOf(dir_ / "a"), 0700u);
  EXPECT_FALSE(MakeFolders(deep));
  std::ofstream(dir_ / "a/file") << "x";
  EXPECT_EQ(MakeFolders(dir_ / "a/file").code(), EEXIST);
  EXPECT_EQ(MakeFolders(dir_ / "a/file/d").code(), ENOTDIR);
}

TEST_F(FilesTest, LockHasOneHolder) {
  const FileResult<Fd> second = Open(path_, O_RDWR | O_CREAT);
  {
    const FileResult<Fd> first = Open(path_, O_RDWR | O_CREAT);
    EXPECT_TRUE(*TryLock(*first, path_));
    EXPECT_FALSE(*TryLock(*second, path_));
  }
  EXPECT_TRUE(*TryLock(*second, path_));
}

}  // namespace
}  // namespace sink::files
