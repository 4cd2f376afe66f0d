// A job's log, for its page.
//
// whole   {"lines": [[time_ms, attempt, level, text], ...]}, the newest 400
// change  the same, those that follow
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

constexpr int kTail = 400;
constexpr size_t kLineBytes = 4096;

class LogTopic final : public Topic {
 public:
  LogTopic(const TopicSources& sources, std::string id) : queries_(sources.queries), id_(std::move(id)) {}

  absl::StatusOr<std::string> Whole() override {
    if (!begun_) {
      SINK_RETURN_IF_ERROR(Read(0, kTail).status());
      begun_ = true;
    }
    return Render(lines_);
  }

  absl::StatusOr<Change> Changes() override {
    SINK_ASSIGN_OR_RETURN(const std::deque<std::string> fresh, Read(cursor_, 0));
    if (fresh.empty()) return Change{};
    return Change{.whole = false, .json = Render(fresh)};
  }

 private:
  // Keeps what it returns at the end of lines_.
  absl::StatusOr<std::deque<std::string>> Read(int64_t after, int tail) {
    SINK_ASSIGN_OR_RETURN(const LogPage page, queries_->ReadLogs(id_, after, tail, kTail));
    std::deque<std::string> fresh;
    for (const LogLine& line : page.lines) {
      cursor_ = line.cursor;
      fresh.push_back(absl::StrCat("[", line.time_ms, ",", line.attempt, ",", Quoted(line.level), ",",
                                   Quoted(std::string_view(line.text).substr(0, kLineBytes)), "]"));
    }
    lines_.insert(lines_.end(), fresh.begin(), fresh.end());
    while (lines_.size() > kTail) lines_.pop_front();
    return fresh;
  }

  static std::string Render(const std::deque<std::string>& lines) {
    std::string json = "{\"lines\":[";
    for (const std::string& line : lines) absl::StrAppend(&json, &line == &lines.front() ? "" : ",", line);
    return json += "]}";
  }

  JobQueries* const queries_;
  const std::string id_;
  bool begun_ = false;
  int64_t cursor_ = 0;
  std::deque<std::string> lines_;  // as JSON
};

}  // namespace

std::unique_ptr<Topic> MakeLogTopic(const TopicSources& sources, std::string id) {
  return std::make_unique<LogTopic>(sources, std::move(id));
}

}  // namespace sink::web
