// What somebody who may submit or only look can do to others, and what files come of names that others chose: S7, S9,
// S16, S19 and S20 of the audit (README.md).
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "coordinator/service/checkpoint_repository.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"
#include "tests/coordinator/core/fixture.h"
#include "tests/security/coordinator_process.h"

namespace sink {
namespace {

namespace fs = std::filesystem;
using testing::CoordinatorProcess;
using ::testing::HasSubstr;
using ::testing::Not;

class HostileNamesTest : public cli::CliTest {
 protected:
  // Everything in the test's folder that is not below `out`.
  std::set<std::string> Outside(const std::string& out) const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      const std::string name = entry.path().string();
      if (name.rfind(out, 0) != 0 && name.find("/coordinator/") == std::string::npos) names.insert(name);
    }
    return names;
  }
};

// S7: a metric whose name climbs out of the folder is none; the export is whole without it and writes nothing
// elsewhere.
TEST_F(HostileNamesTest, S7_AnExportLiesInItsFolder) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, 0);
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 1u);
  Report(grants[0], {pipe::Metrics{1,
                                   {{"train_loss", 2},
                                    {"../../../../../escaped", 1},
                                    {"/tmp/sink-test-escaped", 1},
                                    {"a/../../b", 1},
                                    {"a//b", 1},
                                    {"./c", 1},
                                    {"..", 1}}}});
  Finish(grants[0], v1::SUCCEEDED);
  const std::string out = folder_ / "a/b/c/out";
  fs::create_directories(folder_ / "a/b/c");
  const std::set<std::string> before = Outside(out);
  for (const char* format : {"mlflow", "tensorboard", "csv", "json"}) {
    const std::string target = out + "/" + format;
    const cli::Result exported = Sinkctl({"export", "study", "--format", format, "--out", target});
    EXPECT_EQ(exported.code, 0) << format << ": " << exported.err;
  }
  EXPECT_EQ(Outside(out), before);
  EXPECT_FALSE(fs::exists("/tmp/sink-test-escaped"));
  EXPECT_THAT(Sinkctl({"metrics", grants[0].lease().job_id()}).out, HasSubstr("train_loss"));
  EXPECT_THAT(Sinkctl({"metrics", grants[0].lease().job_id(), "--csv"}).out, Not(HasSubstr("escaped")));
}

// S16: a module that lies where sinkctl is called is not what Python imports.
TEST_F(HostileNamesTest, S16_NoModuleOfTheCurrentFolderRuns) {
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, 0);
  const std::string here = folder_ / "downloaded";
  fs::create_directories(here);
  for (const char* module : {"wandb.py", "json.py"}) std::ofstream(here + "/" + module) << "open('ran', 'w').close()\n";
  const fs::path before = fs::current_path();
  fs::current_path(here);
  const cli::Result exported =
      Sinkctl({"export", "study", "--format", "wandb", "--python", "/usr/bin/python3", "--out", folder_ / "w"});
  fs::current_path(before);
  EXPECT_NE(exported.code, 0) << "the system's Python has no wandb of its own";
  EXPECT_FALSE(fs::exists(here + "/ran")) << exported.err;
}

// S9 and S19: what the coordinator makes is for its user alone, whatever its umask was, and its memory goes nowhere.
TEST(CoordinatorsFiles, S9_S19_AreItsUsersAloneAndItLeavesNoCore) {
  const mode_t before = umask(0022);
  CoordinatorProcess coordinator;
  coordinator.Start();
  umask(before);
  ASSERT_FALSE(coordinator.address().empty());
  int seen = 0;
  const auto check = [&](const fs::path& path) {
    struct stat info {};
    ASSERT_EQ(lstat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mode & 0077, 0u) << path;
    ++seen;
  };
  check(coordinator.data());
  for (const auto& entry : fs::recursive_directory_iterator(coordinator.data())) check(entry.path());
  EXPECT_TRUE(fs::exists(coordinator.data() + "/sink.db"));
  EXPECT_GE(seen, 12);

  std::ifstream limits(coordinator.proc("limits")), status(coordinator.proc("status"));
  std::string soft_core, mask;
  for (std::string line; std::getline(limits, line);) {
    if (line.rfind("Max core file size", 0) == 0) soft_core = line.substr(26, 2);
  }
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Umask:", 0) == 0) mask = line.substr(line.find_last_not_of("01234567") + 1);
  }
  EXPECT_EQ(soft_core, "0 ");
  EXPECT_EQ(mask, "0077");
}

class SharedIdsTest : public ManagerTest {};

// S20: the hash that is a job's id can be made to collide.
TEST_F(SharedIdsTest, S20_AJobIsNotTakenForOneOfTheSameHash) {
  Submit({1});
  SubmitRequest prepared = Sweep({1, 2}, "prepared");
  prepared.jobs[0].config_json = R"({"train":{"max_steps":1}})";
  const auto refused = manager->clients().Submit(prepared, now);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  EXPECT_FALSE(manager->queries().GetSweep("prepared").ok()) << "nothing of it is stored";
  prepared.jobs[0].config_json = "{}";
  EXPECT_TRUE(manager->clients().Submit(prepared, now).ok());
  // Two of one submission, too.
  SubmitRequest twins = Sweep({3, 3}, "twins");
  twins.jobs[1].config_json = R"({"train":{"max_steps":1}})";
  EXPECT_TRUE(absl::IsInvalidArgument(manager->clients().Submit(twins, now).status()));
}

// S20: what a worker is told does not say where the coordinator keeps its files.
TEST(CheckpointErrors, S20_NameNoFolderOfTheCoordinator) {
  const testing::TempDir folder;
  CheckpointRepository repository(folder / "secret-place", /*reserve_bytes=*/0);
  const auto refused = repository.Begin({std::string(32, 'a'), 1, 10}, std::string(32, 'b'),
                                        {{"model.safetensors", uint64_t{1} << 50, std::string(32, 'c')}}, {});
  ASSERT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), Not(HasSubstr("secret-place")));
}

}  // namespace
}  // namespace sink
