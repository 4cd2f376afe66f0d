// Streams whose other side keeps them waiting: they end, and one caller cannot take the threads of all the others.
#include "coordinator/service/stream_gate.h"

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "sink/v1/worker.grpc.pb.h"
#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using testing::AccessTest;
using ::testing::HasSubstr;

constexpr int kShare = 64;  // streams of one caller, of the server's 512 threads
constexpr char kOtherWorker[] = "cccccccccccccccccccccccccccccccc";

class StreamGateTest : public AccessTest {
 protected:
  StreamGateTest() {
    StopServer();
    first_message_ = absl::Seconds(2);  // more than a busy disk keeps an upload that does speak waiting
    next_message_ = absl::Seconds(2);
    StartServer();
    worker_ = testing::JoinAs(server_->address(), admin_folder(), testing::kWorkerId);
    joined_[testing::kWorkerId] = worker_;
  }

  identity::Credential worker_;
};

// An upload that says nothing: one call of a stream, and how it ended.
struct SilentUpload {
  explicit SilentUpload(v1::WorkerService::Stub& stub) : writer(stub.WriteCheckpoint(&context, &response)) {}
  grpc::Status End() { return writer->Finish(); }

  grpc::ClientContext context;
  v1::WriteCheckpointResponse response;
  std::unique_ptr<grpc::ClientWriter<v1::WriteCheckpointRequest>> writer;
};

TEST_F(StreamGateTest, UploadsThatSayNothingEndAndTakeNobodysThread) {
  RegisterWorker();
  const auto stub = v1::WorkerService::NewStub(ChannelOf(worker_));
  const absl::Time begin = absl::Now();
  std::vector<std::unique_ptr<SilentUpload>> silent;
  for (int i = 0; i < kShare + 20; ++i) silent.push_back(std::make_unique<SilentUpload>(*stub));
  usleep(200'000);
  v1::HeartbeatRequest beat;
  beat.set_worker_id(testing::kWorkerId);
  beat.set_session(testing::kSession);
  EXPECT_TRUE(worker().Heartbeat(beat).ok());
  // Another worker's stream is let in and looked at: it is refused for what it says, not for want of room.
  const auto other = NewWorker(kOtherWorker);
  v1::FetchCheckpointRequest fetch;
  fetch.set_worker_id(kOtherWorker);
  fetch.mutable_lease()->set_job_id(std::string(32, 'd'));
  fetch.mutable_lease()->set_attempt(1);
  fetch.mutable_lease()->set_fence(1);
  fetch.mutable_lease()->set_lease_id(std::string(32, 'e'));
  EXPECT_NE(other->FetchCheckpoint(fetch, [](const auto&) { return true; }).code(), absl::StatusCode::kUnavailable);

  int cancelled = 0, refused = 0;
  for (const auto& upload : silent) {
    const grpc::Status end = upload->End();
    cancelled += end.error_code() == grpc::StatusCode::CANCELLED;
    if (end.error_code() != grpc::StatusCode::UNAVAILABLE) continue;
    ++refused;
    EXPECT_THAT(end.error_message(), HasSubstr("has 64 streams open; too many transfers at once"));
  }
  EXPECT_EQ(cancelled, kShare);
  EXPECT_EQ(refused, 20);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(20));
}

TEST_F(StreamGateTest, AnUploadThatFallsSilentEnds) {
  const v1::Grant grant = RunningJob();
  const testing::TestCheckpoint checkpoint;
  ASSERT_TRUE(Begin(grant.lease(), 10, checkpoint).ok());
  const auto stub = v1::WorkerService::NewStub(ChannelOf(worker_));
  SilentUpload upload(*stub);
  auto first = Leased<v1::WriteCheckpointRequest>(grant.lease());
  first.set_step(10);
  first.set_file("manifest.json");
  first.set_data("{");
  ASSERT_TRUE(upload.writer->Write(first));
  const absl::Time begin = absl::Now();
  EXPECT_EQ(upload.End().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
}

TEST_F(StreamGateTest, AnUploadEndsWhenItsWorkerIsRevoked) {
  const v1::Grant grant = RunningJob();
  const testing::TestCheckpoint checkpoint;
  ASSERT_TRUE(Begin(grant.lease(), 10, checkpoint).ok());
  const auto stub = v1::WorkerService::NewStub(ChannelOf(worker_));
  SilentUpload upload(*stub);
  auto message = Leased<v1::WriteCheckpointRequest>(grant.lease());
  message.set_step(10);
  message.set_file("model.safetensors");
  message.set_data("x");
  ASSERT_TRUE(upload.writer->Write(message));
  ASSERT_TRUE(Revoke(std::string("worker/") + testing::kWorkerId).ok());
  const absl::Time begin = absl::Now();
  bool goes_on = true;
  for (int i = 1; i < 1000 && goes_on; ++i) {
    message.clear_worker_id();
    message.clear_lease();
    message.set_offset(i);
    goes_on = upload.writer->Write(message);
    usleep(20'000);
  }
  EXPECT_FALSE(goes_on);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10)) << "long before a silent upload's time";
}

TEST_F(StreamGateTest, ADownloadThatNobodyReadsEnds) {
  const v1::Grant grant = RunningJob();
  testing::TestCheckpoint large;
  large.files[0].second.assign(24 << 20, 'x');  // more than the network takes while nobody reads
  ASSERT_TRUE(Upload(grant.lease(), 10, large).ok());
  const auto stub = v1::ClientService::NewStub(ChannelOf(*identity::ReadCredential(admin_folder())));
  v1::DownloadCheckpointRequest request;
  request.set_job_id(grant.lease().job_id());
  grpc::ClientContext context;
  const auto reader = stub->DownloadCheckpoint(&context, request);
  std::this_thread::sleep_for(std::chrono::seconds(4));
  for (v1::CheckpointChunk chunk; reader->Read(&chunk);) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace sink
