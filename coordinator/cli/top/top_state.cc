#include "coordinator/cli/top/top_state.h"

#include <algorithm>
#include <cctype>

namespace sink::cli {
namespace {

// The order's name -> the field of a job's document.
struct Order {
  const char* name;
  const char* field;
};
constexpr Order kTopOrders[] = {{"what runs", ""},      {"setting", "label"},       {"step", "step"},
                                {"loss", "train_loss"}, {"alpha1", "alpha_mean_1"}, {"sink", "sink_rate_percent"},
                                {"eta", "eta_seconds"}, {"state", "state"}};

std::string LowerCase(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool HasText(const Json& job, const std::string& text) {
  if (text.empty()) return true;
  std::string all;
  for (const char* field : {"id", "state", "worker", "message"}) all += job[field].get<std::string>() + "\n";
  for (const Json& place : job["sweeps"])
    for (const char* field : {"sweep", "experiment", "label"}) all += place[field].get<std::string>() + "\n";
  return LowerCase(all).find(LowerCase(text)) != std::string::npos;
}

// What runs, what is in trouble, what waits, what has ended.
int Urgency(const Json& job) {
  const std::string state = job["state"].get<std::string>();
  if (state == "QUEUED") return 2;
  if (state == "SUCCEEDED" || state == "CANCELLED") return 3;
  return state == "FAILED" ? 1 : 0;
}

void MoveChoice(int64_t by, TopState* state) {
  const std::vector<const Json*> jobs = ShownJobs(*state);
  if (jobs.empty()) return;
  const auto place =
      std::find_if(jobs.begin(), jobs.end(), [state](const Json* job) { return (*job)["id"] == state->selected; });
  const int64_t from = place == jobs.end() ? -(by > 0) : place - jobs.begin();
  const int64_t to = std::clamp<int64_t>(from + by, 0, static_cast<int64_t>(jobs.size()) - 1);
  state->selected = (*jobs[static_cast<size_t>(to)])["id"].get<std::string>();
}

// All sweeps, then one after the other.
void ChooseNextSweep(int by, TopState* state) {
  std::vector<std::string> names = {""};
  for (const Json& sweep : state->sweeps) names.push_back(sweep["name"].get<std::string>());
  const auto place = std::find(names.begin(), names.end(), state->sweep);
  const int64_t count = static_cast<int64_t>(names.size());
  const int64_t at = place == names.end() ? 0 : place - names.begin();
  state->sweep = names[static_cast<size_t>((at + by + count) % count)];
}

void ScrollLog(int64_t by, TopState* state) {
  const int64_t most = static_cast<int64_t>(state->log.size());
  state->log_back = static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>(state->log_back) + by, 0, most));
}

Wish PressInLog(const Key& key, size_t page, TopState* state) {
  const int64_t lines = static_cast<int64_t>(page);
  switch (key.kind) {
    case KeyKind::kUp:
      ScrollLog(1, state);
      break;
    case KeyKind::kDown:
      ScrollLog(-1, state);
      break;
    case KeyKind::kPageUp:
      ScrollLog(lines, state);
      break;
    case KeyKind::kPageDown:
      ScrollLog(-lines, state);
      break;
    case KeyKind::kHome:
      ScrollLog(static_cast<int64_t>(state->log.size()), state);
      break;
    case KeyKind::kEnd:
      state->log_back = 0;
      break;
    case KeyKind::kText:
      if (key.text == "k") ScrollLog(1, state);
      if (key.text == "j") ScrollLog(-1, state);
      if (key.text != "q" && key.text != "l") break;
      [[fallthrough]];
    case KeyKind::kEscape:
    case KeyKind::kEnter:
    case KeyKind::kBackspace:
      state->log_of.clear();
      state->log.clear();
      state->log_back = 0;
      break;
  }
  return Wish::kNothing;
}

void PressWhileTyping(const Key& key, TopState* state) {
  switch (key.kind) {
    case KeyKind::kText:
      state->filter += key.text;
      break;
    case KeyKind::kBackspace:
      while (!state->filter.empty() && (state->filter.back() & 0xc0) == 0x80) state->filter.pop_back();
      if (!state->filter.empty()) state->filter.pop_back();
      break;
    case KeyKind::kEscape:
      state->filter.clear();
      state->typing = false;
      break;
    case KeyKind::kEnter:
      state->typing = false;
      break;
    default:
      break;
  }
}

Wish PressLetter(char letter, TopState* state) {
  switch (letter) {
    case 'q':
      return Wish::kQuit;
    case 'j':
      MoveChoice(1, state);
      break;
    case 'k':
      MoveChoice(-1, state);
      break;
    case 's':
    case 'S':
      ChooseNextSweep(letter == 's' ? 1 : -1, state);
      return Wish::kAskAgain;
    case '/':
      state->typing = true;
      break;
    case 'o':
      state->order = (state->order + 1) % TopOrders().size();
      break;
    case 'r':
      state->reverse = !state->reverse;
      break;
    case '?':
    case 'h':
      state->help = !state->help;
      break;
    default:
      break;
  }
  return Wish::kNothing;
}

// The log of the job that is chosen; of the first, when none is.
Wish OpenLog(TopState* state) {
  if (state->selected.empty()) MoveChoice(1, state);
  if (state->selected.empty()) return Wish::kNothing;
  state->log_of = state->selected;
  return Wish::kAskAgain;
}

}  // namespace

const std::vector<std::string>& TopOrders() {
  static const auto* const names = [] {
    auto* const list = new std::vector<std::string>;
    for (const Order& order : kTopOrders) list->push_back(order.name);
    return list;
  }();
  return *names;
}

std::vector<const Json*> ShownJobs(const TopState& state) {
  std::vector<const Json*> jobs;
  for (const Json& job : state.jobs)
    if (HasText(job, state.filter)) jobs.push_back(&job);
  const std::string field = kTopOrders[state.order].field;
  const auto missing = [&field](const Json& job) {
    return !job.contains(field) || job[field].is_null() || job[field] == "";
  };
  const auto before = [&](const Json* a, const Json* b) {
    if (field.empty()) return Urgency(*a) < Urgency(*b);
    if (missing(*a) || missing(*b)) return !missing(*a) && missing(*b);  // last either way
    return state.reverse ? (*b)[field] < (*a)[field] : (*a)[field] < (*b)[field];
  };
  std::stable_sort(jobs.begin(), jobs.end(), before);
  if (field.empty() && state.reverse) std::reverse(jobs.begin(), jobs.end());
  return jobs;
}

Wish Press(const Key& key, size_t page, TopState* state) {
  if (!state->log_of.empty()) return PressInLog(key, page, state);
  if (state->typing) {
    PressWhileTyping(key, state);
    return Wish::kNothing;
  }
  const int64_t lines = static_cast<int64_t>(page), all = static_cast<int64_t>(state->jobs.size());
  switch (key.kind) {
    case KeyKind::kText:
      return key.text == "l" ? OpenLog(state) : PressLetter(key.text[0], state);
    case KeyKind::kEnter:
      return OpenLog(state);
    case KeyKind::kUp:
      MoveChoice(-1, state);
      break;
    case KeyKind::kDown:
      MoveChoice(1, state);
      break;
    case KeyKind::kPageUp:
      MoveChoice(-lines, state);
      break;
    case KeyKind::kPageDown:
      MoveChoice(lines, state);
      break;
    case KeyKind::kHome:
      MoveChoice(-all, state);
      break;
    case KeyKind::kEnd:
      MoveChoice(all, state);
      break;
    case KeyKind::kEscape:
      state->filter.clear();
      state->help = false;
      break;
    case KeyKind::kBackspace:
      break;
  }
  return Wish::kNothing;
}

}  // namespace sink::cli
