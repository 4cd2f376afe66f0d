// See world.h.
#include "tests/simulator/world.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "coordinator/store/restored.h"
#include "coordinator/store/schema.h"
#include "coordinator/store/sqlite_transaction.h"
#include "tests/simulator/worker.h"

namespace sink::simulator {
namespace {

constexpr int64_t kEverythingEnds = 1500 * kSecond;  // a worker in quarantine waits for ten minutes
constexpr int64_t kTick = kSecond;
constexpr int64_t kGlance = 250 * kMs;  // how often faults are drawn

std::string JobId(int n) {
  const std::string digits = absl::StrCat(n);
  return std::string(8 - digits.size(), '0') + digits + std::string(24, 'a');
}

// The schema is made once: every schedule begins on a copy of its file, and of a log that has been put into it.
const LossyDisk::Image& EmptyDatabase(LossyDisk* disk) {
  static const LossyDisk::Image image = [disk] {
    disk->Format({});
    const auto db = store::Database::Open(kDatabase, store::Database::Mode::kReadWrite);
    absl::Status status = db.status();
    if (status.ok()) status = store::Migrate(**db);
    if (status.ok()) status = (*db)->Execute("PRAGMA wal_checkpoint");
    store::SeriesNames names;
    if (status.ok()) status = store::SqliteTransaction(**db, names).SetEpoch(0);  // the log begins anew
    if (!status.ok()) std::fprintf(stderr, "no database can be made: %s\n", std::string(status.message()).c_str());
    return disk->Contents();
  }();
  return image;
}

}  // namespace

Plan DrawPlan(Random* random) {
  Plan plan;
  plan.workers = static_cast<int>(random->Between(1, 3));
  plan.jobs = static_cast<int>(random->Between(1, 3));
  plan.steps = random->Between(2, 8);
  plan.save_every = random->Between(1, 3);
  plan.gangs = plan.workers > 1 && random->Chance(0.3);
  plan.faults_until = random->Between(2, 10) * kSecond;
  const auto sometimes = [random](double p, double least, double most) {
    return random->Chance(p) ? least + (most - least) * static_cast<double>(random->Below(1000)) / 1000 : 0.0;
  };
  plan.loss = sometimes(0.6, 0.01, 0.3);
  plan.duplication = sometimes(0.5, 0.01, 0.3);
  plan.most_delay = random->Chance(0.3) ? random->Between(100, 1500) * kMs : 20 * kMs;
  plan.coordinator_crashes = sometimes(0.6, 0.05, 0.5);
  plan.power_cuts = 0.7;
  plan.worker_crashes = sometimes(0.4, 0.02, 0.2);
  plan.machine_losses = sometimes(0.2, 0.02, 0.1);
  plan.freezes = sometimes(0.4, 0.02, 0.2);
  plan.cuts = sometimes(0.4, 0.02, 0.2);
  plan.trainer_crashes = sometimes(0.3, 0.02, 0.2);
  plan.restores = random->Chance(0.1);
  plan.damages = random->Chance(0.5);
  return plan;
}

World::World(uint64_t seed, Mutation mutation, Machine* machine, bool trace)
    : random_(seed),
      plan_(DrawPlan(&random_)),
      mutation_(mutation),
      machine_(machine),
      disk_(&machine->disk),
      trace_(trace) {
  disk_->Format(EmptyDatabase(disk_));
  disk_->IgnoreSyncsOf(mutation_ == Mutation::kSync ? "-wal" : "");
  options_.heartbeat_interval_ms = 1000;
  options_.lease_duration_ms = 6000;
  options_.retry = {.delay_ms = 200, .max_delay_ms = 2000};
  options_.new_lease_id = [this] { return NewId(); };
}

World::~World() {
  if (store_ != nullptr) StopCoordinator(/*power_cut=*/false);
}

void World::Note(const std::string& line) {
  for (const char c : absl::StrCat(timeline_.now(), line))
    digest_ = (digest_ ^ static_cast<uint8_t>(c)) * 1099511628211u;
  if (trace_) std::printf("%9.3f  %s\n", static_cast<double>(timeline_.now()) / kSecond, line.c_str());
}

World::Gang& World::GangOf(const std::string& token, int ranks) {
  return gangs_.try_emplace(token, Gang{ranks}).first->second;
}

std::string World::Run() {
  StartCoordinator();
  for (int w = 0; w < plan_.workers; ++w) workers_.push_back(std::make_unique<Worker>(this, w));
  for (const auto& worker : workers_) worker->Boot();
  Tick();
  ScheduleFaults();
  const int first = static_cast<int>(random_.Between(1, plan_.jobs));
  Submit(first, "a");
  if (first < plan_.jobs) {
    timeline_.After(random_.Between(0, plan_.faults_until), [this] { Submit(plan_.jobs, "b"); });
  }
  if (random_.Chance(0.2)) timeline_.After(random_.Between(0, plan_.faults_until), [this] { CancelSome(); });
  if (plan_.restores) {
    timeline_.After(random_.Between(0, plan_.faults_until / 2), [this] { BackUp(); });
    timeline_.After(random_.Between(plan_.faults_until / 2, plan_.faults_until), [this] { Restore(); });
  }
  if (plan_.damages) timeline_.After(random_.Between(0, plan_.faults_until / 2), [this] { DamageCheckpoint(); });
  int64_t look_at = plan_.faults_until;
  while (oracle_.failure().empty() && timeline_.RunOne(kEverythingEnds)) {
    if (timeline_.now() < look_at) continue;
    look_at = timeline_.now() + kSecond;
    if (manager_ != nullptr && AllFinal()) break;
  }
  if (oracle_.failure().empty()) {
    if (manager_ == nullptr)
      oracle_.Fail("the coordinator does not come back");
    else if (!AllFinal())
      TellWhatWaits();
    else
      oracle_.CheckEnd(manager_.get(), files_, plan_.steps);
  }
  return oracle_.failure();
}

void World::TellWhatWaits() {
  std::string waiting;
  const auto jobs = manager_->queries().ListJobs({});
  for (const Job& job : jobs.value()) {
    if (!IsFinal(job.state)) absl::StrAppend(&waiting, " ", job.id.substr(0, 8), " ", std::string(NameOf(job.state)));
  }
  oracle_.Fail(absl::StrCat("not every job has ended:", waiting));
}

bool World::AllFinal() {
  const auto jobs = manager_->queries().ListJobs({});
  if (!jobs.ok() || static_cast<int>(jobs->size()) < plan_.jobs) return false;
  return std::all_of(jobs->begin(), jobs->end(), [](const Job& job) { return IsFinal(job.state); });
}

Now World::CoordinatorNow() {
  const int64_t steady_ms = timeline_.now() / kMs + 1000;
  return {wall_offset_ms_ + steady_ms, steady_ms};
}

void World::StartCoordinator() {
  if (store_ != nullptr) return;
  if (timeline_.now() > 0 && Fault(0.2)) disk_->CutPowerIn(random_.Between(1, 40));  // crashes meet the start, too
  const auto again = [this] {
    StopCoordinator(/*power_cut=*/true);
    timeline_.After(random_.Between(50 * kMs, 2 * kSecond), [this] { StartCoordinator(); });
  };
  auto store = SimulatedStore::Open(&timeline_, &random_, &machine_->fibers, &machine_->connections, again);
  if (!store.ok()) {
    if (!disk_->power_is_cut()) oracle_.Fail(absl::StrCat("the database cannot be opened: ", store.status().message()));
    return again();
  }
  store_ = *std::move(store);
  ++incarnation_;
  auto manager = JobManager::Start(store_.get(), options_, nullptr, CoordinatorNow());
  if (store_ == nullptr) return;  // the power went
  if (!manager.ok()) {
    oracle_.Fail(absl::StrCat("the coordinator does not start: ", manager.status().message()));
    return again();
  }
  manager_ = *std::move(manager);
  desk_ = std::make_unique<Desk>(this, manager_.get(), store_.get());
  uint64_t epoch = 0;
  const absl::Status read = store_->Read([&epoch](store::Snapshot& rows) {
    const auto stored = rows.GetEpoch();
    if (stored.ok()) epoch = *stored;
    return stored.status();
  });
  if (!read.ok()) oracle_.Fail(absl::StrCat("the epoch cannot be read: ", read.message()));
  Note(absl::StrCat("coordinator starts, epoch ", epoch));
  oracle_.Started(epoch);
}

void World::StopCoordinator(bool power_cut) {
  Note(power_cut ? "coordinator: power cut" : "coordinator is killed");
  ++incarnation_;
  // What waits in it goes on with an error, within a process that nobody hears.
  if (store_ != nullptr) store_->Kill();
  desk_.reset();
  for (const LeaseCallPtr& call : lease_calls_) {
    if (!call->copies.empty()) Break(call);
  }
  const std::unique_ptr<SimulatedStore> store = std::move(store_);
  const std::unique_ptr<JobManager> manager = std::move(manager_);
  disk_->Restart(power_cut ? &random_ : nullptr);
  if (power_cut) files_.CutPower();
  coordinator_frozen_until_ = 0;
  ticking_ = false;
}

bool World::Serve(std::function<void(JobManager&, Now)> body) {
  if (manager_ == nullptr) return false;
  const auto run = [this, body = std::move(body), incarnation = incarnation_] {
    if (incarnation_ != incarnation) return;
    machine_->fibers.Start([this, body, incarnation] {
      body(*manager_, CoordinatorNow());
      if (incarnation_ == incarnation) desk_->Notice();
    });
  };
  const int64_t frozen = coordinator_frozen_until_ - timeline_.now();
  if (frozen > 0) {
    timeline_.After(frozen, run);
  } else {
    run();
  }
  return true;
}

bool World::IsCut(int worker) const {
  return std::any_of(cuts_.begin(), cuts_.end(), [&](const auto& cut) {
    return cut.first > timeline_.now() && (cut.second == worker || cut.second < 0);
  });
}

void World::Ask(int worker, const LeaseRequest& request, LeaseAnswered answered) {
  constexpr int64_t kDeadline = 2 * kSecond;  // beyond the wait
  ++calls_;
  const auto call = std::make_shared<LeaseCall>(LeaseCall{worker, request, std::move(answered)});
  lease_calls_.push_back(call);
  const auto arrive = [this, call] {
    if (IsCut(call->worker)) return Break(call);
    if (!Serve([this, call](JobManager&, Now) { Arrive(call); })) Break(call);
  };
  if (Fault(plan_.loss)) {
    Break(call);
  } else {
    timeline_.After(Delay(), arrive);
  }
  if (Fault(plan_.duplication)) timeline_.After(Delay() * random_.Between(1, 10), arrive);
  timeline_.After(request.wait_ms * kMs + kDeadline,
                  [this, call] { End(call, absl::DeadlineExceededError("no answer")); });
}

void World::Arrive(const LeaseCallPtr& call) {
  const auto question = std::make_shared<Desk::Question>();
  question->request = call->request;
  question->wait = std::chrono::milliseconds(call->request.wait_ms);
  question->answer = [this, call, incarnation = incarnation_](const Desk::Grants& grants, int64_t waited) {
    if (incarnation_ != incarnation || call->over) return;
    if (Fault(plan_.loss) || IsCut(call->worker)) return Break(call);
    timeline_.After(Delay(), [this, call, grants, waited] { End(call, grants, waited); });
  };
  call->copies.push_back(question);
  desk_->Ask(question);
  if (call->over) Leave(call);
}

void World::Break(const LeaseCallPtr& call) {
  timeline_.After(random_.Between(kMs, kSecond),
                  [this, call] { End(call, absl::UnavailableError("the connection broke")); });
}

void World::End(const LeaseCallPtr& call, const Desk::Grants& grants, int64_t waited) {
  if (call->over) return;
  Leave(call);
  call->answered(grants, waited);
}

void World::Leave(const LeaseCallPtr& call) {
  call->over = true;
  std::erase(lease_calls_, call);
  for (const std::weak_ptr<Desk::Question>& copy : call->copies) {
    const std::shared_ptr<Desk::Question> question = copy.lock();
    if (question == nullptr) continue;
    question->awaited = false;
    // The coordinator hears of it, or misses the signs of life.
    const int64_t delay = IsCut(call->worker) ? random_.Between(kSecond, 5 * kSecond) : Delay();
    timeline_.After(delay, [this, copy, incarnation = incarnation_] {
      if (incarnation_ != incarnation) return;
      Serve([this, copy](JobManager&, Now) {
        if (const std::shared_ptr<Desk::Question> left = copy.lock()) desk_->Withdraw(left);
      });
    });
  }
}

void World::HangUp(int worker) {
  const std::vector<LeaseCallPtr> calls = lease_calls_;
  for (const LeaseCallPtr& call : calls) {
    if (call->worker == worker) Leave(call);
  }
}

void World::Tick() {
  timeline_.After(kTick, [this] { Tick(); });
  if (desk_ != nullptr && !disk_->power_is_cut()) desk_->Check(coordinator_frozen_until_);
  if (ticking_) return;
  ticking_ = Serve([this, incarnation = incarnation_](JobManager& manager, Now now) {
    const absl::Status status = manager.expiry().Tick(now);
    if (incarnation_ != incarnation) return;
    ticking_ = false;
    if (!status.ok() && !disk_->power_is_cut()) oracle_.Fail(absl::StrCat("a tick failed: ", status.message()));
  });
}

void World::ScheduleFaults() {
  if (!faults()) return;
  timeline_.After(kGlance, [this] { ScheduleFaults(); });
  const double part = static_cast<double>(kGlance) / kSecond;
  if (Fault(plan_.coordinator_crashes * part) && store_ != nullptr) {
    if (random_.Chance(plan_.power_cuts)) {
      disk_->CutPowerIn(random_.Between(1, 12));  // somewhere within the next commits
    } else {
      StopCoordinator(random_.Chance(0.5));
      timeline_.After(random_.Between(50 * kMs, 4 * kSecond), [this] {
        if (store_ == nullptr) StartCoordinator();
      });
    }
  }
  if (Fault(plan_.freezes * part / 2)) {
    const int64_t until = timeline_.now() + random_.Between(100 * kMs, 12 * kSecond);
    coordinator_frozen_until_ = std::max(coordinator_frozen_until_, until);
  }
  if (Fault(0.1 * part)) wall_offset_ms_ += random_.Between(-86'400'000, 86'400'000);  // nobody may care
  if (Fault(plan_.cuts * part)) {
    cuts_.push_back({timeline_.now() + random_.Between(200 * kMs, 12 * kSecond),
                     static_cast<int>(random_.Between(-1, plan_.workers - 1))});
    // Connections outlast a short one.
    timeline_.After(random_.Between(kSecond, 5 * kSecond), [this] {
      const std::vector<LeaseCallPtr> calls = lease_calls_;
      for (const LeaseCallPtr& call : calls) {
        if (IsCut(call->worker)) Break(call);
      }
    });
  }
  for (const auto& worker : workers_) {
    if (Fault(plan_.worker_crashes * part)) worker->Crash(false);
    if (Fault(plan_.machine_losses * part)) worker->Crash(true);
    if (Fault(plan_.freezes * part)) worker->Freeze(random_.Between(100 * kMs, 15 * kSecond));
    if (Fault(plan_.trainer_crashes * part)) worker->KillTrainer();
  }
}

void World::Submit(int count, const std::string& sweep) {
  SubmitRequest request;
  request.request_id = NewId();
  request.sweep = sweep;
  request.body_hash = absl::StrCat(count);
  request.retry_budget = {1000, 0, 0, 0};
  if (plan_.gangs) {
    request.devices = static_cast<int>(random_.Between(1, plan_.workers));
    request.per_worker = 1;
  }
  for (int n = 0; n < count; ++n) {
    SubmitJob& job = request.jobs.emplace_back();
    job.id = JobId(n);
    job.config_json = "{}";
    job.experiment = "e";
    job.index = n;
    job.max_steps = plan_.steps;
  }
  Send(request);
}

void World::Send(const SubmitRequest& request) {
  Call<SubmitResult>(
      -1,
      [this, request](JobManager& manager, Now now) {
        const auto result = manager.clients().Submit(request, now);
        std::vector<std::string> ids;
        for (const SubmitJob& job : request.jobs) ids.push_back(job.id);
        if (result.ok()) oracle_.Submitted(ids);
        return result;
      },
      [this, request](const absl::StatusOr<SubmitResult>& result) {
        if (result.ok()) return;
        if (!absl::IsUnavailable(result.status()) && !absl::IsDeadlineExceeded(result.status()) &&
            !absl::IsDataLoss(result.status())) {
          oracle_.Fail(absl::StrCat("a submission was refused: ", result.status().message()));
        }
        timeline_.After(random_.Between(100 * kMs, kSecond), [this, request] { Send(request); });
      });
}

void World::CancelSome() {
  const std::string job = JobId(static_cast<int>(random_.Below(plan_.jobs)));
  oracle_.CancelAsked(job);
  Call<CancelResult>(
      -1,
      [job](JobManager& manager, Now now) {
        return manager.clients().Cancel({"", {job}}, now);
      },
      [](const absl::StatusOr<CancelResult>&) {});
}

void World::BackUp() {
  if (store_ == nullptr) return;
  Note("backup");
  backup_.emplace(disk_->Contents(), files_);
  oracle_.BackedUp();
}

void World::Restore() {
  if (!backup_) return;
  Note("restore");
  StopCoordinator(/*power_cut=*/false);
  disk_->Format(backup_->first);
  files_ = backup_->second;
  oracle_.Restored();
  if (mutation_ != Mutation::kRestore) {
    if (const absl::Status status = PrepareRestored(); !status.ok()) oracle_.Fail(std::string(status.message()));
  }
  StartCoordinator();
  Submit(plan_.jobs, "c");  // people see that it is gone
}

void World::DamageCheckpoint() {
  // One a schedule: two are kept of each job, so that an intact one must be left. Of a job that may need it, and not
  // always of its first one.
  if (!faults()) return;
  const std::string job = JobId(static_cast<int>(random_.Below(plan_.jobs)));
  const Oracle::Kept newest = oracle_.NewestCheckpoint(job);
  if (random_.Chance(0.5) || newest.step == plan_.steps || !files_.Damage({job, newest.fence, newest.step})) {
    return timeline_.After(kGlance, [this] { DamageCheckpoint(); });
  }
  Note(absl::StrCat("the checkpoint of step ", newest.step, " of ", job.substr(0, 8), " is damaged"));
  oracle_.Damaged(job, newest);
}

absl::Status World::PrepareRestored() {
  auto db = store::Database::Open(kDatabase, store::Database::Mode::kReadWrite);
  if (!db.ok()) return db.status();
  store::SeriesNames names;
  store::SqliteTransaction rows(**db, names);
  return store::PrepareRestored(rows, 0, CoordinatorNow().unix_ms / 1000);
}

}  // namespace sink::simulator
