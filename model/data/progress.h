// A progress line on stderr, only when that is a terminal (it uses no colour, so NO_COLOR changes nothing). One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sink::data {

class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Bytes so far, of total; draws at most ten times a second.
  void Update(uint64_t done, uint64_t total);

  // Prints a sentence on a line of its own, above the progress.
  void Note(const std::string& sentence);

 private:
  void Wipe();

  std::string what_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace sink::data
