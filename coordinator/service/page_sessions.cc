// See page_sessions.h.
#include "coordinator/service/page_sessions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/identity/one_way.h"
#include "coordinator/job/status_macros.h"
#include "proto/files/random_id.h"

namespace sink {
namespace {

std::string NewSecret() { return files::RandomId() + files::RandomId(); }
std::string NameOfSecret(absl::string_view secret) { return identity::OneWayName("page", secret); }

absl::Status NoSession() {
  return absl::UnauthenticatedError("this browser has no session, or no longer; for a link to a new one: sinkctl page");
}

}  // namespace

void PageSessions::SetUrl(std::string url) {
  MutexLock lock(&mutex_);
  url_ = std::move(url);
}

absl::Status PageSessions::MakeRoom(Entries& entries, const std::string& name, size_t most_of_one, int64_t now_ms) {
  std::erase_if(entries, [now_ms](const auto& entry) { return entry.second.until_ms <= now_ms; });
  size_t own = 0;
  auto oldest = entries.end();
  for (auto it = entries.begin(); it != entries.end(); ++it) {
    if (it->second.caller.name != name) continue;
    ++own;
    if (oldest == entries.end() || it->second.until_ms < oldest->second.until_ms) oldest = it;
  }
  if (own >= most_of_one) {
    entries.erase(oldest);
  } else if (entries.size() >= kPageSessions) {
    return absl::ResourceExhaustedError("too many browsers have the page open; try again later");
  }
  return absl::OkStatus();
}

absl::StatusOr<PageSessions::Link> PageSessions::Invite(const Caller& caller, int64_t now_ms) {
  MutexLock lock(&mutex_);
  if (url_.empty()) {
    return absl::FailedPreconditionError(
        "this coordinator serves no page; start it with --page-listen 127.0.0.1:7072, or another free port");
  }
  SINK_RETURN_IF_ERROR(MakeRoom(links_, caller.name, kPageLinksOfOne, now_ms));
  const std::string token = NewSecret();
  links_[NameOfSecret(token)] = {.caller = caller, .until_ms = now_ms + kPageLinkMs};
  return Link{.url = absl::StrCat(url_, "open#", token), .good_until_ms = now_ms + kPageLinkMs};
}

absl::StatusOr<Caller> PageSessions::CallerOf(const Entry& entry, int64_t now_ms) const {
  if (entry.until_ms <= now_ms) return NoSession();
  return principals_->Find(entry.caller.serial, absl::StrCat("sink://", entry.caller.name), entry.caller.secret_hash,
                           now_ms);
}

absl::StatusOr<std::string> PageSessions::Open(absl::string_view token, int64_t now_ms) {
  MutexLock lock(&mutex_);
  auto link = links_.extract(NameOfSecret(token));
  if (link.empty() || !CallerOf(link.mapped(), now_ms).ok()) {
    return absl::UnauthenticatedError(
        "This link is no longer good: each works once, and for two minutes. For the next one: sinkctl page");
  }
  const Caller& caller = link.mapped().caller;
  SINK_RETURN_IF_ERROR(MakeRoom(sessions_, caller.name, kPageSessionsOfOne, now_ms));
  std::string secret = NewSecret();
  sessions_[NameOfSecret(secret)] = {.caller = caller, .until_ms = now_ms + kPageSessionMs};
  return secret;
}

absl::StatusOr<Caller> PageSessions::Find(absl::string_view secret, int64_t now_ms) const {
  const std::string name = NameOfSecret(secret);
  MutexLock lock(&mutex_);
  const auto session = sessions_.find(name);
  return session == sessions_.end() ? NoSession() : CallerOf(session->second, now_ms);
}

void PageSessions::End(absl::string_view secret) {
  const std::string name = NameOfSecret(secret);
  MutexLock lock(&mutex_);
  sessions_.erase(name);
}

}  // namespace sink
