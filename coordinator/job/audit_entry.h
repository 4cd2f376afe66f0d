// Who did what, when, from where, and how it ended. A value; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace sink {

struct AuditEntry {
  int64_t id = 0;  // grows
  int64_t time_ms = 0;
  std::string who;      // a principal's name
  std::string from;     // host:port of the caller; empty where it is not known
  std::string action;   // the method
  std::string object;   // what it was about: a sweep, a principal, workers
  std::string outcome;  // "ok", or the name of a status code
};

}  // namespace sink
