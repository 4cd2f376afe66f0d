// Manifests: bytes that were written before are still read, what is written has not changed, and no damage passes.
#include "proto/run/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>

#include "proto/files/files.h"
#include "proto/files/hash.h"
#include "proto/run/checkpoint_names.h"
#include "tests/testing/damaged_folder.h"
#include "tests/testing/temp_dir.h"

namespace sink::run {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// As sink-trainer wrote it before worker and trainer shared this code. The identity that coordinators have stored for
// it is the hash of these bytes.
constexpr char kWritten[] = R"({
 "files": [
  {
   "name": "config.json",
   "size": 3,
   "xxh3": "7809095c382d5f77daa13e4f205dc5ba"
  },
  {
   "name": "empty",
   "size": 0,
   "xxh3": "99aa06d3014798d86001c324468d497f"
  },
  {
   "name": "model.safetensors",
   "size": 8,
   "xxh3": "bf2d71362f6bd02d9b7983db74876c53"
  }
 ],
 "step": 1000
}
)";
constexpr char kHashOfWritten[] = "0fd8472d9e9e438f56deca11982986ee";

class ManifestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Write("model.safetensors", std::string("weights\0", 8));
    Write("config.json", "{}\n");
    Write("empty", "");
  }
  void Write(const std::string& name, const std::string& bytes) const {
    ASSERT_FALSE(files::WriteFile(dir_ / name, bytes, /*sync=*/false));
  }
  files::FileResult<Manifest> Read() const { return ReadManifest(dir_.path().string()); }
  int Verify(const Manifest& manifest) const { return VerifyCheckpoint(dir_.path().string(), manifest).code(); }

  testing::TempDir dir_;
};

TEST_F(ManifestTest, WrittenBytesAreThoseOfEver) {
  const auto written = WriteManifest(dir_.path().string(), 1000);
  ASSERT_TRUE(written.ok()) << written.error().message();
  EXPECT_EQ(*files::ReadFile(dir_ / "manifest.json", 1 << 20), kWritten);
  EXPECT_EQ(written->hash, kHashOfWritten);
  const auto read = Read();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->files, written->files);
  EXPECT_EQ(Verify(*read), 0);
}

TEST_F(ManifestTest, FormerBytesAreRead) {
  Write("manifest.json", kWritten);
  const auto manifest = Read();
  ASSERT_TRUE(manifest.ok()) << manifest.error().message();
  EXPECT_EQ(manifest->step, 1000);
  EXPECT_EQ(manifest->hash, kHashOfWritten);
  ASSERT_EQ(manifest->files.size(), 4u);
  EXPECT_EQ(manifest->files[2], (ManifestFile{"model.safetensors", 8, "bf2d71362f6bd02d9b7983db74876c53"}));
  EXPECT_EQ(manifest->files[3], (ManifestFile{"manifest.json", sizeof kWritten - 1, kHashOfWritten}));
  EXPECT_EQ(Verify(*manifest), 0);

  // Any layout of the same JSON, as a worker took it before; another text is another checkpoint.
  const std::string compact =
      R"({"step":1000,"files":[{"name":"empty","size":0,"xxh3":"99aa06d3014798d86001c324468d497f"}],"later":1})";
  Write("manifest.json", compact);
  const auto other = Read();
  ASSERT_TRUE(other.ok()) << other.error().message();
  EXPECT_EQ(other->hash, files::Hash(compact));
  EXPECT_EQ(Verify(*other), 0);
}

TEST_F(ManifestTest, EveryDamageIsNamed) {
  const Manifest manifest = *WriteManifest(dir_.path().string(), 1000);
  const std::string folder = dir_.path().string();
  for (const char* bytes : {"{}", "{}\n\n", "{]\n", ""}) {
    Write("config.json", bytes);
    const files::FileError error = VerifyCheckpoint(folder, manifest);
    EXPECT_EQ(error.code(), files::kDamaged) << bytes;
    EXPECT_THAT(error.message(), HasSubstr("config.json")) << bytes;
  }
  Write("config.json", "{}");
  EXPECT_THAT(VerifyCheckpoint(folder, manifest).message(), HasSubstr("config.json has 2 bytes instead of 3"));
  fs::remove(dir_ / "config.json");
  EXPECT_EQ(Verify(manifest), files::kDamaged);
  std::ofstream(dir_ / "elsewhere") << "{}\n";
  fs::create_symlink("elsewhere", dir_ / "config.json");
  EXPECT_EQ(Verify(manifest), files::kDamaged);
  fs::remove(dir_ / "config.json");
  Write("config.json", "{}\n");
  EXPECT_EQ(Verify(manifest), 0);
  Write("manifest.json", std::string(kWritten) + "\n");
  EXPECT_EQ(Verify(manifest), files::kDamaged);
}

TEST_F(ManifestTest, MalformedManifestsAreRefused) {
  EXPECT_EQ(Read().error().code(), ENOENT);
  for (const char* text :
       {"", "[]", R"({"step":1})", R"({"step":1,"files":[1]})", R"({"step":"1","files":[]})",
        R"({"step":1,"files":[{"name":"a","size":0,"xxh3":"0"}]})",
        R"({"step":1,"files":[{"name":"a","size":-1,"xxh3":"99aa06d3014798d86001c324468d497f"}]})"}) {
    Write("manifest.json", text);
    EXPECT_EQ(Read().error().code(), files::kDamaged) << text;
  }
  const std::string hash = R"(","size":0,"xxh3":"99aa06d3014798d86001c324468d497f"})";
  for (const char* name : {"../weights", "/etc/passwd", "a/b", "..", ".hidden", "", "manifest.json", "a\\\\b"}) {
    Write("manifest.json", R"({"step":1,"files":[{"name":")" + (name + hash) + "]}");
    EXPECT_EQ(Read().error().code(), files::kDamaged) << name;
  }
  std::string many = R"({"step":1,"files":[)";
  for (size_t i = 0; i <= kMaxManifestFiles; ++i)
    many += (i == 0 ? "" : ",") + (R"({"name":"a)" + std::to_string(i)) + hash;
  Write("manifest.json", many + "]}");
  EXPECT_EQ(Read().error().code(), files::kDamaged);
  Write("manifest.json", std::string(kMaxManifestBytes + 1, ' '));
  EXPECT_EQ(Read().error().code(), EFBIG);
}

TEST_F(ManifestTest, AManifestThatNestsDeeplyIsRefusedBeforeItIsBuilt) {
  const auto parse = [](size_t levels) {
    return ParseManifest(R"({"step":1,"files":[],"more":)" + std::string(levels, '[') + std::string(levels, ']') + "}",
                         "manifest.json");
  };
  EXPECT_TRUE(parse(4).ok()) << "of a later release";
  EXPECT_EQ(parse(100).error().code(), files::kDamaged);
}

TEST_F(ManifestTest, NameThatOthersWouldRefuseIsNotWritten) {
  Write("with space", "x");
  EXPECT_EQ(WriteManifest(dir_.path().string(), 1).error().code(), files::kDamaged);
  EXPECT_FALSE(fs::exists(dir_ / "manifest.json"));
}

TEST(CheckpointNames, FileNamesLeadNowhereElseAndAreBounded) {
  for (const std::string& name : {std::string("a"), std::string("model-00001-of-00002.safetensors"),
                                  std::string("A_z-9."), std::string(128, 'n'), std::string("-")}) {
    EXPECT_TRUE(IsCheckpointFileName(name)) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string(".files"), std::string("a/b"),
        std::string("/a"), std::string("a\\b"), std::string("a b"), std::string("a\n"), std::string("a\0b", 3),
        std::string("\xc3\xa4"), std::string(129, 'n')}) {
    EXPECT_FALSE(IsCheckpointFileName(name)) << name;
  }
}

TEST(CheckpointNames, FoldersTellTheirStep) {
  for (const int64_t step : {int64_t{0}, int64_t{1}, int64_t{123'456'789}, int64_t{1} << 48}) {
    EXPECT_EQ(StepOfCheckpointFolder(CheckpointFolderName(step)), step);
  }
  EXPECT_EQ(CheckpointFolderName(1000), "step-000001000");
  for (const char* name :
       {"step-1000", "step-000001000.tmp-7", "step-000001000.corrupt-1", "step--00000001", "step-", ""}) {
    EXPECT_EQ(StepOfCheckpointFolder(name), std::nullopt) << name;
  }
}

// By what sink-worker asks before a job goes on from a checkpoint that it or the coordinator had (resume.cc).
TEST_F(ManifestTest, NoDamagePassesForWhole) {
  Write("model.safetensors", std::string(20'000, 'w'));
  Write("optimizer.safetensors", std::string(30'000, 'o'));
  const auto written = WriteManifest(dir_.path().string(), 1000);
  ASSERT_TRUE(written.ok()) << written.error().message();
  const auto is_whole = [&] {
    const auto manifest = Read();
    return manifest.ok() && manifest->hash == written->hash && manifest->step == 1000 && Verify(*manifest) == 0;
  };
  testing::DamagedFolder folder(dir_.path());
  std::mt19937 random(1);
  for (int i = 0; i < testing::Damages(); ++i) {
    const std::string damage = folder.Damage(random);
    ASSERT_FALSE(is_whole()) << i << ": " << damage;
  }
  folder.Repair();
  EXPECT_TRUE(is_whole());
}

}  // namespace
}  // namespace sink::run
