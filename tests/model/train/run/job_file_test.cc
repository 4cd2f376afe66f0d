// job.json: what a run accepts, and what it says about the rest.
#include "model/train/run/job_file.h"

#include <gtest/gtest.h>

#include "model/train/link/train_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/test_files.h"

namespace sink::train {
namespace {

using testing::WriteFile;

class JobFileTest : public ::testing::Test {
 protected:
  std::string ErrorOf(const std::string& text) {
    WriteFile(dir_.path() / "job.json", text);
    try {
      ReadJobFile(dir_.path());
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  }

  testing::TempDir dir_;
};

TEST_F(JobFileTest, ReadsEveryField) {
  WriteFile(dir_.path() / "job.json",
            R"({"job":"abc","attempt":3,"config":{"train":{"seed":7}},"data_root":"/data","device":"cuda:1"})");
  const JobFile job = ReadJobFile(dir_.path());
  EXPECT_EQ(job.job, "abc");
  EXPECT_EQ(job.attempt, 3);
  EXPECT_EQ(job.config.train.seed, 7);
  EXPECT_EQ(job.data_root, "/data");
  EXPECT_EQ(job.device, "cuda:1");
}

TEST_F(JobFileTest, NamesWhatIsWrong) {
  const auto contains = [&](const std::string& text, const std::string& expected) {
    EXPECT_NE(ErrorOf(text).find(expected), std::string::npos) << ErrorOf(text);
  };
  contains("", "not a JSON object");
  contains(R"({"job":"a","data_root":"d"})", "'config' is missing");
  contains(R"({"job":1})", "job: must be a string");
  contains(R"({"attempt":-1})", "attempt: must be a whole number");
  contains(R"({"mood":1})", "unknown field 'mood'");
  contains(R"({"config":{"train":{"sede":7}}})", "train.sede");
  contains(R"({"config":{"train":{"seed":"x"}}})", "train.seed");
  contains(R"({"job":"a","config":{},"data_root":"d","device":"gpu"})", "device: must be");
  contains(R"({"job":"a","config":{},"data_root":"d","device":"cuda:"})", "device: must be");
}

TEST_F(JobFileTest, MissingFileIsNamed) {
  try {
    ReadJobFile(dir_.path());
    FAIL();
  } catch (const UserError& e) {
    EXPECT_NE(std::string(e.what()).find("job.json: No such file"), std::string::npos) << e.what();
  }
}

TEST_F(JobFileTest, RunByHandGetsTheHashOfItsConfigurationAsId) {
  WriteFile(dir_ / "config.json", R"({"train":{"seed":7}})");
  WriteJobFile(dir_.path() / "run", dir_ / "config.json", "/data", "cpu");
  const JobFile job = ReadJobFile(dir_.path() / "run");
  EXPECT_EQ(job.job, JobId(job.config));
  EXPECT_EQ(job.config.train.seed, 7);

  WriteJobFile(dir_.path() / "run", dir_ / "config.json", "/data", "cpu");  // the same again: fine
  WriteFile(dir_ / "config.json", R"({"train":{"seed":8}})");
  EXPECT_THROW(WriteJobFile(dir_.path() / "run", dir_ / "config.json", "/data", "cpu"), UserError);
}

}  // namespace
}  // namespace sink::train
