#include "coordinator/cli/study/command_line_profile.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace sink::cli {
namespace {

// Keys become a nested object, whose JSON is YAML too; values are put in afterwards as they were written.
using Tree = nlohmann::ordered_json;

bool IsKey(absl::string_view key) {
  return !key.empty() && key.front() != '.' && key.back() != '.' && key.find("..") == absl::string_view::npos &&
         std::all_of(key.begin(), key.end(), [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '.'; });
}

// What stands in YAML for itself: words, numbers, and lists of them. Everything else is quoted.
bool IsPlain(absl::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("_.+-/[], ", c);
  });
}

void Print(const Tree& tree, const std::vector<std::string>& values, int indent, std::string* out) {
  for (const auto& [key, child] : tree.items()) {
    absl::StrAppend(out, std::string(indent, ' '), key, ":");
    if (child.is_object()) {
      absl::StrAppend(out, "\n");
      Print(child, values, indent + 2, out);
    } else {
      absl::StrAppend(out, " ", values[child.get<size_t>()], "\n");
    }
  }
}

}  // namespace

absl::StatusOr<std::string> CommandLineProfile(const SweepChanges& changes) {
  Tree tree = Tree::object();
  std::vector<std::string> values;
  for (const std::string& set : changes.sets) {
    const size_t equals = set.find('=');
    const std::string key = set.substr(0, equals);
    if (equals == std::string::npos || !IsKey(key))
      return absl::InvalidArgumentError(
          absl::StrCat("--set ", set, " is not KEY=VALUE, such as --set train.max_steps=100"));
    Tree* place = &tree;
    for (size_t begin = 0; begin <= key.size();) {
      const size_t end = std::min(key.find('.', begin), key.size());
      if (!place->is_object() && !place->is_null()) break;  // a key below another's value
      place = &(*place)[key.substr(begin, end - begin)];
      begin = end + 1;
    }
    if (!place->is_null()) return absl::InvalidArgumentError(absl::StrCat("--set ", key, " is given twice"));
    *place = values.size();
    const std::string value = set.substr(equals + 1);
    values.push_back(IsPlain(value) ? value : Tree(value).dump(-1, ' ', false, Tree::error_handler_t::replace));
  }
  std::string text;
  Print(tree, values, 0, &text);
  if (!changes.name.empty())
    absl::StrAppend(&text, "name: ", Tree(changes.name).dump(-1, ' ', false, Tree::error_handler_t::replace), "\n");
  if (changes.priority) absl::StrAppend(&text, "priority: ", *changes.priority, "\n");
  return text;
}

}  // namespace sink::cli
