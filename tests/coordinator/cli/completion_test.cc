// What a shell is told, and that the scripts which ask are valid.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// First column of the answer for a command line whose last word is being typed.
std::vector<std::string> Words(const Result& result) {
  std::vector<std::string> words;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) words.push_back(line.substr(0, line.find('\t')));
  return words;
}

TEST(Completion, CommandsOptionsAndFixedValues) {
  using ::testing::Contains;
  using ::testing::ElementsAre;
  EXPECT_THAT(Words(RunSinkctl({"__complete", ""})), Contains("submit"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "sta"})), ElementsAre("status"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "checkpoint", ""})),
              ElementsAre("list", "verify", "drop", "pin", "unpin", "get"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "status", "--"})), Contains("--watch"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "status", "--"})), Contains("--coordinator"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "--coordinator", "x:1", "work"})), ElementsAre("workers", "worker"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "jobs", "--state", "can"})), ElementsAre("cancelled"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "completion", ""})), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "submit", ""})), ElementsAre(":files"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "submit", "x.yaml", "--profile", ""})), ElementsAre(":files"));
  const char* source = std::getenv("SINK_SOURCE_DIR");  // set by CTest
  const std::string sweep = std::string(source == nullptr ? "." : source) + "/sweeps/quickstart.yaml";
  EXPECT_THAT(Words(RunSinkctl({"__complete", "submit", sweep, "--profile", "mi"})), ElementsAre("minutes"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "report", "x", "--format", ""})),
              ElementsAre("markdown", "html", "both", "page"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "export", "x", "--format", "te"})), ElementsAre("tensorboard"));
  EXPECT_THAT(RunSinkctl({"__complete", ""}).out, Not(HasSubstr("__complete")));
}

TEST(Completion, IsSilentWithoutACoordinator) {
  const Result result = RunSinkctl({"__complete", "--coordinator", "127.0.0.1:1", "status", ""});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out + result.err, "");
}

TEST_F(CliTest, CompletesSweepNamesAndJobIds) {
  using ::testing::ElementsAre;
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, 0);
  const std::string id = JobId("study", 0).substr(0, 8);
  EXPECT_THAT(Words(Sinkctl({"__complete", "status", "st"})), ElementsAre("study"));
  EXPECT_THAT(Words(Sinkctl({"__complete", "jobs", "--sweep", ""})), ElementsAre("study"));
  EXPECT_THAT(Words(Sinkctl({"__complete", "logs", ""})), ElementsAre(id));
  EXPECT_THAT(Words(Sinkctl({"__complete", "cancel", ""})), ElementsAre("study", id));
  EXPECT_THAT(Sinkctl({"__complete", "logs", ""}).out, HasSubstr("\tqueued learning_rate=0.001"));
}

TEST_F(CliTest, CompletesWhatWasMeasuredExperimentsAndWorkers) {
  using ::testing::ElementsAre;
  ASSERT_EQ(Sinkctl({"submit", WriteSweep("study", {"1e-3"})}).code, 0);
  StartWorker();
  const auto grants = TakeJobs();
  ASSERT_EQ(grants.size(), 1u);
  Report(grants[0], {pipe::Metrics{.step = 1, .values = {{"train_loss", 2.5}, {"train_perplexity", 9.5}}}});
  const std::string id = JobId("study", 0).substr(0, 8);
  EXPECT_THAT(Words(Sinkctl({"__complete", "curves", "study", "--metric", "train_"})),
              ElementsAre("train_loss", "train_perplexity"));
  EXPECT_THAT(Words(Sinkctl({"__complete", "metrics", id, "--name", "train_l"})), ElementsAre("train_loss"));
  EXPECT_THAT(Words(Sinkctl({"__complete", "status", "study", "--experiment", ""})), ElementsAre("rates"));
  EXPECT_THAT(Words(Sinkctl({"__complete", "drain", ""})), ElementsAre("worker-1"));
  EXPECT_THAT(Words(Sinkctl({"__complete", "worker", "revoke", "work"})), ElementsAre("worker-1"));
  ASSERT_EQ(Sinkctl({"user", "add", "alice", "--role", "viewer", "--out", folder_ / "alice"}).code, 0);
  EXPECT_THAT(Words(Sinkctl({"__complete", "user", "revoke", "al"})), ElementsAre("alice"));
  EXPECT_THAT(Words(RunSinkctl({"__complete", "submit", "x.yaml", "--name", ""})), ElementsAre());
  EXPECT_THAT(Words(RunSinkctl({"__complete", "plan", "x.yaml", "--speed", ""})), ElementsAre(":files"));
}

TEST(Completion, ScriptsAreValid) {
  testing::TempDir folder;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const Result script = RunSinkctl({"completion", shell});
    EXPECT_EQ(script.code, 0);
    EXPECT_THAT(script.out, HasSubstr("sinkctl __complete"));
    std::ofstream(folder / shell) << script.out;
    if (std::system(("command -v " + shell + " >/dev/null").c_str()) != 0) continue;  // bash is always there
    EXPECT_EQ(std::system((shell + " -n " + (folder / shell)).c_str()), 0) << script.out;
  }
}

// As a packaged file, which zsh loads at the first completion.
TEST(Completion, ZshTakesTheScriptAsAFunctionOfItsPath) {
  if (std::system("command -v zsh >/dev/null") != 0) GTEST_SKIP() << "no zsh on this machine";
  testing::TempDir folder;
  std::ofstream(folder / "_sinkctl") << RunSinkctl({"completion", "zsh"}).out;
  std::ofstream(folder / "script") << "fpath=($1 $fpath)\nautoload -Uz _sinkctl\n"
                                   << "sinkctl() { printf 'status\\tShow\\nsubmit\\tSend\\n'; }\n"
                                   << "_describe() { print -l -- \"${(@P)2}\"; }\nwords=(sinkctl s) CURRENT=2\n"
                                   << "[[ $(_sinkctl) == $'status:Show\\nsubmit:Send' ]]\n";
  EXPECT_EQ(std::system(("zsh -f " + (folder / "script") + " " + folder.path().string()).c_str()), 0);
}

TEST(Completion, FishOffersWhatSinkctlAnswers) {
  if (std::system("command -v fish >/dev/null") != 0) GTEST_SKIP() << "no fish on this machine";
  testing::TempDir folder;
  std::ofstream(folder / "script") << "function sinkctl; printf 'status\\tShow\\nsubmit\\tSend\\n'; end\n"
                                   << RunSinkctl({"completion", "fish"}).out
                                   << "test (complete -C 'sinkctl s' | string collect) = "
                                      "(printf 'status\\tShow\\nsubmit\\tSend\\n' | string collect)\n";
  EXPECT_EQ(std::system(("HOME=" + folder.path().string() + " fish --no-config " + (folder / "script")).c_str()), 0);
}

TEST(Completion, BashOffersWhatSinkctlAnswers) {
  testing::TempDir folder;
  std::ofstream(folder / "script") << RunSinkctl({"completion", "bash"}).out
                                   << "sinkctl() { printf 'status\\tShow\\nsubmit\\tSend\\n'; }\n"
                                   << "COMP_WORDS=(sinkctl s) COMP_CWORD=1\n_sinkctl\n"
                                   << "[[ ${COMPREPLY[*]} == 'status submit' ]]\n";
  EXPECT_EQ(std::system(("bash " + (folder / "script")).c_str()), 0);
}

TEST(ManPage, HasEveryCommandWithEveryOption) {
  const Result page = RunSinkctl({"--man"});
  ASSERT_EQ(page.code, 0);
  for (const std::string command : {"submit", "status", "checkpoint get", "worker token", "completion"}) {
    EXPECT_THAT(page.out, HasSubstr(".SS sinkctl " + command + "\n"));
  }
  EXPECT_THAT(page.out, HasSubstr("\\fB\\-\\-follow\\fR"));
  EXPECT_THAT(page.out, HasSubstr("HOST:PORT of the coordinator"));
  EXPECT_THAT(page.out, HasSubstr("sinkctl logs 3f2a91c0 \\-f"));
}

}  // namespace
}  // namespace sink::cli
