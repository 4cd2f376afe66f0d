// See set_list.h.
#include "worker/set_list.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "proto/config/names.h"
#include "proto/run/set_fingerprint.h"
#include "proto/run/set_gap.h"
#include "worker/incomplete_copy.h"

namespace sink::worker {

namespace fs = std::filesystem;

namespace {

constexpr char kBeingCompared[] =
    "its files are being compared with their hashes, and it is used in half a minute at most";
constexpr absl::Duration kReadAgain = absl::Seconds(2);
constexpr absl::Duration kThoroughAgain = absl::Minutes(1);
constexpr absl::Duration kLongestReading = absl::Seconds(30);                             // before a set is listed
constexpr absl::Duration kSoonest = absl::Milliseconds(100), kLatest = absl::Seconds(5);  // to ask while one is not
constexpr int kMaxSets = 1000;
constexpr size_t kMaxDataFiles = 1000;
constexpr int kMaxFolders = 20'000;  // of the folder

}  // namespace

std::string ContentOfSet(const std::string& root, const std::string& name) {
  const auto content = run::SetFingerprint(absl::StrCat(root, "/", name));
  return content.ok() ? *content : "";
}

bool SetList::Known::withheld(absl::Duration now) const {
  return reads_since != absl::InfiniteDuration() && now - reads_since < kLongestReading;
}

void SetList::Look(const std::string& name, std::string stamp, bool thorough, absl::Duration now, Known* known) {
  const bool same = stamp == known->stamp;
  const bool reading = known->reads_since != absl::InfiniteDuration();
  const std::string path = absl::StrCat(root_, "/", name);
  // A file that is still being copied grows without a sign of it in its folder. To look at all files takes a while
  // where there are many: not for each that has been read.
  if (same && known->gap.empty() && !thorough && (!reading || content_check_.Reads(path))) {
    if (reading && known->content.empty() && !known->withheld(now)) known->content = ContentOfSet(root_, name);
    return;
  }
  std::string gap = run::FindSetGap(path).message();
  ContentCheck::State state;
  if (gap.empty()) {
    state = content_check_.Look(path, now);
    gap = state.wrong;
  }
  if (known->gap.empty() && !gap.empty())
    spdlog::warn("data set {} is not whole, and this worker takes no jobs for it: {}", path, gap);
  if (gap.empty() && state.unread > 0 && !reading)
    spdlog::info("data set {}: {} files are being compared with their hashes", path, state.unread);
  if (gap.empty() && state.unread == 0 && (reading || !known->gap.empty())) spdlog::info("data set {} is whole", path);
  known->reads_since = !gap.empty() || state.unread == 0 ? absl::InfiniteDuration()
                       : same                            ? std::min(known->reads_since, now)
                                                         : now;
  known->stamp = std::move(stamp);
  known->gap = std::move(gap);
  if (!known->gap.empty() || known->withheld(now))
    known->content.clear();
  else if (!same || known->content.empty())
    known->content = ContentOfSet(root_, name);
}

const v1::DataSets& SetList::Get(absl::Duration now) {
  if (now - read_at_ < std::min(kReadAgain, AskAgainIn(read_at_))) return sets_;
  read_at_ = now;
  const bool thorough = now - thorough_at_ >= kThoroughAgain;
  if (thorough) thorough_at_ = now;
  std::map<std::string, Known> found;
  std::set<std::string> files;
  std::error_code error, ignored;
  int entries = kMaxFolders;
  for (fs::directory_iterator entry(root_, error), end; !error && entry != end && entries > 0;
       entry.increment(error), --entries) {
    const std::string name = entry->path().filename().string();
    if (!IsPlainName(name)) continue;
    if (entry->is_regular_file(ignored)) files.insert(name);
    if (!entry->is_directory(ignored)) continue;
    const std::string folder = entry->path().string();
    std::string stamp = absl::StrCat(StampOf(folder), " ", StampOf(absl::StrCat(folder, "/set.json")));
    const auto before = known_.find(name);
    Known& known = found[name];
    if (before != known_.end()) known = std::move(before->second);
    Look(name, std::move(stamp), thorough, now, &known);
  }
  known_ = std::move(found);
  withheld_since_ = absl::InfiniteDuration();
  for (const auto& [name, known] : known_)
    if (known.withheld(now)) withheld_since_ = std::min(withheld_since_, known.reads_since);
  sets_.Clear();
  // Of a folder with more of them nothing is told: any may be there.
  if (files.size() <= kMaxDataFiles && entries > 0)
    sets_.mutable_files()->mutable_names()->Assign(files.begin(), files.end());
  for (const auto& [name, known] : known_) {
    const bool compared = known.withheld(now);
    const std::string gap = compared ? kBeingCompared : known.gap;
    if (!gap.empty() && sets_.incomplete_size() < kMaxIncomplete)
      *sets_.add_incomplete() =
          IncompleteCopyOf(root_, name, gap, compared ? v1::COPY_BEING_COMPARED : v1::COPY_FOR_NO_JOB);
    if (known.content.empty() || sets_.sets_size() == kMaxSets) continue;
    v1::DataSet& set = *sets_.add_sets();
    set.set_name(name);
    set.set_content(known.content);
  }
  return sets_;
}

absl::Duration SetList::AskAgainIn(absl::Duration now) const {
  if (withheld_since_ == absl::InfiniteDuration()) return absl::InfiniteDuration();
  return std::clamp(now - withheld_since_, kSoonest, kLatest);
}

}  // namespace sink::worker
