// What tests of both stores share: the parameter "memory" or "sqlite" decides which one each runs on.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "coordinator/job/status_macros.h"
#include "coordinator/store/memory_store.h"
#include "coordinator/store/sqlite_store.h"
#include "tests/testing/temp_dir.h"

namespace sink::store {

class EitherStore : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "memory") {
      store_ = std::make_unique<MemoryStore>();
    } else {
      auto store = SqliteStore::Open(folder_ / "data");
      ASSERT_TRUE(store.ok()) << store.status();
      store_ = std::move(*store);
    }
  }

  void Must(const std::function<absl::Status(Transaction&)>& body) {
    const absl::Status status = store_->Write(body);
    ASSERT_TRUE(status.ok()) << status;
  }
  template <typename Result>
  Result Get(const std::function<absl::StatusOr<Result>(Snapshot&)>& get) {
    Result result{};
    const absl::Status status = store_->Read([&](Snapshot& rows) -> absl::Status {
      SINK_ASSIGN_OR_RETURN(result, get(rows));
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return result;
  }

  testing::TempDir folder_;
  std::unique_ptr<JobStore> store_;
};

}  // namespace sink::store
