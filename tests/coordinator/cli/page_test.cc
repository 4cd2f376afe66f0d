// sinkctl page against a real coordinator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "coordinator/cli/base/exit_codes.h"
#include "tests/coordinator/cli/helpers/cli_fixture.h"

namespace sink::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class PageTest : public CliTest {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.data = folder_ / "coordinator";
    options.listen = "127.0.0.1:0";
    options.metrics_listen = "127.0.0.1:0";
    options.page_listen = "127.0.0.1:0";
    auto server = Server::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  static std::string ReadFile(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

TEST_F(PageTest, PrintsALinkAloneAndSaysWhatItIsWorth) {
  const Result page = Sinkctl({"page"});
  ASSERT_EQ(page.code, kOk) << page.err;
  EXPECT_THAT(page.out, StartsWith("http://" + server_->page_address() + "/open#"));
  EXPECT_THAT(page.out.substr(page.out.find('#')), MatchesRegex("#[0-9a-f]+\n"));
  EXPECT_THAT(page.err, HasSubstr("works once"));
  EXPECT_THAT(page.err, Not(HasSubstr("ssh")));
  const Result json = Sinkctl({"page", "--json"});
  EXPECT_THAT(json.json()["url"].get<std::string>(), StartsWith("http://" + server_->page_address() + "/open#"));
  EXPECT_GT(json.json()["good_until_ms"].get<int64_t>(), 0);
}

// Other users of the machine see every command line: the browser gets the name of a file that they cannot read.
TEST_F(PageTest, TheBrowserIsGivenAFileThatLeadsThere) {
  const std::string browser = folder_ / "browser", words = folder_ / "words";
  std::ofstream(browser) << "#!/bin/sh\necho \"$@\" > " << words << "\n";
  ASSERT_EQ(chmod(browser.c_str(), 0755), 0);
  const Result page = Sinkctl({"page", "--open"}, {.environment = {{"HOME", folder_ / "home"}, {"BROWSER", browser}}});
  ASSERT_EQ(page.code, kOk) << page.err;
  const std::string link = page.out.substr(0, page.out.size() - 1), file = folder_ / "home/.config/sink/page.html";
  EXPECT_EQ(ReadFile(words), file + "\n");
  EXPECT_THAT(ReadFile(file), HasSubstr("content=\"0; url=" + link + "\""));
  struct stat info {};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);

  const Result none =
      Sinkctl({"page", "--open"}, {.environment = {{"HOME", folder_ / "home"}, {"BROWSER", folder_ / "nosuch"}}});
  EXPECT_EQ(none.code, kBadFile);
  EXPECT_THAT(none.out, HasSubstr("/open#"));
  EXPECT_THAT(none.err, HasSubstr("$BROWSER"));
}

class NoPageTest : public CliTest {};

TEST_F(NoPageTest, SaysHowACoordinatorServesOne) {
  const Result page = Sinkctl({"page"});
  EXPECT_EQ(page.code, kRefused);
  EXPECT_EQ(page.out, "");
  EXPECT_THAT(page.err, HasSubstr("--page-listen"));
}

}  // namespace
}  // namespace sink::cli
