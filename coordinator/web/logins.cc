// See logins.h.
#include "coordinator/web/logins.h"

#include <algorithm>
#include <utility>

#include "proto/files/random_id.h"

namespace sink::web {
namespace {

constexpr size_t kSessions = 64;
constexpr auto kLasts = std::chrono::hours(12);

std::string NewSecret() { return files::RandomId() + files::RandomId(); }

// In a time that does not tell how much of it is right.
bool Same(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

Logins::Logins(std::function<void(const std::string& token)> publish)
    : publish_(std::move(publish)), token_(NewSecret()) {
  publish_(token_);
}

std::string Logins::Redeem(absl::string_view token, Clock::time_point now) {
  std::string next, secret;
  {
    MutexLock lock(&mutex_);
    if (!Same(token, token_)) return "";
    next = token_ = NewSecret();
    std::erase_if(sessions_, [now](const auto& session) { return session.second <= now; });
    if (sessions_.size() >= kSessions) {
      sessions_.erase(std::min_element(sessions_.begin(), sessions_.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; }));
    }
    secret = NewSecret();
    sessions_[secret] = now + kLasts;
  }
  publish_(next);
  return secret;
}

bool Logins::IsSession(absl::string_view secret, Clock::time_point now) const {
  MutexLock lock(&mutex_);
  return std::any_of(sessions_.begin(), sessions_.end(),
                     [&](const auto& session) { return Same(session.first, secret) && session.second > now; });
}

void Logins::End(const std::string& secret) {
  MutexLock lock(&mutex_);
  sessions_.erase(secret);
}

}  // namespace sink::web
