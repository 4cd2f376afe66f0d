// The limits of requests, at their edges.
#include "coordinator/service/validate.h"

#include <gtest/gtest.h>

#include "coordinator/service/convert.h"
#include "proto/run/checkpoint_names.h"

namespace sink {
namespace {

const std::string kId(32, 'a');

template <typename Request>
Request Leased() {
  Request request;
  request.set_worker_id(kId);
  request.mutable_lease()->set_job_id(kId);
  request.mutable_lease()->set_lease_id(kId);
  request.mutable_lease()->set_attempt(1);
  request.mutable_lease()->set_fence(1);
  return request;
}

TEST(Validate, IdsNamesAndFileNames) {
  EXPECT_TRUE(IsId(kId));
  EXPECT_FALSE(IsId(std::string(31, 'a')));
  EXPECT_FALSE(IsId(std::string(32, 'A')));
  EXPECT_FALSE(IsId(std::string(32, 'g')));
  EXPECT_TRUE(IsJobPrefix("0a1f"));
  EXPECT_FALSE(IsJobPrefix("0a1"));
  EXPECT_TRUE(IsName(std::string(64, 'x')));
  EXPECT_FALSE(IsName(std::string(65, 'x')));
  EXPECT_FALSE(IsName("a/b"));
  EXPECT_FALSE(IsName("\xC3\xA4"));
  EXPECT_TRUE(run::IsCheckpointFileName("model-00001-of-00002.safetensors"));
  EXPECT_FALSE(run::IsCheckpointFileName(".files"));
}

TEST(Validate, ReportIsBounded) {
  auto report = Leased<v1::ReportRequest>();
  for (int i = 0; i < kMaxEvents; ++i) report.add_events()->set_seq(i + 1);
  EXPECT_TRUE(Validate(report).ok()) << Validate(report);
  report.add_events()->set_seq(kMaxEvents + 1);
  EXPECT_FALSE(Validate(report).ok());
  report.mutable_events()->DeleteSubrange(1, kMaxEvents);
  report.mutable_events(0)->set_record(std::string(kMaxEventBytes, 'x'));
  EXPECT_TRUE(Validate(report).ok());
  report.mutable_events(0)->set_record(std::string(kMaxEventBytes + 1, 'x'));
  EXPECT_FALSE(Validate(report).ok());
}

TEST(Validate, ReportWithAGapOrSeqZeroIsRefused) {
  auto report = Leased<v1::ReportRequest>();
  report.add_events()->set_seq(1);
  report.add_events()->set_seq(3);
  EXPECT_FALSE(Validate(report).ok());
  report.mutable_events(1)->set_seq(2);
  EXPECT_TRUE(Validate(report).ok());
  report.mutable_events(0)->set_seq(0);
  EXPECT_FALSE(Validate(report).ok());
}

TEST(Validate, ModelsAreBoundedPlainNames) {
  v1::LeaseRequest request;
  request.set_worker_id(kId);
  request.set_session(kId);
  request.set_poll(1);
  for (int i = 0; i < kMaxModels; ++i) request.add_models("owner/name" + std::to_string(i));
  EXPECT_TRUE(Validate(request).ok()) << Validate(request);
  request.set_models(0, "../name");
  EXPECT_EQ(Validate(request).message(), "models: \"../name\" is not a model's name");
  request.set_models(0, "name");
  request.add_models("name");
  EXPECT_FALSE(Validate(request).ok());
}

TEST(Validate, SetsAreBoundedPlainNames) {
  v1::LeaseRequest request;
  request.set_worker_id(kId);
  request.set_session(kId);
  request.set_poll(1);
  for (int i = 0; i < kMaxSets; ++i) request.mutable_sets()->add_sets()->set_name("set" + std::to_string(i));
  request.mutable_sets()->mutable_sets(0)->set_content(kId);
  EXPECT_TRUE(Validate(request).ok()) << Validate(request);
  request.mutable_sets()->mutable_sets(0)->set_content("no hash");
  EXPECT_FALSE(Validate(request).ok());
  request.mutable_sets()->mutable_sets(0)->set_content("");
  request.mutable_sets()->mutable_sets(0)->set_name("../set");
  EXPECT_FALSE(Validate(request).ok());
  request.mutable_sets()->mutable_sets(0)->set_name("set0");
  request.mutable_sets()->add_sets()->set_name("one_more");
  EXPECT_FALSE(Validate(request).ok());
}

TEST(Validate, SetsThatAreNotWholeAreBoundedAsWell) {
  v1::LeaseRequest request;
  request.set_worker_id(kId);
  request.set_session(kId);
  request.set_poll(1);
  v1::DataSets& sets = *request.mutable_sets();
  for (int i = 0; i < kMaxIncompleteSets; ++i) sets.add_incomplete()->set_name("set" + std::to_string(i));
  v1::IncompleteCopy& set = *sets.mutable_incomplete(0);
  set.set_gap(std::string(kMaxGap, 'x'));
  EXPECT_TRUE(Validate(request).ok()) << Validate(request);
  set.set_gap(std::string(kMaxGap + 1, 'x'));
  EXPECT_FALSE(Validate(request).ok());
  set.set_gap("two\nlines");
  EXPECT_FALSE(Validate(request).ok());
  set.set_gap("");
  set.set_use(static_cast<v1::CopyUse>(7));
  EXPECT_TRUE(Validate(request).ok()) << "a newer worker may say more: " << Validate(request);
  set.set_name("../set");
  EXPECT_FALSE(Validate(request).ok());
  set.set_name("set0");
  sets.add_incomplete()->set_name("one_more");
  EXPECT_FALSE(Validate(request).ok());
}

TEST(Validate, ModelsThatAreNotWholeAndFilesAreBoundedAsWell) {
  v1::LeaseRequest request;
  request.set_worker_id(kId);
  request.set_session(kId);
  request.set_poll(1);
  for (int i = 0; i < kMaxIncompleteModels; ++i) request.add_incomplete_models()->set_name("a/b" + std::to_string(i));
  v1::IncompleteCopy& model = *request.mutable_incomplete_models(0);
  v1::DataFiles& files = *request.mutable_sets()->mutable_files();
  for (int i = 0; i < kMaxDataFiles; ++i) files.add_names("file" + std::to_string(i));
  model.set_gap(std::string(kMaxGap, 'x'));
  EXPECT_TRUE(Validate(request).ok()) << Validate(request);
  const auto refused = [&request](const auto& spoil) {
    v1::LeaseRequest bad = request;
    spoil(bad);
    return !Validate(bad).ok();
  };
  EXPECT_TRUE(
      refused([](v1::LeaseRequest& r) { r.mutable_incomplete_models(0)->set_gap(std::string(kMaxGap + 1, 'x')); }));
  EXPECT_TRUE(refused([](v1::LeaseRequest& r) { r.mutable_incomplete_models(0)->set_name("../b"); }));
  EXPECT_TRUE(refused([](v1::LeaseRequest& r) { r.add_incomplete_models()->set_name("one/more"); }));
  EXPECT_TRUE(refused([](v1::LeaseRequest& r) { r.mutable_sets()->mutable_files()->set_names(0, "../texts"); }));
  EXPECT_TRUE(refused([](v1::LeaseRequest& r) { r.mutable_sets()->mutable_files()->add_names("one_more"); }));
}

TEST(Validate, LeaseIsCheckedFieldByField) {
  auto commit = Leased<v1::CommitCheckpointRequest>();
  commit.set_step(1);
  commit.set_manifest_hash(kId);
  ASSERT_TRUE(Validate(commit).ok()) << Validate(commit);
  for (int field = 0; field < 6; ++field) {
    auto bad = commit;
    if (field == 0) bad.set_worker_id("x");
    if (field == 1) bad.clear_lease();
    if (field == 2) bad.mutable_lease()->set_job_id("../../x");
    if (field == 3) bad.mutable_lease()->set_fence(uint64_t{1} << 63);
    if (field == 4) bad.mutable_lease()->set_attempt(0);
    if (field == 5) bad.set_step(-1);
    EXPECT_EQ(Validate(bad).code(), absl::StatusCode::kInvalidArgument) << field;
  }
}

TEST(Validate, CheckpointNeedsItsManifest) {
  auto begin = Leased<v1::BeginCheckpointRequest>();
  begin.set_step(1);
  begin.set_manifest_hash(kId);
  v1::CheckpointFile* file = begin.add_files();
  file->set_name("model.safetensors");
  file->set_xxh3(kId);
  EXPECT_FALSE(Validate(begin).ok());
  file->set_name("manifest.json");
  EXPECT_TRUE(Validate(begin).ok());
  *begin.add_files() = *file;
  EXPECT_FALSE(Validate(begin).ok());  // twice
}

TEST(Validate, FailureClassGoesWithFailure) {
  auto finish = Leased<v1::FinishRequest>();
  finish.set_outcome(v1::FAILED);
  EXPECT_FALSE(Validate(finish).ok());
  finish.set_failure_class(v1::USER);
  EXPECT_TRUE(Validate(finish).ok());
  finish.set_outcome(v1::SUCCEEDED);
  EXPECT_FALSE(Validate(finish).ok());
  finish.clear_failure_class();
  finish.set_outcome(v1::QUEUED);
  EXPECT_FALSE(Validate(finish).ok());
}

TEST(Validate, SelectionIsASweepOrJobs) {
  v1::CancelRequest cancel;
  EXPECT_FALSE(Validate(cancel).ok());
  cancel.set_sweep("s");
  EXPECT_TRUE(Validate(cancel).ok());
  cancel.add_job_ids("abcd");
  EXPECT_FALSE(Validate(cancel).ok());
}

TEST(Validate, SubmissionsFilesAreNamedOnceAndBounded) {
  v1::SubmitSweepRequest submit;
  submit.set_request_id(kId);
  submit.set_entry("a.yaml");
  submit.add_files()->set_path("a.yaml");
  EXPECT_TRUE(Validate(submit).ok());
  submit.add_profiles("b.yaml");
  EXPECT_FALSE(Validate(submit).ok());
  submit.add_files()->set_path("b.yaml");
  EXPECT_TRUE(Validate(submit).ok());
  submit.mutable_files(1)->set_text(std::string(kMaxSourceBytes + 1, 'x'));
  EXPECT_FALSE(Validate(submit).ok());
  submit.mutable_files(1)->clear_text();
  submit.add_files()->set_path("b.yaml");
  EXPECT_FALSE(Validate(submit).ok());
}

TEST(ValidUtf8, ReplacesOnlyWhatIsMalformed) {
  EXPECT_EQ(ValidUtf8("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z"), "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z");
  EXPECT_EQ(ValidUtf8("\xC0\xAF\xED\xA0\x80\xE2\x82"), "???????");
  EXPECT_EQ(ValidUtf8("x\xFF"), "x?");
}

}  // namespace
}  // namespace sink
