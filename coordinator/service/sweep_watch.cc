// See sweep_watch.h.
#include "coordinator/service/sweep_watch.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "coordinator/job/left_to_others.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/convert.h"

namespace sink {
namespace {

constexpr int kJobsAPart = 500;

size_t CountUnfinished(const Sweep& sweep) {
  size_t jobs = 0;
  for (const auto& [state, count] : sweep.jobs_by_state) jobs += IsFinal(state) ? 0 : count;
  return jobs;
}

// Equal messages give equal bytes, whatever the order inside their maps.
std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream sink(&bytes);
  google::protobuf::io::CodedOutputStream coded(&sink);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

uint64_t KeyOf(const std::string& id) {
  uint64_t key = 0;
  std::from_chars(id.data(), id.data() + std::min<size_t>(id.size(), 16), key, 16);
  return key;
}

absl::Status WatcherHasLeft() { return absl::CancelledError("the client has left"); }

}  // namespace

absl::StatusOr<bool> SweepWatch::Tell(const Writer& write) {
  if (!told_) {
    position_ = queries_->feed().position();
    SINK_ASSIGN_OR_RETURN(const bool done, TellAll(write));
    told_ = true;
    return done;
  }
  const ChangeFeed::News news = queries_->feed().Since(position_);
  position_ = news.position;
  const bool other_jobs = std::find(news.sweeps.begin(), news.sweeps.end(), sweep_) != news.sweeps.end();
  if (news.incomplete || other_jobs) return TellAll(write);
  const std::vector<std::string> ids = OfThisSweep(news);
  if (ids.empty()) return false;
  return changes_only_ ? TellChanges(ids, write) : TellAll(write);
}

absl::StatusOr<bool> SweepWatch::TellAll(const Writer& write) {
  jobs_.clear();
  left_.clear();
  awaited_.clear();
  if (changes_only_) return TellInParts(write);
  v1::GetSweepResponse whole;
  Gangs gangs;
  const auto tell = [&](const Job& job) {
    Remember(job);
    ToProto(job, whole.add_jobs());
  };
  SINK_ASSIGN_OR_RETURN(const Sweep sweep, queries_->VisitSweep(sweep_, tell, &gangs));
  AddGangs(gangs, whole.mutable_jobs());
  ToProto(sweep, whole.mutable_sweep());
  std::string bytes = Bytes(whole);
  if (bytes != sent_ && !write(whole)) return WatcherHasLeft();
  sent_ = std::move(bytes);
  return IsOver(sweep);
}

absl::StatusOr<bool> SweepWatch::TellInParts(const Writer& write) {
  store::JobQuery page{.sweep = sweep_, .states = {}, .limit = kJobsAPart, .after = ""};
  for (bool first = true;; first = false) {
    // A part is of its own moment; what changes between two is news to this watch.
    SINK_ASSIGN_OR_RETURN(const Sweep sweep, queries_->GetSweep(sweep_));
    Gangs gangs;
    const absl::StatusOr<std::vector<Job>> jobs = queries_->ListJobs(page, &gangs);
    // The job at the end of the part before has left the sweep: that is news, with which all begins again.
    if (absl::IsNotFound(jobs.status()) && !first) return false;
    if (!jobs.ok()) return jobs.status();
    v1::GetSweepResponse part;
    ToProto(sweep, part.mutable_sweep());
    for (const Job& job : *jobs) {
      Remember(job);
      ToProto(job, part.add_jobs());
    }
    AddGangs(gangs, part.mutable_jobs());
    part.set_changed_only(!first);
    part.set_more(jobs->size() == kJobsAPart);
    if (!write(part)) return WatcherHasLeft();
    if (!part.more()) return IsOver(sweep);
    page.after = jobs->back().id;
  }
}

std::vector<std::string> SweepWatch::OfThisSweep(const ChangeFeed::News& news) const {
  std::vector<std::string> ids;
  for (const std::string& id : news.jobs) {
    if (jobs_.contains(KeyOf(id))) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

absl::StatusOr<bool> SweepWatch::TellChanges(const std::vector<std::string>& ids, const Writer& write) {
  v1::GetSweepResponse changes;
  Gangs gangs;
  const auto tell = [&](const Job& job) {
    Remember(job);
    ToProto(job, changes.add_jobs());
  };
  SINK_ASSIGN_OR_RETURN(const Sweep sweep, queries_->VisitJobsOf(sweep_, ids, tell, &gangs));
  AddGangs(gangs, changes.mutable_jobs());
  ToProto(sweep, changes.mutable_sweep());
  changes.set_changed_only(true);
  if (changes.jobs_size() > 0 && !write(changes)) return WatcherHasLeft();
  return IsOver(sweep);
}

void SweepWatch::Remember(const Job& job) {
  const uint64_t key = KeyOf(job.id);
  jobs_.insert(key);
  left_.erase(key);
  awaited_.erase(key);
  if (IsFinal(job.state)) return;
  const bool left = std::any_of(job.sweeps.begin(), job.sweeps.end(), [&](const Membership& place) {
    return place.sweep == sweep_ && IsLeftToOthers(job, place);
  });
  (left ? left_ : awaited_).insert(key);
}

bool SweepWatch::IsOver(const Sweep& sweep) const {
  // What jobs have become may be in the store before it is in the feed: neither alone says that all has been told.
  return awaited_.empty() && CountUnfinished(sweep) == left_.size();
}

}  // namespace sink
