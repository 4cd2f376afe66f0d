// `sinkctl slurm up` against a sbatch that writes down what it was asked; a real Slurm is in tests/integration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "coordinator/cli/base/exit_codes.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::HasSubstr;

class SlurmTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    path_ = getenv("PATH");
    setenv("PATH", (folder_.path().string() + ":" + path_).c_str(), 1);
    std::ofstream(script()) << "#!/bin/sh\n";
  }
  void TearDown() override { setenv("PATH", path_.c_str(), 1); }

  // From now on sbatch is a shell script of these lines.
  void WriteSbatch(const std::string& lines) {
    const std::string program = folder_ / "sbatch";
    std::ofstream(program) << "#!/bin/sh\n" << lines;
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  }
  std::string script() const { return folder_ / "worker.sbatch"; }
  std::string Asked() const {
    std::ifstream in(folder_ / "asked");
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::string path_;
};

TEST_F(SlurmTest, UpSubmitsATaskForEachNodeWithTheCoordinatorsAddress) {
  WriteSbatch("echo \"$@ to $SINK_COORDINATOR\" > " + std::string(folder_ / "asked") + "\necho '4711;cluster'\n");
  const Result up = Sinkctl(
      {"slurm", "up", "--nodes", "3", "--time", "1-12", "--script", script(), "--json", "--", "--partition=gpu"});
  EXPECT_EQ(up.code, kOk) << up.err;
  EXPECT_EQ(up.json(), Json({{"job", "4711"}, {"nodes", 3}}));
  EXPECT_EQ(Asked(), "--parsable --array=1-3 --nodes=1 --export=ALL --time=1-12 --partition=gpu " + script() + " to " +
                         server_->address() + "\n");
  EXPECT_THAT(up.err, HasSubstr("nodes elsewhere cannot reach it"));
}

TEST_F(SlurmTest, UpSaysWhyItCannot) {
  WriteSbatch("exit 1\n");
  EXPECT_EQ(Sinkctl({"slurm", "up", "--script", script()}).code, kRefused);
  EXPECT_THAT(Sinkctl({"slurm", "up", "--script", "/nowhere"}).err, HasSubstr("there is no script /nowhere"));
  EXPECT_EQ(Sinkctl({"slurm", "up", "--script", "/nowhere"}).code, kUsage);
  EXPECT_EQ(RunSinkctl({"slurm", "up", "--time", "soon"}).code, kUsage);
  EXPECT_EQ(RunSinkctl({"slurm", "up", "--nodes", "0"}).code, kUsage);
  EXPECT_EQ(RunSinkctl({"slurm", "up", "--script", script(), "--coordinator", "127.0.0.1:1", "--timeout", "0.5"}).code,
            kUnreachable);
  setenv("PATH", "/nowhere", 1);
  const Result absent = Sinkctl({"slurm", "up", "--script", script()});
  EXPECT_EQ(absent.code, kRefused);
  EXPECT_THAT(absent.err, HasSubstr("cannot run sbatch"));
}

}  // namespace
}  // namespace sink::cli
