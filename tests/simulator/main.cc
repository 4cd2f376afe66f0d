// simulator: runs the coordinator's and the workers' real rules through random schedules of crashes, cuts, delays,
// duplicates and lost answers, and checks every promise. Exit status: 0 all went well, 1 a promise was broken, 2 usage.
#include <sqlite3.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "proto/args/command_line.h"
#include "tests/simulator/world.h"

int main(int argc, char** argv) {
  using namespace sink::simulator;
  int64_t first = 1, count = 1000;
  std::optional<int64_t> seed;
  Mutation mutation = Mutation::kNone;
  bool trace = false;
  sink::args::CommandLine line("Runs simulated schedules of a coordinator and its workers.", "simulator");
  sink::args::Command root = line.root();
  root.AddOption("--first", first, "The first seed").ShowDefault();
  root.AddOption("--count", count, "How many seeds").ShowDefault();
  root.AddOption("--seed", seed, "This seed alone");
  root.AddOption("--without", mutation,
                 std::map<std::string, Mutation>{{"fence", Mutation::kFence},
                                                 {"sync", Mutation::kSync},
                                                 {"events", Mutation::kEvents},
                                                 {"epoch", Mutation::kRestore},
                                                 {"arrival", Mutation::kArrival},
                                                 {"fetch", Mutation::kFetch},
                                                 {"local", Mutation::kLocal},
                                                 {"collect", Mutation::kCollect},
                                                 {"intact", Mutation::kDropAll},
                                                 {"points", Mutation::kPoints},
                                                 {"spool", Mutation::kSpool},
                                                 {"wakeup", Mutation::kWakeup}},
                 "Take a protection out, to see that it is missed: fence, sync, events, epoch, arrival, fetch, local, "
                 "collect, intact, points, spool, wakeup");
  root.AddFlag("--trace", trace, "Print what happens");
  if (const auto status = line.Parse(argc, argv, /*usage=*/2)) return *status;
  if (seed) {
    first = *seed;
    count = 1;
  }

  Machine machine;
  int64_t failed = 0, calls = 0;
  uint64_t digest = 0;
  const auto began = std::chrono::steady_clock::now();
  for (int64_t s = first; s < first + count; ++s) {
    World world(s, mutation, &machine, trace);
    const std::string failure = world.Run();
    calls += world.calls();
    digest = digest * 31 + world.digest();
    if (failure.empty()) continue;
    if (++failed <= 20) std::printf("seed %lld: %s\n", static_cast<long long>(s), failure.c_str());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("%lld schedules, %lld calls in %.1f s (%.0f schedules/s), %lld failed, digest %016llx\n",
              static_cast<long long>(count), static_cast<long long>(calls), seconds, count / seconds,
              static_cast<long long>(failed), static_cast<unsigned long long>(digest));
  return failed > 0 ? 1 : 0;
}
