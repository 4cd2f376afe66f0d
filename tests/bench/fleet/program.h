// A sink-coordinator as a child process, and what it costs: CPU seconds, resident memory, bytes on disk. For
// fleet_bench; one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sink::bench {

// Ends the program with a message when `status` is no success.
[[noreturn]] void Fail(const std::string& message);

// Runs a program to its end, without its output; the wall-clock seconds that it took.
double RunTimed(const std::vector<std::string>& arguments);

class Coordinator {
 public:
  // `bin_dir` has sink-coordinator and sinkctl; `folder` is its data.
  Coordinator(std::string bin_dir, std::string folder) : bin_dir_(std::move(bin_dir)), folder_(std::move(folder)) {}
  ~Coordinator() { Stop(); }
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  void Start();  // returns once it serves
  void Stop();   // SIGTERM, and waits: its log is checkpointed into the database

  double cpu_seconds() const;  // of all its threads, since its start
  double resident_mib() const;
  double database_bytes() const;                             // without the write-ahead log
  double Sinkctl(std::vector<std::string> arguments) const;  // seconds
  void Scrape() const;                                       // its metrics, as Prometheus does

  const std::string& address() const { return address_; }
  std::string credentials() const { return folder_ + "/tls/admin"; }
  std::string database() const { return folder_ + "/sink.db"; }

 private:
  const std::string bin_dir_, folder_;
  std::string address_;
  pid_t pid_ = -1;
};

}  // namespace sink::bench
