// The record of what was refused: one row a minute of each caller and method, whatever the clock says.
#include "coordinator/core/audit_log.h"

#include <gtest/gtest.h>

#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

constexpr int64_t kStart = 1'000'000'000, kMinute = 60'000;

class AuditLogTest : public ::testing::Test {
 protected:
  // How many rows there are once somebody was refused at this time.
  size_t Refuse(const std::string& who, int64_t time_ms) {
    log_->AddRefusal({.id = 0,
                      .time_ms = time_ms,
                      .who = who,
                      .from = "10.0.0.7:51234",
                      .action = "ListSweeps",
                      .object = "",
                      .outcome = "PERMISSION_DENIED"});
    EXPECT_TRUE(log_->Flush().ok());
    return log_->Read(0, 100)->size();
  }

  testing::TempDir folder_;
  const std::unique_ptr<AuditLog> log_ = *AuditLog::Open(folder_ / "audit.db");
};

TEST_F(AuditLogTest, WhoIsRefusedAgainAndAgainHasARowAMinute) {
  EXPECT_EQ(Refuse("user/lena", kStart), 1u);
  EXPECT_EQ(Refuse("user/lena", kStart + kMinute - 1), 1u);
  EXPECT_EQ(Refuse("user/max", kStart + kMinute - 1), 2u);
  EXPECT_EQ(Refuse("user/lena", kStart + kMinute), 3u);
  EXPECT_EQ(Refuse("user/lena", kStart + kMinute - 5), 3u) << "by a thread that was a little late";
}

TEST_F(AuditLogTest, AClockThatIsSetBackHidesNobody) {
  EXPECT_EQ(Refuse("user/lena", kStart + 24 * 60 * kMinute), 1u);
  EXPECT_EQ(Refuse("user/lena", kStart), 2u);
  EXPECT_EQ(Refuse("user/lena", kStart + 1), 2u);
}

}  // namespace
}  // namespace sink
