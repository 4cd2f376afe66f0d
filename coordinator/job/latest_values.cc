// The text form of LatestValues: shortest decimal digits that read back as the same double.
#include "coordinator/job/latest_values.h"

#include <algorithm>
#include <charconv>

namespace sink {

LatestValues LatestValues::FromMap(const std::map<std::string, double>& values) {
  LatestValues latest;
  char digits[40];
  for (const auto& [name, value] : values) {
    const std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), value);
    latest.text_.append(name).append(1, ' ').append(digits, end.ptr).append(1, '\n');
  }
  return latest;
}

LatestValues::Editor::Editor(const LatestValues& older) : older_(older.text_) {
  for (std::string_view rest = older_; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    Entry& entry = entries_.emplace_back();
    entry.name = line.substr(0, space);
    entry.digits = line.substr(space + 1);
  }
  const auto by_name = [](const Entry& a, const Entry& b) { return a.name < b.name; };
  if (!std::is_sorted(entries_.begin(), entries_.end(), by_name))
    std::stable_sort(entries_.begin(), entries_.end(), by_name);
}

std::pair<size_t, bool> LatestValues::Editor::At(std::string_view name) {
  if (next_ < entries_.size() && entries_[next_].name == name) return {next_, true};
  const auto place = std::lower_bound(entries_.begin(), entries_.end(), name,
                                      [](const Entry& entry, std::string_view wanted) { return entry.name < wanted; });
  return {static_cast<size_t>(place - entries_.begin()), place != entries_.end() && place->name == name};
}

void LatestValues::Editor::Set(std::string_view name, double value) {
  const auto [place, there] = At(name);
  if (!there) {
    Entry added;
    added.name = added_.emplace_back(name);
    entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(place), added);
  }
  entries_[place].value = value;
  entries_[place].is_set = true;
  next_ = place + 1;
}

LatestValues LatestValues::Editor::Take() const {
  LatestValues latest;
  constexpr size_t kMostDigits = 24;  // "-1.7976931348623157e+308"
  size_t size = 0;
  for (const Entry& entry : entries_)
    size += entry.name.size() + 2 + (entry.is_set ? kMostDigits : entry.digits.size());
  latest.text_.reserve(size);
  for (const Entry& entry : entries_) {
    char digits[40];
    std::string_view printed = entry.digits;
    if (entry.is_set) {
      const std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), entry.value);
      printed = std::string_view(digits, static_cast<size_t>(end.ptr - digits));
    }
    latest.text_.append(entry.name).append(1, ' ').append(printed).append(1, '\n');
  }
  return latest;
}

std::optional<double> LatestValues::Find(std::string_view name) const {
  for (std::string_view rest = text_; !rest.empty();) {
    const bool may_be = rest.size() > name.size() && rest.starts_with(name) && rest[name.size()] == ' ';
    std::string_view found;
    double value;
    if (may_be && NextValue(&rest, &found, &value)) return value;
    if (!may_be) rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
  }
  return std::nullopt;
}

std::map<std::string, double> LatestValues::ToMap() const {
  std::map<std::string, double> values;
  Visit([&values](std::string_view name, double value) { values.emplace(name, value); });
  return values;
}

bool LatestValues::NextValue(std::string_view* rest, std::string_view* name, double* value) {
  const std::string_view line = rest->substr(0, rest->find('\n'));
  rest->remove_prefix(std::min(line.size() + 1, rest->size()));
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return false;
  *name = line.substr(0, space);
  const char* const last = line.data() + line.size();
  const std::from_chars_result parsed = std::from_chars(line.data() + space + 1, last, *value);
  return parsed.ec == std::errc() && parsed.ptr == last;
}

bool IsMetricName(std::string_view name) {
  if (name.size() > 128 || !std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; }))
    return false;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace sink
