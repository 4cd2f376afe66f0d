// Where a process may make control groups, from what the kernel says of its own.
#include "proto/files/control_group.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "tests/testing/temp_dir.h"

namespace sink::files {
namespace {

TEST(ControlGroupPlace, IsOneThatCanBeWrittenOrSaysWhyThereIsNone) {
  const ControlGroupPlace place = FindControlGroup();
  EXPECT_NE(place.folder.empty(), place.why_not.empty());
  if (!place.folder.empty()) {
    EXPECT_EQ(access((place.folder + "/cgroup.procs").c_str(), W_OK), 0) << place.folder;
  }
}

TEST(ControlGroupPlace, NobodyDividesWhatIsNotThereOrNotInSight) {
  testing::TempDir folder;
  const auto with = [&folder](const std::string& membership) {
    std::ofstream(folder / "cgroup") << membership;
    return FindControlGroup(folder / "cgroup");
  };
  for (const char* membership : {"", "4:memory:/x\n1:cpu:/\n", "0::/../../other\n", "0::/there/is/no/such/group\n"}) {
    const ControlGroupPlace place = with(membership);
    EXPECT_EQ(place.folder, "") << membership;
    EXPECT_NE(place.why_not, "") << membership;
  }
  EXPECT_NE(FindControlGroup(folder / "nothing").why_not, "");
}

}  // namespace
}  // namespace sink::files
