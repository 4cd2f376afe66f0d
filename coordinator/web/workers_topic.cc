// Workers and their devices, for their page.
//
// whole   {"workers": [Worker, ...], "warning": ""}, by name
// change  {"changed": [[place in that list, from 0, Worker], ...], "warning": ""}
//
// A worker's state is in capitals, as a job's is.
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "coordinator/job/status_macros.h"
#include "coordinator/service/convert.h"
#include "coordinator/web/json_text.h"
#include "coordinator/web/topics.h"

namespace sink::web {
namespace {

class WorkersTopic final : public Topic {
 public:
  explicit WorkersTopic(const TopicSources& sources) : sources_(sources) {}

  absl::StatusOr<std::string> Whole() override {
    if (!std::exchange(begun_, true)) {
      SINK_ASSIGN_OR_RETURN(told_, Read());
    }
    std::string workers;
    for (const Row& row : told_) absl::StrAppend(&workers, workers.empty() ? "" : ",", row.json);
    return Render("workers", workers);
  }

  absl::StatusOr<Change> Changes() override {
    SINK_ASSIGN_OR_RETURN(std::vector<Row> rows, Read());
    bool same = rows.size() == told_.size();
    for (size_t i = 0; same && i < rows.size(); ++i) same = rows[i].id == told_[i].id;
    std::string changed;
    for (size_t i = 0; same && i < rows.size(); ++i) {
      if (rows[i].json != told_[i].json)
        absl::StrAppend(&changed, changed.empty() ? "[" : ",[", i, ",", rows[i].json, "]");
    }
    told_ = std::move(rows);
    if (!same) {
      SINK_ASSIGN_OR_RETURN(std::string whole, Whole());
      return Change{.whole = true, .json = std::move(whole)};
    }
    if (changed.empty() && warning_ == sources_.disk->Warning()) return Change{};
    return Change{.json = Render("changed", changed)};
  }

 private:
  struct Row {
    std::string id, json;
  };

  absl::StatusOr<std::vector<Row>> Read() {
    SINK_ASSIGN_OR_RETURN(const std::vector<Worker> workers, sources_.queries->ListWorkers(sources_.now()));
    std::vector<Row> rows;
    for (const Worker& worker : workers) {
      v1::Worker message;
      ToProto(worker, &message);
      message.clear_id();  // where a machine is, is for those who run it: sinkctl workers
      message.clear_address();
      // Of a worker that is there it changes all the time and says nothing.
      if (worker.state == WorkerState::kConnected) message.clear_last_seen_ms();
      message.set_state(absl::AsciiStrToUpper(message.state()));
      rows.push_back({worker.id, ToJson(message)});
    }
    return rows;
  }

  std::string Render(absl::string_view key, const std::string& rows) {
    warning_ = sources_.disk->Warning();
    return absl::StrCat("{\"", key, "\":[", rows, "],\"warning\":", Quoted(warning_), "}");
  }

  const TopicSources sources_;
  bool begun_ = false;
  std::vector<Row> told_;
  std::string warning_;
};

}  // namespace

std::unique_ptr<Topic> MakeWorkersTopic(const TopicSources& sources) { return std::make_unique<WorkersTopic>(sources); }

}  // namespace sink::web
