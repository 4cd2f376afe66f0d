#include "coordinator/doctor/fleet.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "coordinator/job/data_set.h"
#include "coordinator/job/worker_state.h"
#include "proto/base/counted.h"

namespace sink::doctor {
namespace {

constexpr int64_t kSkewMs = 30'000;  // a worker reports every few seconds; more than this is no delay

bool IsConnected(const v1::Worker& worker) { return ParseName<WorkerState>(worker.state()) == WorkerState::kConnected; }

class FleetDoctor {
 public:
  explicit FleetDoctor(const Fleet& fleet) : fleet_(fleet) {}

  std::vector<Finding> Examine() {
    Coordinator();
    for (const v1::Worker& worker : fleet_.workers.workers()) Worker(worker);
    Workers();
    Sets();
    for (const v1::WhyJobResponse& job : fleet_.waiting) Waiting(job);
    return std::move(findings_);
  }

 private:
  void Say(Level level, std::string subject, std::string what, std::string fix = "") {
    findings_.push_back({level, std::move(subject), std::move(what), std::move(fix)});
  }

  void Coordinator() {
    Say(Level::kGood, "coordinator",
        absl::StrCat("answers at ", fleet_.address, " with ", Counted(fleet_.sweeps.sweeps_size(), "sweep")));
    // One of before it told its version is older than this program.
    if (const std::string& version = fleet_.sweeps.version(); version != fleet_.version)
      Say(Level::kHint, "coordinator",
          absl::StrCat("is of ", version.empty() ? "an older version" : absl::StrCat("version ", version),
                       ", this sinkctl of ", fleet_.version),
          "install the same version everywhere");
    for (const std::string& warning : fleet_.sweeps.warnings())
      Say(Level::kFault, "coordinator", warning,
          "see to that disk: mount it, let the coordinator's user write there, or make room where its --data lies");
    for (const v1::Checkpoint& checkpoint : fleet_.sweeps.damaged()) Damage(checkpoint);
    int64_t newest = fleet_.sweeps.now_ms();  // one of an older version is known by its workers alone
    for (const v1::Worker& worker : fleet_.workers.workers())
      if (IsConnected(worker)) newest = std::max(newest, worker.last_seen_ms());
    if (newest == 0) return;
    if (const int64_t apart = fleet_.now_ms - newest; std::abs(apart) > kSkewMs)
      Say(Level::kFault, "coordinator",
          absl::StrCat("its clock and this machine's are ", absl::FormatDuration(absl::Seconds(std::abs(apart) / 1000)),
                       " apart: ages and ETAs here are wrong, and certificates may be refused"),
          "synchronise both clocks (timedatectl set-ntp true)");
  }

  void Damage(const v1::Checkpoint& checkpoint) {
    const std::string which = absl::StrCat(checkpoint.job_id().substr(0, 8), " --step ", checkpoint.step());
    Say(Level::kFault, "coordinator",
        absl::StrCat("the checkpoint of step ", checkpoint.step(), " of job ", checkpoint.job_id().substr(0, 8),
                     " is damaged: ", checkpoint.damage()),
        absl::StrCat("bring its files back from a backup, or forget it: ",
                     checkpoint.pinned() ? absl::StrCat("sinkctl checkpoint unpin ", which, ", then ") : "",
                     "sinkctl checkpoint drop ", which));
  }

  void Worker(const v1::Worker& worker) {
    const std::string subject = absl::StrCat("worker ", worker.name());
    const size_t before = findings_.size();
    if (!IsConnected(worker)) {
      const int64_t silent = std::max<int64_t>(0, fleet_.now_ms - worker.last_seen_ms()) / 1000;
      const std::string ago =
          silent == 0 ? "a moment ago" : absl::StrCat(absl::FormatDuration(absl::Seconds(silent)), " ago");
      if (ParseName<WorkerState>(worker.state()) == WorkerState::kStopped)
        Say(Level::kHint, subject, absl::StrCat("was stopped ", ago), "start it again when it may work");
      else
        Say(Level::kFault, subject, absl::StrCat("is ", worker.state(), ", last heard from ", ago),
            "look at its log on its machine; start it again, or leave it out for good");
    }
    if (worker.version() != fleet_.version)
      Say(Level::kHint, subject, absl::StrCat("is of version ", worker.version(), ", this sinkctl of ", fleet_.version),
          "install the same version everywhere");
    if (IsConnected(worker)) Readiness(worker);
    if (findings_.size() == before)
      Say(Level::kGood, subject,
          absl::StrCat("connected, ", worker.devices(), " x ", worker.device_kind(), ", ", worker.devices_free(),
                       " free, ", Counted(worker.sets_size(), "data set")));
  }

  // What keeps a connected worker from jobs.
  void Readiness(const v1::Worker& worker) {
    const std::string subject = absl::StrCat("worker ", worker.name());
    if (worker.hold() == "quarantined") {
      Say(Level::kFault, subject, absl::StrCat("is in quarantine: ", worker.hold_reason()),
          absl::StrCat("mend that, then: sinkctl uncordon ", worker.name()));
    } else if (!worker.hold().empty()) {
      Say(Level::kHint, subject,
          absl::StrCat("takes no new jobs: it is ", worker.hold(),
                       worker.hold_reason().empty() ? "" : absl::StrCat(" (", worker.hold_reason(), ")")),
          absl::StrCat("when it may work again: sinkctl uncordon ", worker.name()));
    }
    if (worker.job_ids().empty() && worker.devices_free() < worker.devices()) {
      Say(Level::kFault, subject,
          absl::StrCat("has no job and keeps ", worker.devices() - worker.devices_free(), " of its ",
                       Counted(worker.devices(), "device"),
                       " out of use: processes of an earlier attempt have not ended"),
          "its log names them: mend what they wait for, or restart the machine; its daemon alone would give the "
          "devices out again");
    }
    for (const v1::IncompleteCopy& set : worker.incomplete_sets()) {
      const auto use = static_cast<CopyUse>(set.use());
      Say(use == CopyUse::kBeingCompared ? Level::kHint : Level::kFault, subject,
          absl::StrCat("takes no jobs for data set ", set.name(), ", of which its copy ", WhyUnused(set.gap(), use)),
          MendingOfSet(use));
    }
    // No fault: a cache of the hub may hold what no job asks for.
    for (const v1::IncompleteCopy& model : worker.incomplete_models()) {
      const auto use = static_cast<CopyUse>(model.use());
      Say(Level::kHint, subject,
          absl::StrCat("takes no jobs ", use == CopyUse::kWithoutTokenizer ? "that read texts " : "", "for model ",
                       model.name(), ", of which its copy ", WhyUnused(model.gap(), use)),
          MendingOfModel(use));
    }
    if (worker.sets_size() == 0 && worker.incomplete_sets_size() == 0)
      Say(Level::kHint, subject, "has no packed data set, so it can train on nothing",
          "point its --data-root at a folder that sink-data pack has made sets in");
  }

  void Workers() {
    const auto& workers = fleet_.workers.workers();
    if (std::any_of(workers.begin(), workers.end(), IsConnected)) return;
    Say(Level::kFault, "workers", "none is connected, so nothing runs",
        absl::StrCat("start one: sink-worker --coordinator ", fleet_.address, " --data DIR --data-root SETS"));
  }

  // Sets of one name whose content is not the same everywhere.
  void Sets() {
    std::map<std::string, std::map<std::string, std::vector<std::string>>> copies;  // name -> content -> workers
    for (const v1::Worker& worker : fleet_.workers.workers())
      if (IsConnected(worker))
        for (const v1::DataSet& set : worker.sets()) copies[set.name()][set.content()].push_back(worker.name());
    for (const auto& [name, by_content] : copies) {
      if (by_content.size() < 2) continue;
      std::vector<std::string> groups;
      for (const auto& [content, workers] : by_content) groups.push_back(absl::StrJoin(workers, ", "));
      Say(Level::kFault, absl::StrCat("data set ", name),
          absl::StrCat("is not the same on all workers: ", absl::StrJoin(groups, " | ")),
          "copy one of them over the others; its jobs compare runs on different text otherwise");
    }
  }

  void Waiting(const v1::WhyJobResponse& why) {
    const v1::Job& job = why.job();
    const std::string sweep = job.sweeps_size() > 0 ? job.sweeps(0).sweep() : "";
    int devices = 0, free = 0;
    for (const v1::Worker& worker : fleet_.workers.workers()) {
      if (!IsConnected(worker)) continue;
      devices += worker.devices();
      free += worker.devices_free();
    }
    if (devices > 0 && free == 0)
      return Say(Level::kGood, absl::StrCat("sweep ", sweep), "waits for a device: all are in use");
    Say(Level::kHint, absl::StrCat("sweep ", sweep),
        absl::StrCat("job ", job.id().substr(0, 8), " waits: ", absl::StrJoin(why.reasons(), "; ")),
        absl::StrCat("all of it: sinkctl why ", job.id().substr(0, 8)));
  }

  const Fleet& fleet_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> Examine(const Fleet& fleet) { return FleetDoctor(fleet).Examine(); }

}  // namespace sink::doctor
