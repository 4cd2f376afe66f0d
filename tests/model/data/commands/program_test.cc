// The built sink-data as a shell runs it: pipes, full devices, sources that changed, and input that is no text. What a
// program does not read, it says, and its exit code tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/model/helpers/compressed.h"
#include "tests/model/helpers/data_files.h"
#include "tests/testing/temp_dir.h"

namespace sink::data {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class ProgramTest : public ::testing::Test {
 protected:
  struct Result {
    int code = -1;
    std::string out;  // and what went to standard error
  };

  // Runs a command of bash in the test's folder; $SINK is the program.
  Result Run(const std::string& command) {
    const char* bin = std::getenv("SINK_BIN_DIR");
    WriteText(dir_ / "command", "cd '" + dir_.path().string() + "'; SINK='" +
                                    std::filesystem::absolute(bin == nullptr ? "build/dev/bin" : bin).string() +
                                    "/sink-data'; exec 2>&1; set -o pipefail; " + command);
    std::FILE* pipe = ::popen(("bash '" + (dir_ / "command") + "'").c_str(), "re");
    Result result;
    char buffer[4096];
    while (const size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) result.out.append(buffer, n);
    const int status = ::pclose(pipe);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return result;
  }
  void ExpectOutput(const std::string& command, const std::string& out) {
    const Result result = Run(command);
    EXPECT_EQ(result.code, 0) << command;
    EXPECT_EQ(result.out, out) << command;
  }
  template <typename Matcher>
  void ExpectError(const std::string& command, const Matcher& matcher) {
    const Result result = Run(command);
    EXPECT_EQ(result.code, 1) << command << "\n" << result.out;
    EXPECT_THAT(result.out, matcher) << command;
  }

  // A corpus whose train/ and valid/ hold the same lines.
  void WriteCorpus(const std::string& lines) {
    for (const char* split : {"train", "valid"}) WriteText(dir_ / ("in/" + std::string(split) + "/a.jsonl"), lines);
  }

  testing::TempDir dir_;
};

TEST_F(ProgramTest, TokenizeReadsAPipeFromItsFirstByte) {
  const std::string hello = "[72,101,108,108,111]\n";
  ExpectOutput("echo '{\"text\": \"Hello\"}' | $SINK tokenize --tokenizer bytes", hello);
  ExpectOutput("echo '{\"text\": \"Hello\"}' | $SINK tokenize - --tokenizer bytes", hello);
  ExpectOutput("$SINK tokenize <(echo '{\"text\": \"Hello\"}') --tokenizer bytes", hello);
  ExpectOutput("echo '{\"text\": \"Hello\"}' | gzip -c | $SINK tokenize --tokenizer bytes", hello);
  ExpectOutput("echo '{\"content\": \"Hello\"}' | $SINK tokenize --tokenizer bytes --text-key content", hello);
  ExpectOutput("for i in $(seq 3000); do echo '{\"text\": \"Hello\"}'; done | $SINK tokenize --tokenizer bytes | wc -l",
               "3000\n");
}

TEST_F(ProgramTest, TokenizePassesOverBlankLinesAsPackDoes) {
  WriteText(dir_ / "a.jsonl", "\n{\"text\": \"a\"}\n\r\n  \n{\"text\": \"b\"}\n\n");
  ExpectOutput("$SINK tokenize a.jsonl --tokenizer bytes", "[97]\n[98]\n");
}

TEST_F(ProgramTest, TokenizeEndsWhenItsOutputCannotBeWritten) {
  const std::string line = "{\"text\": \"" + std::string(100, 'x') + "\"}\n";
  std::string many;
  for (int i = 0; i < 1000; ++i) many += line;
  WriteText(dir_ / "one.jsonl", line);
  WriteText(dir_ / "many.jsonl", many);
  for (const char* file : {"one.jsonl", "many.jsonl"})
    ExpectError(std::string("$SINK tokenize --tokenizer bytes ") + file + " >/dev/full",
                HasSubstr("cannot write standard output"));
}

TEST_F(ProgramTest, InputWithoutATextIsAnError) {
  ExpectError("$SINK tokenize --tokenizer bytes </dev/null", HasSubstr("/dev/stdin: holds no text"));
  ExpectError("$SINK tokenize --tokenizer bytes <<<'{\"content\": \"a\"}'",
              HasSubstr("/dev/stdin:1: no field \"text\""));
}

TEST_F(ProgramTest, NothingBetweenMembersIsLostWithoutAWord) {
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "{\"text\": \"document\"}\n";
  WriteText(dir_ / "a.gz", Gzip(lines) + "X" + Gzip(lines));
  ExpectError("$SINK tokenize --tokenizer bytes a.gz", AllOf(HasSubstr("a.gz: what follows the gzip data"),
                                                             HasSubstr("byte " + std::to_string(Gzip(lines).size()))));
  WriteText(dir_ / "b.zst", SkippableFrame("size") + Zstd(lines) + SkippableFrame("size") + Zstd(lines));
  ExpectOutput("$SINK tokenize --tokenizer bytes b.zst | wc -l", "200\n");
}

TEST_F(ProgramTest, ASourceThatWasEditedIsNeverAlreadyComplete) {
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += "{\"text\": \"the words of the text\"}\n";
  WriteCorpus(lines);
  const std::string pack = "$SINK pack --in in --out set --block 9 --chunk-blocks 4";
  ASSERT_EQ(Run(pack).code, 0);
  EXPECT_THAT(Run(pack).out, HasSubstr("already complete"));
  EXPECT_THAT(Run("$SINK verify set --sources in").out, HasSubstr("all well, as are its sources"));
  EXPECT_THAT(Run("$SINK verify set").out, HasSubstr("all well (its sources were not looked at"));
  ExpectError(
      "touch -r in/train/a.jsonl t; sed -i 's/the/hot/g' in/train/a.jsonl; touch -r t in/train/a.jsonl; " + pack,
      HasSubstr("another content of in/train/a.jsonl"));
  ExpectError("$SINK verify set --sources in",
              AllOf(HasSubstr("train/a.jsonl has changed"), Not(HasSubstr("valid/a.jsonl"))));
  ExpectError("mv in/valid/a.jsonl in/valid/b.jsonl; $SINK verify set --sources in",
              AllOf(HasSubstr("valid/a.jsonl is not there"), HasSubstr("valid/b.jsonl is not in the set")));
}

TEST_F(ProgramTest, VerifySeesAFileOfTheRightSizeAndOtherBytes) {
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += "{\"text\": \"the words of the text\"}\n";
  WriteCorpus(lines);
  ASSERT_EQ(Run("$SINK pack --in in --out set --block 9 --chunk-blocks 4").code, 0);
  EXPECT_THAT(Run("$SINK verify set").out, HasSubstr("all well"));
  const std::string file = "set/train_a_0_0000000000.bin";
  const std::string name_it = file + " has the right size and other bytes";
  const std::string zero = "cp " + file + " good; truncate -s -20 " + file + "; truncate -s +20 " + file + "; ";
  ExpectError(zero + "$SINK verify set", HasSubstr(name_it));
  ExpectError("$SINK verify set --sources in", HasSubstr(name_it));
  EXPECT_THAT(Run("cp good " + file + "; $SINK verify set --sources in").out,
              HasSubstr("all well, as are its sources"));
  ExpectError("sed -i 1d set/files.xxh128; $SINK verify set", HasSubstr("has no hash of train_a_0_0000000000.bin"));
}

TEST_F(ProgramTest, VerifySeesAHalfCopyByItsHashesThoughTheRestIsWell) {
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += "{\"text\": \"the words of the text, all of them\"}\n";
  WriteCorpus(lines);
  // Of blocks as sets of other programs have, which are read without set.json.
  ASSERT_EQ(Run("$SINK pack --in in --out set --tokenizer bytes --block 2049 --chunk-blocks 1").code, 0);
  EXPECT_THAT(Run("$SINK verify set").out, HasSubstr("all well"));
  ExpectError("mv set/set.json later; $SINK verify set", AllOf(HasSubstr("set/set.json"), HasSubstr("copy the set")));
  EXPECT_EQ(Run("mv set/files.xxh128 hashes; $SINK verify set").code, 0) << "as a set of another program";
  ExpectError(
      "mv later set/set.json; sed -i '1{p;s/train_/train_b/}' hashes; mv hashes set/files.xxh128; "
      "$SINK verify set",
      HasSubstr("cannot find set/train_ba_0_"));
}

TEST_F(ProgramTest, VerifyHoldsASetWithoutHashesToItsSources) {
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += "{\"text\": \"the words of text " + std::to_string(i) + "\"}\n";
  WriteCorpus(lines);
  ASSERT_EQ(Run("$SINK train-tokenizer --in in --out t.json --vocab-size 260").code, 0);
  WriteCorpus(lines + "bad\n");
  for (const std::string options : {"", " --drop-tail", " --short-name the_pile", " --tokenizer t.json"}) {
    const std::string pack = "$SINK pack --in in --out set --block 9 --chunk-blocks 4 --valid-chunk-blocks 2" + options;
    ASSERT_EQ(Run("rm -rf set; " + pack).code, 0) << options;
    const Result alone = Run("rm set/files.xxh128; $SINK verify set");
    EXPECT_EQ(alone.code, 0) << options;
    EXPECT_THAT(alone.out, AllOf(HasSubstr("packed without files.xxh128"), Not(HasSubstr("all well")))) << options;
    EXPECT_THAT(Run("$SINK verify set --sources in").out, HasSubstr("all well, as are its sources")) << options;
    ExpectError(
        "f=$(ls set/valid_*_0000000001.bin); truncate -s -20 $f; truncate -s +20 $f; $SINK verify set --sources in",
        HasSubstr("_0000000001.bin: does not hold the tokens that its sources give"));
  }
}

TEST_F(ProgramTest, VerifySeesAnotherTokenizerInTheSet) {
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += "{\"text\": \"the words of the text\"}\n";
  WriteCorpus(lines);
  ASSERT_EQ(Run("$SINK train-tokenizer --in in --out t.json --vocab-size 260 && "
                "$SINK pack --in in --out set --tokenizer t.json --block 9 --chunk-blocks 4")
                .code,
            0);
  EXPECT_EQ(Run("$SINK verify set").code, 0);
  ExpectError("echo >>set/tokenizer.json; $SINK verify set", HasSubstr("set/tokenizer.json: is not the tokenizer"));
}

TEST_F(ProgramTest, BlocksThatNoFileHasCostNoMemory) {
  WriteCorpus("{\"text\": \"a text that is long enough\"}\n");
  ASSERT_EQ(Run("$SINK pack --in in --out set --tokenizer bytes --block 9 --chunk-blocks 4").code, 0);
#ifdef SINK_SANITIZER
  const std::string limited;  // a sanitizer reserves terabytes of addresses
#else
  const std::string limited = "ulimit -v 4000000; ";
#endif
  EXPECT_EQ(Run("rm -f alone.bin; cp set/train_*.bin alone.bin; " + limited +
                "$SINK inspect alone.bin --block 4294967296 --blocks 1")
                .code,
            0);
  ExpectError("sed -i 's/\"block\": 9/\"block\": 4294967296/; s/\"blocks\": [0-9]*/\"blocks\": 1/' set/set.json; " +
                  limited + "$SINK verify set",
              HasSubstr("shorter than set.json says"));
}

TEST_F(ProgramTest, ACorpusWithMoreThanJsonLinesIsRefusedByEveryCommandThatReadsOne) {
  WriteCorpus("{\"text\": \"a text that is long enough\"}\n");
  for (const char* split : {"train", "valid"}) WriteText(dir_ / ("in/" + std::string(split) + "/b.jsonl.xz"), "x");
  for (const char* command : {"pack --in in --out set --block 9 --chunk-blocks 1", "train-tokenizer --in in --out -",
                              "probe --in in --out - --tokenizer bytes --sequences 1 --tokens 8"}) {
    ExpectError("$SINK " + std::string(command), HasSubstr("b.jsonl.xz would not be read"));
    EXPECT_EQ(Run("$SINK " + std::string(command) + " --ignore-others").code, 0) << command;
  }
}

TEST_F(ProgramTest, ProbeNamesTheLinesThatItPassesOver) {
  WriteCorpus("bad\n{\"text\": \"a text that is long enough\"}\n");
  const Result result = Run("$SINK probe --in in --out p --tokenizer bytes --sequences 1 --tokens 8");
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("in/valid/a.jsonl:1: not JSON"), EndsWith("p: probe [1, 9]\n")));
}

}  // namespace
}  // namespace sink::data
