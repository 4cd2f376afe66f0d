#include "sweeps/diagnostics.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proto/base/counted.h"
#include "proto/config/names.h"

namespace sink::sweeps {
namespace {

// Levenshtein's distance, one row at a time.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

absl::Status ErrorAt(const Location& place, absl::string_view message) {
  if (place.line == 0) return absl::InvalidArgumentError(absl::StrCat(place.file, ": ", message));
  return absl::InvalidArgumentError(absl::StrCat(place.file, ":", place.line, ":", place.column, ": ", message));
}

void Mistakes::Add(const absl::Status& status) {
  if (status.ok()) return;
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) lines_.emplace_back(line);
  }
}

absl::Status Mistakes::status() const {
  return lines_.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(lines_, "\n"));
}

absl::Status FirstOf(const absl::Status& mistakes) {
  constexpr size_t kTold = 20;
  std::vector<absl::string_view> lines = absl::StrSplit(mistakes.message(), '\n');
  if (lines.size() <= kTold) return mistakes;
  const size_t more = lines.size() - kTold;
  lines.resize(kTold);
  return absl::Status(mistakes.code(),
                      absl::StrCat(absl::StrJoin(lines, "\n"), "\nand ", Counted(more, "more mistake")));
}

std::string Suggestion(absl::string_view name, const std::vector<std::string>& candidates) {
  constexpr size_t kLongest = 64;  // no key is longer: do not compare what cannot be near
  const std::string* best = nullptr;
  size_t best_distance = std::max<size_t>(2, name.size() / 4) + 1;
  for (const std::string& candidate : candidates) {
    if (name.size() > kLongest) break;
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best_distance = distance;
      best = &candidate;
    }
  }
  if (best) return absl::StrCat("; did you mean \"", *best, "\"?");
  return candidates.empty() ? "" : absl::StrCat("; expected one of: ", absl::StrJoin(candidates, ", "));
}

bool IsSweepName(absl::string_view name) {
  return IsPlainName({name.data(), name.size()}) && name.find("..") == absl::string_view::npos;
}

std::string Quoted(absl::string_view text) {
  // The reader has refused invalid UTF-8, so only the cut can split a character: drop the piece.
  size_t end = std::min<size_t>(text.size(), 64);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text.substr(0, end)), end < text.size() ? "..." : "", "\"");
}

}  // namespace sink::sweeps
