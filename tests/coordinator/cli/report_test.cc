// sinkctl report, plot and export against a coordinator in this process.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_replace.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

int Files(const std::filesystem::path& folder) {
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) count += entry.is_regular_file();
  return count;
}

// A sweep of two learning rates: the first job ends well, the second fails.
class ReportTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    const std::string path = WriteSweep("study", {"1e-3", "1e-4"});
    std::ofstream(path, std::ios::app) << "    paper: {source: Table 9, sink_rate_percent: [32.23, 2.9]}\n";
    ASSERT_EQ(Sinkctl({"submit", path}).code, 0);
    StartWorker();
    const std::vector<v1::Grant> grants = TakeJobs();
    ASSERT_EQ(grants.size(), 2u);
    for (int64_t step : {0, 50, 100})
      Report(grants[0], {pipe::Metrics{step,
                                       {{"train_loss", 5 - 0.01 * static_cast<double>(step)},
                                        {"sink_rate/0.3/1", 0.002 * static_cast<double>(step)},
                                        {"alpha_mean/1", 0.1},
                                        {"alpha_max/1", 0.5},
                                        {"validation_loss/all", 4.5}}},
                         pipe::Heatmap{step, "alpha/1", 1, 2, {0.25, 0.5}}});
    Report(grants[1], {pipe::Metrics{10, {{"train_loss", NAN}}}});
    Finish(grants[0], v1::SUCCEEDED);
    Finish(grants[1], v1::FAILED, "the data set is missing");
  }
};

TEST_F(ReportTest, WritesMarkdownHtmlAndFigures) {
  const std::string out = folder_ / "out";
  const Result result = Sinkctl({"report", "study", "--out", out});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(out + "/report.html"));
  const std::string text = Read(out + "/report.md");
  EXPECT_THAT(text, HasSubstr("| learning\\_rate=0.001 | 20.00 | 32.23 | 4.500 |"));
  EXPECT_THAT(text, HasSubstr("failed at step 10 of 100: user: the data set is missing"));
  EXPECT_THAT(text, HasSubstr("](figures/rates-sink_rate.svg)"));
  EXPECT_THAT(text, HasSubstr("worker-1 (2 x cpu, sink-worker 0.1.0)"));
  EXPECT_THAT(Read(out + "/figures/rates-sink_rate.svg"), HasSubstr("<svg"));
  EXPECT_THAT(Read(out + "/figures/rates-alpha_1_map.svg"), HasSubstr("layer 0, head 1: 0.500"));
  EXPECT_THAT(Read(out + "/report.html"), HasSubstr("</html>"));
}

TEST_F(ReportTest, FormatChoosesTheFileAndJsonTellsTheRows) {
  const std::string out = folder_ / "out";
  const Result result = Sinkctl({"report", "study", "--out", out, "--format", "html", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_FALSE(std::filesystem::exists(out + "/report.md"));
  const Json json = result.json();
  EXPECT_EQ(json["experiments"][0]["rows"][0]["measures"]["sink_rate_percent"]["paper"], 32.23);
  EXPECT_EQ(json["experiments"][0]["rows"][1]["succeeded"], 0);
  EXPECT_THAT(json["files"].dump(), HasSubstr("report.html"));
}

TEST_F(ReportTest, SeveralSweepsAreAFolderEachAndOnePageOfTakeaways) {
  const std::string out = folder_ / "out", second = WriteSweep("second", {"1e-2"});
  ASSERT_EQ(Sinkctl({"submit", second}).code, 0);
  const Result result = Sinkctl({"report", "study", "second", "--out", out, "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.json()["sweeps"].size(), 2u);
  for (const char* file : {"study/report.md", "second/report.html", "takeaways.md", "takeaways.html"})
    EXPECT_TRUE(std::filesystem::exists(out + "/" + file)) << file;
  EXPECT_THAT(Read(out + "/takeaways.md"), HasSubstr("The paper's takeaways in our runs"));
}

TEST_F(ReportTest, ThePageAloneIsSmallAndSaysWhatRanWhereAndWhetherAnotherRunMeasuredTheSame) {
  const auto page = [&](const std::string& out) {
    const Result result = Sinkctl({"report", "study", "--format", "page", "--out", out, "--command",
                                   "deploy/quickstart.sh", "--machine", "2 cores of a CPU"});
    EXPECT_EQ(result.code, 0) << result.err;
    return Read(out + "/takeaways.md");
  };
  const auto numbers = [](const std::string& text) {
    const size_t begin = text.find("- **Numbers**: ");
    return begin == std::string::npos ? "none" : text.substr(begin, text.find('\n', begin) - begin);
  };
  const std::string first = page(folder_ / "a"), second = page(folder_ / "b");
  EXPECT_THAT(first, HasSubstr("- **Run by**: deploy/quickstart.sh\n"));
  EXPECT_THAT(first, HasSubstr("- **Machine**: 2 cores of a CPU\n"));
  EXPECT_THAT(numbers(first), HasSubstr("values of 2 runs"));
  EXPECT_EQ(numbers(first), numbers(second));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "a/takeaways.html"));
  EXPECT_THAT(Read(folder_ / "a/study.md"), HasSubstr("| learning\\_rate=0.001 | 20.00 | 32.23 | 4.500 |"));
  EXPECT_THAT(Read(folder_ / "a/study.md"), Not(HasSubstr(".svg")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a/figures/rates-sink_rate.svg"));
  const std::string results = Read(folder_ / "a/results.csv");
  EXPECT_THAT(results, HasSubstr("sweep,experiment,setting,seed,job,state,alpha_1,sink_rate_percent,"));
  EXPECT_THAT(results, HasSubstr(",SUCCEEDED,0.5,20,,4.5,0,50\n"));
  EXPECT_THAT(results, HasSubstr(",FAILED,,,,,,\n"));
}

TEST_F(ReportTest, NamesWhatIsWrong) {
  EXPECT_EQ(Sinkctl({"report", "nothing"}).code, 4);
  std::ofstream(folder_ / "file") << "x";
  const Result blocked = Sinkctl({"report", "study", "--out", folder_ / "file"});
  EXPECT_EQ(blocked.code, 3);
  EXPECT_THAT(blocked.err, HasSubstr("cannot write"));
  EXPECT_EQ(Sinkctl({"report", "study", "--format", "pdf"}).code, 2);
}

TEST_F(ReportTest, PlotDrawsOneMetricOrMap) {
  const std::string out = folder_ / "f.svg";
  ASSERT_EQ(Sinkctl({"plot", "study", "--metric", "train_loss", "--x", "tokens", "--out", out}).code, 0);
  EXPECT_THAT(Read(out), HasSubstr("study: train_loss"));
  EXPECT_THAT(Read(out), HasSubstr(">tokens<"));
  ASSERT_EQ(Sinkctl({"plot", "study", "--heatmap", "alpha/1", "--job", JobId("study", 0), "--out", out}).code, 0);
  EXPECT_THAT(Read(out), HasSubstr("layer 0, head 0: 0.250"));
  EXPECT_EQ(Sinkctl({"plot", "study", "--out", out}).code, 2);
  const Result metric = Sinkctl({"plot", "study", "--metric", "loss", "--out", out});
  EXPECT_EQ(metric.code, 4);
  EXPECT_THAT(metric.err, HasSubstr("no job of study has a metric loss"));
  const Result experiment = Sinkctl({"plot", "study", "--metric", "train_loss", "--experiment", "x", "--out", out});
  EXPECT_EQ(experiment.code, 4);
  EXPECT_THAT(experiment.err, HasSubstr("no experiment x in sweep study; it has rates"));
}

TEST_F(ReportTest, ExportsEveryFormat) {
  ASSERT_EQ(Sinkctl({"export", "study", "--format", "csv", "--out", folder_ / "a.csv"}).code, 0);
  EXPECT_THAT(Read(folder_ / "a.csv"), HasSubstr(",train_loss,100,51200,4,\n"));
  EXPECT_THAT(Read(folder_ / "a.csv"), HasSubstr(",FAILED,1,train_loss,10,5120,NaN,\n"));
  ASSERT_EQ(Sinkctl({"export", "study", "--format", "json", "--out", folder_ / "a.json"}).code, 0);
  EXPECT_EQ(Json::parse(Read(folder_ / "a.json"))["jobs"][0]["heat_maps"].size(), 3u);
  ASSERT_EQ(Sinkctl({"export", "study", "--format", "tensorboard", "--out", folder_ / "tb"}).code, 0);
  EXPECT_EQ(Files(folder_ / "tb"), 2);
  const Result mlflow = Sinkctl({"export", "study", "--format", "mlflow", "--out", folder_ / "mlruns", "--json"});
  ASSERT_EQ(mlflow.code, 0) << mlflow.err;
  EXPECT_EQ(mlflow.json()["jobs"], 2);
  EXPECT_GT(Files(folder_ / "mlruns"), 50);
  const Result again = Sinkctl({"export", "study", "--format", "mlflow", "--out", folder_ / "mlruns"});
  EXPECT_EQ(again.code, 3);
  EXPECT_THAT(again.err, HasSubstr("exists already; name a new folder"));
}

TEST_F(ReportTest, ExportSaysWithWhichCommandsItIsOpened) {
  const auto said = [&](const std::string& format, const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"export", "study", "--format", format, "--out", out};
    words.insert(words.end(), more.begin(), more.end());
    const Result result = Sinkctl(words);
    EXPECT_EQ(result.code, 0) << result.err;
    return absl::StrReplaceAll(result.out, {{"\n  ", " "}});  // lines too long for the page go on below
  };
  EXPECT_THAT(said("tensorboard", folder_ / "tb"), HasSubstr("tensorboard --logdir " + (folder_ / "tb") + "\n"));
  const std::string store = folder_ / "it's runs", database = "'sqlite:///" + (folder_ / "it'\\''s runs.db'");
  const std::string mlflow = said("mlflow", store + "/");
  EXPECT_THAT(mlflow, HasSubstr("mlflow migrate-filestore --source '" + (folder_ / "it'\\''s runs'") + " --target " +
                                database));
  EXPECT_THAT(mlflow, HasSubstr("mlflow ui --backend-store-uri " + database));
  std::ofstream(folder_ / "python") << "#!/bin/sh\nexit 0\n";
  std::filesystem::permissions(folder_ / "python", std::filesystem::perms::owner_all);
  const std::string wandb = said("wandb", folder_ / "w", {"--python", folder_ / "python"});
  EXPECT_THAT(wandb, HasSubstr("wandb leet " + (folder_ / "w") + "/wandb"));
  EXPECT_THAT(wandb, HasSubstr("wandb sync " + (folder_ / "w") + "/wandb/offline-run-*\n"));
}

TEST_F(ReportTest, DashIsStandardOutputWhichThenHoldsNothingElse) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  ::testing::internal::CaptureStdout();
  const Result csv = Sinkctl({"export", "study", "--format", "csv", "--out", "-"});
  const std::string text = ::testing::internal::GetCapturedStdout();
  ::testing::internal::CaptureStdout();
  const Result plot = Sinkctl({"plot", "study", "--metric", "train_loss", "--out", "-"});
  const std::string figure = ::testing::internal::GetCapturedStdout();
  const Result folder = Sinkctl({"export", "study", "--format", "mlflow", "--out", "-"});
  const Result report = Sinkctl({"report", "study", "--out", "-"});
  std::filesystem::current_path(before);
  EXPECT_EQ(csv.code, 0) << csv.err;
  EXPECT_EQ(csv.out, "");
  EXPECT_THAT(text, HasSubstr(",train_loss,100,51200,4,\n"));
  EXPECT_EQ(plot.code, 0) << plot.err;
  EXPECT_EQ(plot.out, "");
  EXPECT_THAT(figure, HasSubstr("study: train_loss"));
  EXPECT_EQ(folder.code, 3);
  EXPECT_THAT(folder.err, HasSubstr("standard output"));
  EXPECT_EQ(report.code, 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "-"));
}

// Root may replace anything: that it is not done must not be left to permissions.
TEST_F(ReportTest, OutIsTakenAsWhatItIs) {
  const std::string link = folder_ / "link", fifo = folder_ / "fifo", null = folder_ / "null";
  std::filesystem::create_symlink("target", link);
  ASSERT_EQ(Sinkctl({"export", "study", "--format", "csv", "--out", link}).code, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_THAT(Read(folder_ / "target"), HasSubstr("train_loss"));

  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_EQ(Sinkctl({"plot", "study", "--metric", "train_loss", "--out", fifo}).code, 0);
  std::string figure(1 << 16, '\0');
  figure.resize(std::max<ssize_t>(0, read(reader, figure.data(), figure.size())));
  close(reader);
  EXPECT_THAT(figure, HasSubstr("study: train_loss"));
  EXPECT_TRUE(std::filesystem::is_fifo(fifo));

  std::filesystem::create_symlink("/dev/null", null);
  EXPECT_EQ(Sinkctl({"export", "study", "--format", "json", "--out", null}).code, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(null));
  EXPECT_TRUE(std::filesystem::is_character_file(null));
}

TEST_F(ReportTest, OutObeysTheUmask) {
  const mode_t old = umask(077);
  const Result csv = Sinkctl({"export", "study", "--format", "csv", "--out", folder_ / "a.csv"});
  const Result folder = Sinkctl({"export", "study", "--format", "tensorboard", "--out", folder_ / "tb"});
  umask(old);
  ASSERT_EQ(csv.code + folder.code, 0) << csv.err << folder.err;
  EXPECT_EQ(std::filesystem::status(folder_ / "a.csv").permissions(), std::filesystem::perms{0600});
  EXPECT_EQ(std::filesystem::status(folder_ / "tb").permissions(), std::filesystem::perms{0700});
}

TEST_F(ReportTest, WandbThatIsMissingIsToldWithItsFix) {
  std::ofstream(folder_ / "python") << "#!/bin/sh\nexit 86\n";
  std::filesystem::permissions(folder_ / "python", std::filesystem::perms::owner_all);
  const Result missing =
      Sinkctl({"export", "study", "--format", "wandb", "--python", folder_ / "python", "--out", folder_ / "w"});
  EXPECT_EQ(missing.code, 6);
  EXPECT_THAT(missing.err, HasSubstr("-m pip install wandb"));
  const Result absent =
      Sinkctl({"export", "study", "--format", "wandb", "--python", folder_ / "no-python", "--out", folder_ / "w"});
  EXPECT_EQ(absent.code, 6);
  EXPECT_THAT(absent.err, HasSubstr("name a Python with --python"));
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("partial")));
}

TEST_F(ReportTest, AnInterruptedCommandLeavesNoFile) {
  Interrupt interrupt;
  interrupt.Trigger();
  const std::string out = folder_ / "out";
  Place place;
  place.interrupt = &interrupt;
  EXPECT_EQ(Sinkctl({"report", "study", "--out", out}, place).code, 130);
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace sink::cli
