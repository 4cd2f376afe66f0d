// The newest value of each metric of a job, kept as the text that the store holds ("name value" lines, sorted by name),
// so that listing 100,000 jobs decodes none of them. A value; any thread.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sink {

class LatestValues {
 public:
  LatestValues() = default;
  // `text` as text() gave it. Keeps the memory that this object has.
  void AssignText(std::string_view text) { text_.assign(text); }
  static LatestValues FromMap(const std::map<std::string, double>& values);

  // Newer values over older ones: a report changes most of some hundred, and is taken apart and printed once.
  class Editor {
   public:
    explicit Editor(const LatestValues& older);
    Editor(const Editor&) = delete;
    Editor& operator=(const Editor&) = delete;

    size_t size() const { return entries_.size(); }
    bool Has(std::string_view name) { return At(name).second; }
    void Set(std::string_view name, double value);
    LatestValues Take() const;

   private:
    struct Entry {
      std::string_view name;
      std::string_view digits;  // of a value that stays as it was
      double value = 0;         // of one that was set
      bool is_set = false;
    };
    // Where the name is or belongs, and whether it is there.
    std::pair<size_t, bool> At(std::string_view name);

    const std::string older_;        // what the entries are views of
    std::deque<std::string> added_;  // names that were not there
    std::vector<Entry> entries_;     // by name
    size_t next_ = 0;                // after the one that was asked for last: names come in order, most of the time
  };

  // NaN and infinities survive the round trip. Lines that are not "name value" are skipped.
  template <typename Visitor>  // void(std::string_view name, double value)
  void Visit(Visitor visit) const {
    for (std::string_view rest = text_; !rest.empty();) {
      std::string_view name;
      double value;
      if (NextValue(&rest, &name, &value)) visit(name, value);
    }
  }
  // Reads one value and no other; nothing where there is none of that name.
  std::optional<double> Find(std::string_view name) const;
  std::map<std::string, double> ToMap() const;
  const std::string& text() const { return text_; }
  bool operator==(const LatestValues&) const = default;

 private:
  static bool NextValue(std::string_view* rest, std::string_view* name, double* value);  // takes one line off `rest`

  std::string text_;
};

// What a metric may be called: 1 to 128 printable ASCII characters, no spaces; no part of it empty, "." or "..".
bool IsMetricName(std::string_view name);

}  // namespace sink
