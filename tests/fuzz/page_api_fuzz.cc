// Fuzzes whole requests of the page, as the HTTP library hands them on, and the names of topics: to an Api over a store
// in memory that holds one job. Nothing crashes; a head ends where it should; whoever has no session, or is no script
// of the page, changes nothing and learns nothing of the job; and what is told of a topic is one line.
//
// The input: a byte of flags, then method, path, query and body, each on a line; the body is the rest. "@" in it is the
// job's id.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "coordinator/core/job_manager.h"
#include "coordinator/store/memory_store.h"
#include "coordinator/web/api.h"
#include "coordinator/web/topics.h"

namespace {

constexpr int64_t kNow = 1'700'000'000'000;
constexpr char kHost[] = "127.0.0.1:7072", kSweep[] = "unheard-of";

void Require(bool holds) {
  if (!holds) std::abort();
}

sink::Now Time() { return {.unix_ms = kNow, .steady_ms = 1}; }

// Made once: its job is cancelled and queued again as the runs have it.
class World {
 public:
  World()
      : folder_(absl::StrCat(std::filesystem::temp_directory_path().string(), "/sink-fuzz-page-", getpid())),
        disk_(folder_, 0) {
    std::filesystem::create_directories(folder_);
    jobs_ = *sink::JobManager::Start(&store_, {.new_lease_id = [] { return std::string(32, '7'); }}, nullptr, Time());
    principals_ = *sink::Principals::Open(absl::StrCat(folder_, "/identity.db"));
    audit_ = *sink::AuditLog::Open(absl::StrCat(folder_, "/audit.db"));
    access_ = std::make_unique<sink::Access>(nullptr, principals_.get(), audit_.get(), &jobs_->queries(), sink::Quota{},
                                             [] {});
    sessions_ = std::make_unique<sink::PageSessions>(principals_.get());
    changes_ = std::make_unique<sink::JobChanges>(access_.get(), &jobs_->clients(), &disk_, Time);
    api_ = std::make_unique<sink::web::Api>(sink::web::Api::Parts{.queries = &jobs_->queries(),
                                                                  .changes = changes_.get(),
                                                                  .access = access_.get(),
                                                                  .sessions = sessions_.get(),
                                                                  .fail_stop = &fail_stop_,
                                                                  .now = Time,
                                                                  .port_answers = [] { return absl::OkStatus(); }});
    Require(principals_->Put({.name = "user/a", .role = sink::Role::kAdmin}).ok());
    Require(
        principals_->AddCertificate({.serial = std::string(32, '1'), .principal = "user/a", .not_after_ms = 2 * kNow})
            .ok());
    sessions_->SetUrl(absl::StrCat("http://", kHost, "/"));
    sink::SubmitRequest request;
    request.sweep = kSweep;
    request.jobs.push_back({.id = kJob, .config_json = "{}", .max_steps = 10, .experiment = "e", .label = "l"});
    Require(jobs_->clients().Submit(request, Time()).ok());
  }
  ~World() { std::filesystem::remove_all(folder_); }

  // The Cookie header of a session; the fuzzer may have ended the one before.
  std::string Session() {
    const auto caller = principals_->Find(std::string(32, '1'), "sink://user/a", /*secret_hash=*/"", kNow);
    const std::string url = sessions_->Invite(*caller, kNow)->url;
    return absl::StrCat(sink::web::CookieName(kHost), "=", *sessions_->Open(url.substr(url.find('#') + 1), kNow));
  }
  sink::JobState State() { return jobs_->queries().GetJob(kJob)->job.state; }
  sink::web::Api& api() { return *api_; }
  sink::web::TopicSources sources() { return {.queries = &jobs_->queries(), .disk = &disk_, .now = Time}; }

  static constexpr char kJob[] = "0123456789abcdef0123456789abcdef";

 private:
  const std::string folder_;
  sink::DiskWatch disk_;
  sink::store::MemoryStore store_;
  sink::FailStop fail_stop_;
  std::unique_ptr<sink::JobManager> jobs_;
  std::unique_ptr<sink::Principals> principals_;
  std::unique_ptr<sink::AuditLog> audit_;
  std::unique_ptr<sink::Access> access_;
  std::unique_ptr<sink::PageSessions> sessions_;
  std::unique_ptr<sink::JobChanges> changes_;
  std::unique_ptr<sink::web::Api> api_;
};

void AskTopic(World& world, const std::string& name) {
  const auto topic = sink::web::MakeTopic(world.sources(), name);
  if (topic == nullptr) return;
  const auto whole = topic->Whole();
  if (!whole.ok()) return;
  const auto change = topic->Changes();
  for (const std::string& json : {*whole, change.ok() ? change->json : std::string()})
    Require(json.find('\n') == std::string::npos && json.find('\r') == std::string::npos);
}

void AskApi(World& world, uint8_t flags, const std::vector<std::string>& lines) {
  const bool session = (flags & 1) != 0, script = (flags & 2) != 0, origin = (flags & 4) != 0;
  sink::web::Request request;
  request.method = lines[0];
  request.path = lines[1];
  request.query = sink::web::ParseQuery(lines[2]);
  request.body = absl::StrReplaceAll(lines[3], {{"@", World::kJob}});
  request.host = kHost;
  request.from = "127.0.0.1:9";
  request.from_script = script;
  if (origin) request.origin = absl::StrCat("http://", kHost);
  if (session) request.cookie = world.Session();
  const sink::JobState before = world.State();
  const auto limit = world.api().BodyLimit(request);
  const sink::web::Response response = world.api().Handle(request);
  const std::string head = sink::web::HeadOf(response, static_cast<int64_t>(response.body.size()));
  Require(head.find("\r\n\r\n") == head.size() - 4);
  const bool for_all = request.path == "/healthz" || request.path == "/readyz";  // whatever the method
  if (request.method == "POST" && !limit.ok() && !for_all) Require(response.status >= 400);
  if (session && script && origin) return;
  Require(world.State() == before);
  if (session) return;
  Require(!absl::StrContains(response.body, World::kJob) || absl::StrContains(lines[3], "@"));
  Require(!absl::StrContains(response.body, kSweep) || absl::StrContains(absl::StrCat(lines[1], lines[2]), kSweep));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 8) != 0) {
    AskTopic(world, absl::StrReplaceAll(text, {{"@", World::kJob}}));
    return 0;
  }
  std::vector<std::string> lines = absl::StrSplit(text, absl::MaxSplits('\n', 3));
  lines.resize(4);
  AskApi(world, data[0], lines);
  return 0;
}
