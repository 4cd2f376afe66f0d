// A progress line on stderr, only when that is a terminal that can redraw a line (it uses no colour, so NO_COLOR
// changes nothing). One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sink::data {

class ProgressLine {
 public:
  explicit ProgressLine(std::string what);
  ~ProgressLine();  // wipes the line
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Bytes so far, of total, and what else to say; draws at most ten times a second. The rate counts from the first
  // call.
  void Update(uint64_t done, uint64_t total, const std::string& detail = "");

  // Prints a sentence on a line of its own, above the progress.
  void Note(const std::string& sentence);

 private:
  void Wipe();

  std::string what_;
  bool terminal_;
  bool drawn_ = false;
  bool started_ = false;
  uint64_t first_done_ = 0;
  std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace sink::data
