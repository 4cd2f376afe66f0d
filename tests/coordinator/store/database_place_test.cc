// A database that is removed or replaced while a store has it open.
#include "coordinator/store/database_place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace sink::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kMark[] = "mark";

class DatabasePlaceTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    store_.reset();
    auto opened = SqliteStore::Open(folder_ / "d");
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  absl::Status Put(int64_t value) {
    return store_->Write([value](Transaction& rows) { return rows.PutMark(kMark, value); });
  }
  int64_t Value() {
    int64_t value = -1;
    const absl::Status read = store_->Read([&value](Snapshot& rows) {
      const auto mark = rows.GetMark(kMark);
      if (mark.ok()) value = *mark;
      return mark.status();
    });
    EXPECT_TRUE(read.ok()) << read;
    return value;
  }

  testing::TempDir folder_;
  const fs::path path_ = folder_ / "d/sink.db";
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(DatabasePlaceTest, OneThatIsRemovedTakesNothingMoreAndItsCopiesMadeAsItSaysHaveAll) {
  ASSERT_TRUE(Put(7).ok());
  EXPECT_TRUE(store_->CheckInPlace().ok());
  for (const char* ending : {"", "-wal", "-shm", "-commits"}) fs::remove(path_.string() + ending);
  const absl::Status gone = store_->CheckInPlace();
  EXPECT_EQ(gone.code(), absl::StatusCode::kUnavailable);
  const std::string told(gone.message());
  EXPECT_THAT(told, HasSubstr(path_.string() + " was removed, moved or replaced"));
  EXPECT_EQ(Put(8).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Value(), 7) << "it can be read";
  const size_t begin = told.find('`') + 1;
  const std::string copy = told.substr(begin, told.find('`', begin) - begin);
  ASSERT_EQ(std::system(copy.c_str()), 0) << copy;
  store_.reset();
  for (const char* ending : {"", "-wal"}) {
    fs::rename(folder_ / (std::string("d/kept-sink.db") + ending), path_.string() + ending);
  }
  Open();
  EXPECT_EQ(Value(), 7);
  EXPECT_TRUE(Put(8).ok());
}

TEST_F(DatabasePlaceTest, OneThatIsReplacedTakesNothingUntilItIsBack) {
  ASSERT_TRUE(Put(7).ok());
  const fs::path away = folder_ / "away";
  for (const char* ending : {"", "-wal"}) {
    const std::string file = path_.string() + ending;
    fs::rename(file, away);
    EXPECT_EQ(Put(8).code(), absl::StatusCode::kUnavailable) << file;
    fs::copy_file(away, file);
    EXPECT_EQ(Put(8).code(), absl::StatusCode::kUnavailable) << file << " is another";
    fs::rename(away, file);
    EXPECT_TRUE(Put(7).ok()) << file;
  }
}

}  // namespace
}  // namespace sink::store
