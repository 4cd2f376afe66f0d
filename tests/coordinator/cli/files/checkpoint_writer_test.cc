// A checkpoint arrives whole or not at all, whatever the chunks say.
#include "coordinator/cli/files/checkpoint_writer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/testing/temp_dir.h"

namespace sink::cli {
namespace {

constexpr char kHashOfAbc[] = "06b05ab6733a618578af5f94892f3950";    // XXH3-128 of "abc"
constexpr char kHashOfEmpty[] = "99aa06d3014798d86001c324468d497f";  // of ""

v1::CheckpointFile File(const std::string& name, uint64_t size, const std::string& hash) {
  v1::CheckpointFile file;
  file.set_name(name);
  file.set_size(size);
  file.set_xxh3(hash);
  return file;
}

v1::CheckpointChunk First(const std::vector<v1::CheckpointFile>& files) {
  v1::CheckpointChunk chunk;
  for (const v1::CheckpointFile& file : files) *chunk.mutable_checkpoint()->add_files() = file;
  return chunk;
}

v1::CheckpointChunk Piece(const std::string& file, uint64_t offset, const std::string& data) {
  v1::CheckpointChunk chunk;
  chunk.set_file(file);
  chunk.set_offset(offset);
  chunk.set_data(data);
  return chunk;
}

class CheckpointWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto writer = CheckpointWriter::Create(out_);
    ASSERT_TRUE(writer.ok()) << writer.status();
    writer_ = *std::move(writer);
  }
  // Everything under the test's folder, so that leftovers are seen.
  size_t Entries() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path())) ++count;
    return count;
  }

  testing::TempDir folder_;
  const std::string out_ = folder_ / "model";
  std::unique_ptr<CheckpointWriter> writer_;
};

TEST_F(CheckpointWriterTest, WholeCheckpointAppearsAtOnce) {
  ASSERT_TRUE(writer_->Add(First({File("a", 3, kHashOfAbc), File("b", 0, kHashOfEmpty)})).ok());
  ASSERT_TRUE(writer_->Add(Piece("a", 0, "ab")).ok());
  ASSERT_TRUE(writer_->Add(Piece("a", 2, "c")).ok());
  EXPECT_FALSE(std::filesystem::exists(out_));
  ASSERT_TRUE(writer_->Commit().ok());
  EXPECT_EQ(std::filesystem::file_size(out_ + "/a"), 3u);
  EXPECT_EQ(std::filesystem::file_size(out_ + "/b"), 0u);
  EXPECT_EQ(Entries(), 3u);
}

TEST_F(CheckpointWriterTest, DamagedFileLeavesNothing) {
  ASSERT_TRUE(writer_->Add(First({File("a", 3, kHashOfAbc)})).ok());
  ASSERT_TRUE(writer_->Add(Piece("a", 0, "abd")).ok());
  EXPECT_TRUE(absl::IsDataLoss(writer_->Commit()));
  writer_.reset();
  EXPECT_EQ(Entries(), 0u);
}

TEST_F(CheckpointWriterTest, MissingBytesAreALoss) {
  ASSERT_TRUE(writer_->Add(First({File("a", 3, kHashOfAbc)})).ok());
  ASSERT_TRUE(writer_->Add(Piece("a", 0, "ab")).ok());
  EXPECT_TRUE(absl::IsDataLoss(writer_->Commit()));
}

TEST_F(CheckpointWriterTest, NothingIsALoss) { EXPECT_TRUE(absl::IsDataLoss(writer_->Commit())); }

TEST_F(CheckpointWriterTest, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name : {"../evil", "/etc/passwd", "..", ".", "", "a/b", ".hidden", "a\n"}) {
    auto writer = CheckpointWriter::Create(folder_ / "other");
    ASSERT_TRUE(writer.ok());
    EXPECT_TRUE(absl::IsDataLoss((*writer)->Add(First({File(name, 3, kHashOfAbc)})))) << name;
  }
}

TEST_F(CheckpointWriterTest, PiecesOutOfOrderAreRefused) {
  ASSERT_TRUE(writer_->Add(First({File("a", 3, kHashOfAbc), File("b", 3, kHashOfAbc)})).ok());
  EXPECT_TRUE(absl::IsDataLoss(writer_->Add(Piece("a", 1, "b"))));        // a gap
  EXPECT_TRUE(absl::IsDataLoss(writer_->Add(Piece("b", 0, "abc"))));      // before a is complete
  EXPECT_TRUE(absl::IsDataLoss(writer_->Add(Piece("a", 0, "abcd"))));     // longer than announced
  EXPECT_TRUE(absl::IsDataLoss(writer_->Add(Piece("unknown", 0, "a"))));  // not announced
}

TEST_F(CheckpointWriterTest, DuplicateNamesAreRefused) {
  EXPECT_TRUE(absl::IsDataLoss(writer_->Add(First({File("a", 3, kHashOfAbc), File("a", 3, kHashOfAbc)}))));
}

TEST_F(CheckpointWriterTest, NeverReplacesWhatIsThere) {
  std::ofstream(folder_ / "file") << "mine";
  EXPECT_TRUE(absl::IsInvalidArgument(CheckpointWriter::Create(folder_ / "file").status()));
  std::filesystem::create_directory(folder_ / "full");
  std::ofstream(folder_ / "full/file") << "mine";
  EXPECT_TRUE(absl::IsInvalidArgument(CheckpointWriter::Create(folder_ / "full").status()));
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_TRUE(CheckpointWriter::Create(folder_ / "empty/").ok());
}

}  // namespace
}  // namespace sink::cli
