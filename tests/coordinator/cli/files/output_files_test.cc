// Files of an export lie in the folder that was named, whatever a study's names are.
#include "coordinator/cli/files/output_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/testing/temp_dir.h"
#include "tests/testing/test_files.h"

namespace sink::cli {
namespace {

namespace fs = std::filesystem;

TEST(WriteFolder, PutsFilesBelowTheFolder) {
  const testing::TempDir dir;
  ASSERT_TRUE(WriteFolder(dir / "out", {{"a/b/c", "x"}, {"..d", "y"}}).ok());
  EXPECT_EQ(testing::ReadFile(dir / "out/a/b/c"), "x");
  EXPECT_EQ(testing::ReadFile(dir / "out/..d"), "y");
}

TEST(WriteFolder, RefusesPathsThatLeadOutOfIt) {
  const testing::TempDir dir;
  for (const std::string& path :
       {std::string("../x"), std::string("a/../../x"), std::string(".."), std::string("/x"), std::string("."),
        std::string("a/."), std::string("a/"), std::string(), std::string("a\0b", 3), dir / "x"}) {
    const absl::Status status = WriteFolder(dir / "out", {{"good", "x"}, {path, "y"}});
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << path << ": " << status;
    EXPECT_TRUE(fs::is_empty(dir.path())) << path;
  }
}

}  // namespace
}  // namespace sink::cli
