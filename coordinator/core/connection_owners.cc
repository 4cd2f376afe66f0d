// See connection_owners.h.
#include "coordinator/core/connection_owners.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sink {

ConnectionOwners::ConnectionOwners(int total)
    : most_of_strangers_(std::max(1, total / 2)), most_of_principal_(std::max(1, total / 4)) {}

uint64_t ConnectionOwners::Open(const std::string& peer, const std::string& address) {
  MutexLock lock(&mutex_);
  const uint64_t number = ++numbers_;
  // There may have been another one, which nobody has said yet to be closed.
  Connection& connection = connections_[peer];
  if (connection.number != 0) Disown(connection);
  connection = {.number = number, .address = address, .owner = ""};
  strangers_[number] = peer;
  strangers_of_[address].insert(number);
  return number;
}

void ConnectionOwners::Close(const std::string& peer, uint64_t connection) {
  MutexLock lock(&mutex_);
  const auto known = connections_.find(peer);
  if (known == connections_.end() || known->second.number != connection) return;
  Disown(known->second);
  connections_.erase(known);
}

void ConnectionOwners::Disown(const Connection& connection) {
  if (connection.owner.empty()) {
    strangers_.erase(connection.number);
    const auto there = strangers_of_.find(connection.address);
    there->second.erase(connection.number);
    if (there->second.empty()) strangers_of_.erase(there);
    return;
  }
  const auto owned = owned_.find(connection.owner);
  if (--owned->second == 0) owned_.erase(owned);
}

absl::Status ConnectionOwners::Claim(const std::string& peer, const std::string& principal) {
  MutexLock lock(&mutex_);
  const auto known = connections_.find(peer);
  // A connection shows one certificate, and is nobody else's later.
  if (known == connections_.end() || !known->second.owner.empty()) return absl::OkStatus();
  int& owned = owned_[principal];
  if (owned >= most_of_principal_) {
    return absl::ResourceExhaustedError(absl::StrCat(principal, " has ", owned,
                                                     " connections open, as many as it may have: a quarter of all; "
                                                     "close some and try again in 1 s"));
  }
  ++owned;
  Disown(known->second);
  known->second.owner = principal;
  return absl::OkStatus();
}

std::optional<uint64_t> ConnectionOwners::TakeOldestStranger() {
  MutexLock lock(&mutex_);
  if (strangers_.empty()) return std::nullopt;
  const uint64_t oldest = strangers_.begin()->first;
  Forget(oldest);
  return oldest;
}

std::optional<uint64_t> ConnectionOwners::TakeOldestStranger(const std::string& address) {
  MutexLock lock(&mutex_);
  const auto there = strangers_of_.find(address);
  if (there == strangers_of_.end()) return std::nullopt;
  const uint64_t oldest = *there->second.begin();
  Forget(oldest);
  return oldest;
}

void ConnectionOwners::Forget(uint64_t stranger) {
  const auto known = connections_.find(strangers_.at(stranger));
  Disown(known->second);
  connections_.erase(known);
}

int ConnectionOwners::strangers() const {
  MutexLock lock(&mutex_);
  return static_cast<int>(strangers_.size());
}

}  // namespace sink
