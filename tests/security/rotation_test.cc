// Every certificate changes while everybody works: the server's, those of workers, of users and of the admin, 24 times,
// and one worker and one user are revoked on the way. Nobody else loses a call.
#include <grpc/grpc_security_constants.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "coordinator/identity/certificate.h"
#include "coordinator/identity/credential.h"
#include "proto/files/files.h"
#include "tests/coordinator/service/access_fixture.h"

namespace sink {
namespace {

using testing::AccessTest;
using testing::kSession;

constexpr int kRotations = 24;
constexpr char kGone[] = "cccccccccccccccccccccccccccccccc";  // the worker that is revoked

class RotationTest : public AccessTest {
 protected:
  // A caller that goes on for the whole test, in a thread.
  struct Load {
    std::string name;
    std::atomic<int> calls = 0, failures = 0;
    std::atomic<bool> out = false;  // it is told that it does not count any more
    absl::Time out_at;              // when; read once `out`
    std::string error;              // the first; read after the end
    std::thread thread;
  };
  ~RotationTest() override { Stop(); }

  Load& Run(const std::string& name, std::function<absl::Status()> call) {
    loads_.push_back(std::make_unique<Load>());
    Load& load = *loads_.back();
    load.name = name;
    load.thread = std::thread([this, &load, call = std::move(call)] {
      while (!stop_ && !load.out) {
        const absl::Status status = call();
        ++load.calls;
        if (absl::IsUnauthenticated(status)) {
          load.out_at = absl::Now();
          load.out = true;
        } else if (!status.ok() && load.failures++ == 0) {
          load.error = status.ToString();
        }
        absl::SleepFor(absl::Milliseconds(5));
      }
    });
    return load;
  }
  void Stop() {
    stop_ = true;
    for (const auto& load : loads_) {
      if (load->thread.joinable()) load->thread.join();
    }
  }

  absl::Status Beat(CoordinatorClient& client, const std::string& id) {
    v1::HeartbeatRequest beat;
    beat.set_worker_id(id);
    beat.set_session(kSession);
    return client.Heartbeat(beat).status();
  }
  void Register(CoordinatorClient& client, const std::string& id, const std::string& name) {
    v1::RegisterRequest request;
    request.set_worker_id(id);
    request.set_session(kSession);
    request.set_name(name);
    request.set_devices(1);
    request.set_device_kind("cpu");
    request.set_version("0.1.0");
    ASSERT_TRUE(client.Register(request).ok());
  }
  // Renews the certificate in the folder as its holder would.
  void Renew(CoordinatorClient& client, const std::string& folder) {
    const auto renewed = client.Renew({});
    ASSERT_TRUE(renewed.ok()) << renewed.status();
    ASSERT_TRUE(identity::ReplaceCertificate(folder, renewed->certificate()).ok());
  }
  // A client whose credential lies in a folder, as those of daemons and users do.
  std::unique_ptr<CoordinatorClient> ClientIn(const std::string& folder) {
    return *CoordinatorClient::Create(
        {.address = server_->address(), .credentials = folder, .retry_for = absl::ZeroDuration()});
  }
  // What a new connection is shown by the server: the serial number of its certificate.
  std::string ServersSerial() {
    const auto stub = v1::ClientService::NewStub(ChannelOf(*identity::ReadCredential(admin_folder())));
    grpc::ClientContext context;
    v1::ListSweepsResponse response;
    EXPECT_TRUE(stub->ListSweeps(&context, {}, &response).ok());
    const auto shown = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    if (shown.size() != 1) return "";
    const auto claims = identity::Describe(std::string(shown[0].data(), shown[0].size()));
    return claims.ok() ? claims->serial : claims.status().ToString();
  }
  static std::string Serial(int rotation) { return absl::StrCat(std::string(30, '1'), 10 + rotation); }

  std::vector<std::unique_ptr<Load>> loads_;
  std::atomic<bool> stop_ = false;
};

TEST_F(RotationTest, RotationAndRevocationCostNobodyElseACall) {
  const std::string user_folder = folder_ / "vera", worker_folder = folder_ / "worker";
  ASSERT_TRUE(identity::WriteCredential(user_folder, User("vera", "viewer")).ok());
  RegisterWorker();
  ASSERT_TRUE(identity::WriteCredential(worker_folder, joined_[testing::kWorkerId]).ok());
  const auto gone_worker = NewWorker(kGone);
  Register(*gone_worker, kGone, "node-2");
  const auto gone_user = ClientOf(User("tom", "submitter"));

  // Connections that stay, and one that is made anew for each call, as sinkctl's is.
  const auto user = ClientIn(user_folder), daemon = ClientIn(worker_folder);
  Run("a user's", [&] { return user->ListSweeps({}).status(); });
  Run("a worker's", [&] { return Beat(*daemon, testing::kWorkerId); });
  Run("a new connection's", [&] { return ClientIn(user_folder)->ListSweeps({}).status(); });
  Load& worker_out = Run("the revoked worker's", [&] { return Beat(*gone_worker, kGone); });
  Load& user_out = Run("the revoked user's", [&] { return gone_user->ListSweeps({}).status(); });

  const std::string authority_key = *files::ReadFile(folder_ / "data/tls/ca.key.pem", 10'000);
  const std::string server_folder = folder_ / "data/tls/server";
  const std::string server_key = identity::ReadCredential(server_folder)->key;
  std::set<std::string> served;
  absl::Time revoked;
  for (int i = 0; i < kRotations; ++i) {
    ASSERT_NO_FATAL_FAILURE(Renew(*client_, admin_folder()));
    ASSERT_NO_FATAL_FAILURE(Renew(*user, user_folder));
    ASSERT_NO_FATAL_FAILURE(Renew(*daemon, worker_folder));
    const auto certificate = identity::Issue(authority_key, authority(), *identity::PublicKeyOfKey(server_key),
                                             {.use = identity::Use::kServer,
                                              .uri = "",
                                              .serial = Serial(i),
                                              .not_before = absl::Now() - absl::Hours(1),
                                              .not_after = absl::Now() + absl::Hours(1)});
    ASSERT_TRUE(identity::ReplaceCertificate(server_folder, *certificate).ok());
    if (i == kRotations / 2) {
      EXPECT_FALSE(worker_out.out || user_out.out);
      revoked = absl::Now();
      ASSERT_TRUE(Revoke(absl::StrCat("worker/", kGone)).ok());
      ASSERT_TRUE(Revoke("user/tom").ok());
    }
    absl::SleepFor(absl::Milliseconds(150));
    served.insert(ServersSerial());
  }
  // The server looks for its certificate every second: the last one is served soon, without a restart.
  for (int i = 0; i < 100 && ServersSerial() != Serial(kRotations - 1); ++i) absl::SleepFor(absl::Milliseconds(100));
  EXPECT_EQ(ServersSerial(), Serial(kRotations - 1));
  EXPECT_GE(served.size(), 3u) << "certificates that the server showed on the way";
  Stop();
  for (const auto& load : loads_) {
    EXPECT_GE(load->calls, kRotations) << load->name;
    EXPECT_EQ(load->failures, 0) << load->name << " calls: " << load->error;
    const bool is_out = load.get() == &worker_out || load.get() == &user_out;
    EXPECT_EQ(load->out, is_out) << load->name;
    if (load->out) {
      EXPECT_LT(load->out_at - revoked, absl::Seconds(5)) << load->name;
    }
    std::printf("%s calls: %d, %d failed\n", load->name.c_str(), load->calls.load(), load->failures.load());
  }
}

}  // namespace
}  // namespace sink
