// Manual pages: every text of the help is there, and roff shows it as it is.
#include "proto/args/man_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sink::args {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ManPage, TellsWhatTheHelpTells) {
  CommandLine line("prog: does things.\nTo files.", "prog");
  std::string file, level = "info", address;
  bool quiet = false;
  line.root().SetFooter("Exit codes:\n  0  done");
  line.root().AddOption("FILE", file, "A file to read").Required();
  line.root().AddOption("--level", level, "How much to say").OneOf({"info", "debug"}).ShowDefault();
  line.root().AddOption("--to", address, "Where it goes").ValueText("HOST:PORT").OrEnvironment("TO");
  line.root().AddFlag("-q,--quiet", quiet, "Say nothing");
  const std::string page = ManPage(line.root());
  EXPECT_THAT(page, HasSubstr(".TH PROG 1 "));
  EXPECT_THAT(page, HasSubstr(".SH NAME\nprog \\- does things\n"));
  EXPECT_THAT(page, HasSubstr(".SH SYNOPSIS\n\\fBprog\\fR [\\fIoption\\fR...] \\fIFILE\\fR\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fIFILE\\fR\nA file to read; required\n"));
  EXPECT_THAT(page, HasSubstr("How much to say; default: info\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fB\\-\\-to\\fR \\fIHOST:PORT\\fR\nWhere it goes; else $TO\n"));
  EXPECT_THAT(page, HasSubstr(".TP\n\\fB\\-q\\fR, \\fB\\-\\-quiet\\fR\nSay nothing\n"));
  EXPECT_THAT(page, HasSubstr(".nf\nExit codes:\n  0  done\n.fi\n"));
}

TEST(ManPage, EveryCommandHasAPartOfItsOwn) {
  CommandLine line("Does things.", "prog");
  line.root().SetFooter("The end.");
  Command group = line.root().AddCommand("disk", "Disks");
  Command inner = group.AddCommand("drop", "Drop one");
  bool force = false;
  inner.AddFlag("--force", force, "Even when it is in use");
  inner.SetFooter("Examples:\n  prog disk drop a");
  const std::string page = ManPage(line.root());
  EXPECT_THAT(page, HasSubstr(".SS prog disk\n"));
  EXPECT_THAT(page, HasSubstr(".SS prog disk drop\n"));
  EXPECT_THAT(page, HasSubstr("Even when it is in use\n"));
  EXPECT_THAT(page, HasSubstr("  prog disk drop a\n"));
  // What every command inherits is told once.
  const size_t first = page.find("The end.");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(page.find("The end.", first + 1), std::string::npos);
}

TEST(ManPage, RoffTakesNothingForARequest) {
  EXPECT_EQ(EscapeRoff(".profile"), "\\&.profile");
  EXPECT_EQ(EscapeRoff("'quoted'"), "\\&\\(aqquoted\\(aq");
  EXPECT_EQ(EscapeRoff("a\\n --b"), "a\\en \\-\\-b");
  EXPECT_THAT(EscapeRoff("`~/x^2`"), Not(HasSubstr("`")));
}

TEST(ManPage, IsPrintedForTheWordMan) {
  CommandLine line("Does things.", "prog");
  char program[] = "prog", man[] = "--man";
  char* words[] = {program, man};
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(line.Parse(2, words, 2), 0);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), ManPage(line.root()));
}

}  // namespace
}  // namespace sink::args
