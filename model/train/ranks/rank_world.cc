#include "model/train/ranks/rank_world.h"

#include <charconv>
#include <cstdlib>

#include "model/train/link/train_error.h"
#include "proto/files/files.h"

namespace sink::train {
namespace {

constexpr int kMaxRanks = 4096;
constexpr int kMaxTimeoutSeconds = 24 * 3600;
constexpr size_t kMaxTokenBytes = 256;

std::string Text(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? "" : text;
}

std::string Token() {
  const std::string path = Text("SINK_RENDEZVOUS_TOKEN_FILE");
  if (path.empty()) return Text("SINK_RENDEZVOUS_TOKEN");
  auto token = files::ReadFile(path, kMaxTokenBytes);
  if (!token.ok()) throw UserError("SINK_RENDEZVOUS_TOKEN_FILE: " + token.error().message());
  return *std::move(token);
}

int WholeNumber(const char* variable, const std::string& text, int min, int max) {
  int value = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stopped != text.data() + text.size() || value < min || value > max)
    throw UserError(std::string(variable) + ": must be a whole number from " + std::to_string(min) + " to " +
                    std::to_string(max) + ", not '" + text + "'");
  return value;
}

int NumberOr(const char* variable, int absent, int min, int max) {
  return std::getenv(variable) == nullptr ? absent : WholeNumber(variable, Text(variable), min, max);
}

}  // namespace

RankWorld WorldFromEnvironment() {
  RankWorld world;
  world.size = NumberOr("SINK_WORLD_SIZE", 1, 1, kMaxRanks);
  world.rank = NumberOr("SINK_RANK", 0, 0, kMaxRanks - 1);
  if (world.rank >= world.size)
    throw UserError("SINK_RANK: must be below SINK_WORLD_SIZE, " + std::to_string(world.size) + "; not " +
                    std::to_string(world.rank));
  world.timeout = std::chrono::seconds(NumberOr("SINK_COLLECTIVE_TIMEOUT_S", 120, 1, kMaxTimeoutSeconds));
  world.patience = std::chrono::seconds(NumberOr("SINK_RENDEZVOUS_TIMEOUT_S", 7200, 1, kMaxTimeoutSeconds));

  const std::string meeting = Text("SINK_RENDEZVOUS");
  if (meeting.empty()) {
    if (world.size > 1)
      throw UserError("SINK_WORLD_SIZE is " + std::to_string(world.size) +
                      " but SINK_RENDEZVOUS is not set; set it to host:port, where rank 0 is to listen");
    return world;
  }
  const size_t colon = meeting.rfind(':');
  if (colon == std::string::npos || colon == 0)
    throw UserError("SINK_RENDEZVOUS: must be host:port, where rank 0 listens; not '" + meeting + "'");
  world.host = meeting.substr(0, colon);
  if (world.host.size() > 2 && world.host.front() == '[' && world.host.back() == ']')  // an IPv6 address
    world.host = world.host.substr(1, world.host.size() - 2);
  else if (world.host.find(':') != std::string::npos)
    throw UserError("SINK_RENDEZVOUS: an IPv6 address must be in brackets; not '" + meeting + "'");
  world.port = WholeNumber("SINK_RENDEZVOUS: port", meeting.substr(colon + 1), 1, 65535);
  world.token = Token();
  if (world.token.empty() || world.token.size() > kMaxTokenBytes)
    throw UserError("SINK_RENDEZVOUS_TOKEN: must be a random text of at most " + std::to_string(kMaxTokenBytes) +
                    " bytes, the same for all ranks of a run and for no other run");
  return world;
}

}  // namespace sink::train
