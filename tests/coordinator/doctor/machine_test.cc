// Faults planted into a machine's facts and folders: each is found, named and given a fix.
#include "coordinator/doctor/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "coordinator/store/commit_witness.h"
#include "proto/files/hash.h"
#include "proto/run/set_hashes.h"
#include "tests/coordinator/doctor/planted.h"
#include "tests/testing/temp_dir.h"

namespace sink::doctor {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;

struct Site {
  testing::TempDir folder;
  Machine machine = {.driver = "580.65.06", .gpus = 2, .nvml = true, .open_files = 1 << 20, .shared_memory = 1 << 30};
  WorkerPlace worker = {folder / "worker", folder / "sets", folder / "sink-trainer"};
  fs::path coordinator = folder / "coordinator";

  Site() {
    machine.bytes_free = [](const fs::path&) { return int64_t{1} << 40; };
    for (const fs::path& path : {worker.data, worker.data_root / "text", coordinator}) {
      fs::create_directories(path);
      fs::permissions(path, fs::perms::owner_all);
    }
    std::ofstream(worker.data_root / "text" / "set.json") << "{}";
    std::ofstream(coordinator / "sink.db") << "SQLite format 3" << '\0';
    Program("#!/bin/sh\n[ \"$1\" = --version ]\n");
  }
  void Program(const std::string& text) {
    std::ofstream(worker.trainer) << text;
    fs::permissions(worker.trainer, fs::perms::owner_all);
  }
};

using Planted = PlantedIn<Site>;

// A write-ahead log without a header, and something behind where it would be.
void DamageLogOf(const fs::path& database) {
  fs::create_directories(database.parent_path());
  std::ofstream(database.string() + "-wal") << std::string(4096, 'x');
}

std::vector<Finding> NotGood(std::vector<Finding> findings) {
  std::erase_if(findings, [](const Finding& finding) { return finding.level == Level::kGood; });
  return findings;
}

TEST(MachineDoctor, AHealthyMachineIsGood) {
  Site site;
  EXPECT_EQ(NotGood(ExamineWorker(site.machine, site.worker)).size(), 0u);
  EXPECT_EQ(NotGood(ExamineCoordinator(site.machine, site.coordinator)).size(), 0u);
  site.machine.gpus = 0;
  site.machine.driver = "";
  site.machine.nvml = false;
  EXPECT_EQ(NotGood(ExamineWorker(site.machine, site.worker)).size(), 0u) << "a machine without a GPU is one, too";
}

TEST(MachineDoctor, ThisMachineIsReadWithoutHarm) {
  const Machine machine = ThisMachine();
  EXPECT_GT(machine.open_files, 0);
  EXPECT_GT(machine.bytes_free("/"), 0);
  EXPECT_EQ(machine.bytes_free("/there/is/no/such/folder"), -1);
}

class WorkerFault : public ::testing::TestWithParam<Planted> {};

TEST_P(WorkerFault, IsFoundAndGivenAFix) {
  Site site;
  GetParam().plant(site);
  const std::vector<Finding> found = NotGood(ExamineWorker(site.machine, site.worker));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].level, GetParam().level);
  EXPECT_THAT(found[0].what, HasSubstr(GetParam().what));
  EXPECT_THAT(found[0].fix, HasSubstr(GetParam().fix));
}

INSTANTIATE_TEST_SUITE_P(
    Planted, WorkerFault,
    ::testing::Values(
        Planted{"old_driver", Level::kFault, "driver is 550.54.14, and CUDA 13 needs 580", "install driver 580",
                [](Site& s) { s.machine.driver = "550.54.14"; }},
        Planted{"no_driver", Level::kFault, "2 device files, but no driver", "modprobe nvidia",
                [](Site& s) { s.machine.driver = ""; }},
        Planted{"no_device", Level::kFault, "there is no device file", "--gpus all",
                [](Site& s) { s.machine.gpus = 0; }},
        Planted{"no_nvml", Level::kHint, "libnvidia-ml.so.1", "libnvidia-ml1", [](Site& s) { s.machine.nvml = false; }},
        Planted{"small_shm", Level::kFault, "/dev/shm has 1 MiB", "--shm-size",
                [](Site& s) { s.machine.shared_memory = 1 << 20; }},
        Planted{"few_files", Level::kFault, "may open 256 files", "ulimit -n",
                [](Site& s) { s.machine.open_files = 256; }},
        Planted{"no_control_groups", Level::kHint, "not its own to divide: a worker", "deploy/systemd",
                [](Site& s) { s.machine.no_groups = "its control group /x is not its own to divide"; }},
        Planted{"full_disk", Level::kFault, "512 MiB free at ", "a --data on a larger disk",
                [](Site& s) { s.machine.bytes_free = [](const fs::path&) { return int64_t{512} << 20; }; }},
        Planted{"data_is_a_file", Level::kFault, "is no folder", "another --data",
                [](Site& s) {
                  fs::remove_all(s.worker.data);
                  std::ofstream(s.worker.data) << "x";
                }},
        Planted{"data_is_open", Level::kFault, "others may write into", "chmod go-w",
                [](Site& s) { fs::permissions(s.worker.data, fs::perms::all); }},
        Planted{"no_trainer", Level::kFault, "there is no ", "--trainer",
                [](Site& s) { fs::remove(s.worker.trainer); }},
        Planted{"trainer_not_executable", Level::kFault, "is not executable", "chmod +x",
                [](Site& s) { fs::permissions(s.worker.trainer, fs::perms::owner_read); }},
        Planted{"trainer_lacks_a_library", Level::kFault, "--version` ends with 127", "run it by hand",
                [](Site& s) { s.Program("#!/bin/sh\nexit 127\n"); }},
        Planted{"no_root", Level::kFault, "there is no folder", "sink-data pack",
                [](Site& s) { fs::remove_all(s.worker.data_root); }},
        Planted{"no_sets", Level::kFault, "no packed set", "sink-data pack",
                [](Site& s) { fs::remove_all(s.worker.data_root / "text"); }},
        Planted{"half_a_set", Level::kHint, "was not packed to the end", "sink-data pack again",
                [](Site& s) { fs::create_directory(s.worker.data_root / "more"); }},
        Planted{"half_a_copy", Level::kFault, "train_a_0_0000000000.bin: No such file", "copy the set anew",
                [](Site& s) {
                  fs::create_directory(s.worker.data_root / "more");
                  std::ofstream(s.worker.data_root / "more/set.json")
                      << R"({"block": 2, "chunk_blocks": 1, "valid_chunk_blocks": 1, )"
                      << R"("files": [{"name": "train_a_0_0000000000.bin", "blocks": 1}]})";
                }},
        Planted{"half_a_copy_without_set_json", Level::kFault, "more/set.json: No such file", "copy the set anew",
                [](Site& s) {
                  fs::create_directory(s.worker.data_root / "more");
                  std::ofstream(s.worker.data_root / "more" / run::kSetHashesFile)
                      << run::PrintSetHashes({{"train_a_0_0000000000.bin", files::Hash("packed")}});
                }},
        Planted{"half_a_copy_and_no_other_set", Level::kFault, "train_a_0_0000000000.bin: No such file",
                "copy the set anew",
                [](Site& s) {
                  std::ofstream(s.worker.data_root / "text/set.json")
                      << R"({"block": 2, "chunk_blocks": 1, "valid_chunk_blocks": 1, )"
                      << R"("files": [{"name": "train_a_0_0000000000.bin", "blocks": 1}]})";
                }}),
    [](const auto& param_info) { return param_info.param.name; });

// A set whose one file has these bytes, and the hash of "packed".
void WriteSet(const fs::path& folder, const std::string& bytes) {
  fs::create_directories(folder);
  std::ofstream(folder / "set.json") << "{}";
  std::ofstream(folder / "train_a_0_0000000000.bin") << bytes;
  std::ofstream(folder / run::kSetHashesFile)
      << run::PrintSetHashes({{"train_a_0_0000000000.bin", files::Hash("packed")}});
}

TEST(MachineDoctor, WithoutBytesASetIsGoodByTheSizesOfItsFilesAndToldSo) {
  Site site;
  WriteSet(site.worker.data_root / "text", "rotten");
  const std::vector<Finding> found = ExamineWorker(site.machine, site.worker);
  EXPECT_TRUE(NotGood(found).empty());
  EXPECT_THAT(found.back().what, HasSubstr("as far as the sizes of their files tell; --bytes, or sink-data verify"));
  EXPECT_THAT(found.back().what, HasSubstr("about 1s at 1 GB a second"));
}

TEST(MachineDoctor, WithBytesASetIsComparedWithItsHashes) {
  Site site;
  WriteSet(site.worker.data_root / "text", "rotten");
  WriteSet(site.worker.data_root / "good", "packed");
  uint64_t read = 0, of = 0;
  site.worker.on_bytes = [&](uint64_t done, uint64_t total) {
    read = done;
    of = total;
    return true;
  };
  const std::vector<Finding> found = ExamineWorker(site.machine, site.worker);
  ASSERT_EQ(NotGood(found).size(), 1u);
  EXPECT_EQ(NotGood(found)[0].level, Level::kFault);
  EXPECT_THAT(NotGood(found)[0].what, HasSubstr("text/train_a_0_0000000000.bin has the right size and other bytes"));
  EXPECT_THAT(found.back().what, ::testing::StartsWith("1 in "));
  EXPECT_THAT(found.back().what, EndsWith(", compared byte by byte"));
  EXPECT_EQ(read, 12u);
  EXPECT_EQ(of, 12u);
}

TEST(MachineDoctor, AComparisonThatIsEndedTellsWhatItHasFoundAndWhatItHasNotCompared) {
  Site site;
  fs::remove_all(site.worker.data_root / "text");
  for (const char* name : {"a", "c", "d"}) WriteSet(site.worker.data_root / name, "packed");
  WriteSet(site.worker.data_root / "b", "rotten");
  int pieces = 0;
  uint64_t read = 0;
  site.worker.on_bytes = [&](uint64_t done, uint64_t) {
    read = done;
    return ++pieces < 3;
  };
  const std::vector<Finding> all = ExamineWorker(site.machine, site.worker), found = NotGood(all);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].level, Level::kFault);
  EXPECT_THAT(found[0].what, HasSubstr("b/train_a_0_0000000000.bin has the right size and other bytes"));
  const std::string left[] = {site.worker.data_root / "c", site.worker.data_root / "d"};
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(found[i + 1].level, Level::kHint);
    EXPECT_EQ(found[i + 1].what, left[i] + " was not compared to its end");
    EXPECT_THAT(found[i + 1].fix, EndsWith("sink-data verify " + left[i]));
  }
  EXPECT_THAT(all.back().what, ::testing::StartsWith("1 in ")) << "c, which was ended, is not among the right ones";
  EXPECT_EQ(pieces, 3) << "nothing is read of the sets after it";
  EXPECT_EQ(read, 18u);
}

TEST(MachineDoctor, WithBytesASetWithoutHashesIsNamed) {
  Site site;
  site.worker.on_bytes = [](uint64_t, uint64_t) { return true; };
  const std::vector<Finding> found = NotGood(ExamineWorker(site.machine, site.worker));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].level, Level::kHint);
  EXPECT_THAT(found[0].what, HasSubstr("has no hashes"));
  EXPECT_THAT(found[0].fix, HasSubstr("xxh128sum > .hashes && mv .hashes files.xxh128"))
      << "in one step, as workers look at it";
}

class CoordinatorFault : public ::testing::TestWithParam<Planted> {};

TEST_P(CoordinatorFault, IsFoundAndGivenAFix) {
  Site site;
  GetParam().plant(site);
  const std::vector<Finding> found = NotGood(ExamineCoordinator(site.machine, site.coordinator));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].level, GetParam().level);
  EXPECT_THAT(found[0].what, HasSubstr(GetParam().what));
  EXPECT_THAT(found[0].fix, HasSubstr(GetParam().fix));
}

INSTANTIATE_TEST_SUITE_P(
    Planted, CoordinatorFault,
    ::testing::Values(Planted{"damaged", Level::kFault, "is no SQLite database", "backup",
                              [](Site& s) { std::ofstream(s.coordinator / "sink.db") << "SQLite fromat 3 "; }},
                      Planted{"damaged_log", Level::kFault, "sink.db-wal is damaged",
                              "before the coordinator is started",
                              [](Site& s) { DamageLogOf(s.coordinator / "sink.db"); }},
                      Planted{"damaged_log_alone", Level::kFault, "sink.db-wal is damaged", "refuses to start",
                              [](Site& s) {
                                fs::remove(s.coordinator / "sink.db");
                                DamageLogOf(s.coordinator / "sink.db");
                              }},
                      Planted{"damaged_identity_log", Level::kFault, "identity.db-wal is damaged", "refuses to start",
                              [](Site& s) { DamageLogOf(s.coordinator / "tls/identity.db"); }},
                      Planted{"damaged_audit_log", Level::kFault, "audit.db-wal is damaged", "refuses to start",
                              [](Site& s) { DamageLogOf(s.coordinator / "tls/audit.db"); }},
                      Planted{"lost_database", Level::kFault, "42 commits were acknowledged in it", "refuses to start",
                              [](Site& s) {
                                fs::remove(s.coordinator / "sink.db");
                                store::CommitWitness(s.coordinator / "sink.db").Write({.count = {1, 42}});
                              }},
                      Planted{"damaged_witness", Level::kFault, "sink.db-commits is not a regular file",
                              "refuses to start",
                              [](Site& s) { fs::create_directory(s.coordinator / "sink.db-commits"); }},
                      Planted{"begun_salvage", Level::kFault, "bring either to its end", "refuses to start",
                              [](Site& s) { std::ofstream(s.coordinator / "salvage-begun") << "x"; }},
                      Planted{"never_started", Level::kHint, "never started here", "makes it",
                              [](Site& s) { fs::remove(s.coordinator / "sink.db"); }},
                      Planted{"full_disk", Level::kFault, "0 MiB free at ", "free space",
                              [](Site& s) { s.machine.bytes_free = [](const fs::path&) { return int64_t{0}; }; }},
                      Planted{"open", Level::kFault, "others may write into", "chmod go-w",
                              [](Site& s) { fs::permissions(s.coordinator, fs::perms::all); }}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace sink::doctor
