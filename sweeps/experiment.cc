#include "sweeps/experiment.h"

#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sweeps/distribution.h"

namespace sink::sweeps {
namespace {

constexpr int kMaxDraws = 10'000;
constexpr size_t kMaxRules = 32;  // in `when` and in `exclude`: they run for every point

absl::Status ExpectList(const Node& node, absl::string_view hint) {
  if (!node.IsList())
    return ErrorAt(node.at, absl::StrCat(Quoted(node.key), " must be a list, not ", KindName(node), hint));
  if (node.items.empty())
    return ErrorAt(node.at, absl::StrCat(Quoted(node.key), " is an empty list; fill it or leave it out"));
  return absl::OkStatus();
}

absl::Status ExpectFilledMap(const Node& node) {
  if (absl::Status status = ExpectMap(node, node.key); !status.ok()) return status;
  if (node.items.empty()) return ErrorAt(node.at, absl::StrCat(Quoted(node.key), " is empty; fill it or leave it out"));
  return absl::OkStatus();
}

absl::Status ExpectName(const Node& node, absl::string_view what) {
  if (node.IsScalar() && IsSweepName(node.text)) return absl::OkStatus();
  return ErrorAt(node.at, absl::StrCat(what, " ", kSweepNameRule));
}

class ExperimentReader {
 public:
  absl::StatusOr<Experiment> Read(const Node& node) {
    if (!node.IsMap()) return ErrorAt(node.at, absl::StrCat("an experiment must be a map, not ", KindName(node)));
    experiment_.at = node.at;
    Mistakes mistakes;
    for (const Node& item : node.items) mistakes.Add(ReadKey(item));
    if (experiment_.name.empty()) mistakes.Add(ErrorAt(node.at, "an experiment without a name; add \"name: ...\""));
    // Swept values win over `set`, so a key in both would say one thing and do another.
    for (const auto& [field, setting] : experiment_.set) {
      if (swept_.count(field)) {
        mistakes.Add(
            ErrorAt(setting.at, absl::StrCat(FieldAt(field).path, " is in \"set\" and swept too; remove one of them")));
      }
    }
    for (const DerivedField& derived : experiment_.derive) {
      if (experiment_.set.count(derived.field) || swept_.count(derived.field)) {
        mistakes.Add(
            ErrorAt(derived.at, absl::StrCat(FieldAt(derived.field).path,
                                             " is derived, so it cannot be set or swept too; remove one of them")));
      }
    }
    if (absl::Status status = mistakes.status(); !status.ok()) return status;
    return std::move(experiment_);
  }

 private:
  absl::Status ReadKey(const Node& item) {
    if (item.key == "name") {
      experiment_.name = item.text;
      return ExpectName(item, "an experiment's name");
    }
    if (item.key == "set") return ReadDottedSettings(item, &experiment_.set);
    if (item.key == "grid") return ReadGrid(item);
    if (item.key == "zip") return ReadZip(item);
    if (item.key == "random") return ReadRandom(item);
    if (item.key == "when") return ReadWhen(item);
    if (item.key == "derive") return ReadDerive(item);
    if (item.key == "exclude") return ReadExclude(item);
    if (item.key == "include") return ReadInclude(item);
    if (item.key == "paper") return ReadPaper(item);
    return ErrorAt(item.key_at, absl::StrCat("unknown key ", Quoted(item.key),
                                             Suggestion(item.key, {"name", "set", "grid", "zip", "random", "when",
                                                                   "derive", "exclude", "include", "paper"})));
  }

  // Adds the list under one dotted key to an axis: value i goes to the axis's position i.
  absl::Status ReadSweptKey(const Node& list, Axis* axis) {
    absl::StatusOr<FieldIndex> field = FindField(list.key, list.key_at);
    if (!field.ok()) return field.status();
    if (!swept_.insert(*field).second) {
      return ErrorAt(list.key_at, absl::StrCat(list.key, " is swept twice in this experiment; remove one of them"));
    }
    if (absl::Status status = ExpectList(list, "; a value that does not vary belongs in \"set\""); !status.ok())
      return status;
    if (!axis->keys.empty() && list.items.size() != axis->values.size()) {
      return ErrorAt(
          list.at, absl::StrCat("the lists of zip group ", Quoted(axis->name), " differ in length: ", list.key, " has ",
                                list.items.size(), ", ", FieldAt(axis->keys[0]).path, " has ", axis->values.size()));
    }
    axis->keys.push_back(*field);
    axis->values.resize(list.items.size());
    Mistakes mistakes;
    for (size_t i = 0; i < list.items.size(); ++i) {
      absl::StatusOr<Setting> setting = ReadSetting(*field, list.items[i]);
      if (setting.ok()) axis->values[i][*field] = *std::move(setting);
      mistakes.Add(setting.status());
    }
    return mistakes.status();
  }

  absl::Status ReadGrid(const Node& grid) {
    if (absl::Status status = ExpectFilledMap(grid); !status.ok()) return status;
    Mistakes mistakes;
    for (const Node& item : grid.items) {
      Axis axis{item.key, {}, {}};
      mistakes.Add(ReadSweptKey(item, &axis));
      grid_.push_back(std::move(axis));
    }
    JoinAxes();
    return mistakes.status();
  }

  absl::Status ReadZip(const Node& zip) {
    if (absl::Status status = ExpectFilledMap(zip); !status.ok()) return status;
    Mistakes mistakes;
    for (const Node& group : zip.items) mistakes.Add(ReadZipGroup(group));
    JoinAxes();
    return mistakes.status();
  }

  absl::Status ReadZipGroup(const Node& group) {
    if (!IsSweepName(group.key)) return ErrorAt(group.key_at, absl::StrCat("a zip group's name ", kSweepNameRule));
    if (group.IsList()) {
      return ErrorAt(group.at, absl::StrCat("a zip group must be a named map of keys to lists; write ", group.key,
                                            " below a name, such as \"zip: {pair: {", group.key, ": [...]}}\""));
    }
    if (absl::Status status = ExpectFilledMap(group); !status.ok()) return status;
    Axis axis{group.key, {}, {}};
    Mistakes mistakes;
    for (const Node& item : group.items) mistakes.Add(ReadSweptKey(item, &axis));
    zip_.push_back(std::move(axis));
    return mistakes.status();
  }

  absl::Status ReadRandom(const Node& random) {
    if (absl::Status status = ExpectFilledMap(random); !status.ok()) return status;
    int draws = 0, seed = -1;
    std::vector<const Node*> drawn;
    for (const Node& item : random.items) {
      absl::StatusOr<int> number = 0;
      if (item.key == "n") {
        if (number = ReadInt(item, 1, kMaxDraws); number.ok()) draws = *number;
      } else if (item.key == "seed") {
        if (number = ReadInt(item, 0, std::numeric_limits<int>::max()); number.ok()) seed = *number;
      } else {
        drawn.push_back(&item);
      }
      if (!number.ok()) return number.status();
    }
    if (draws == 0) return ErrorAt(random.at, "\"random\" does not say how many; add \"n: 10\"");
    if (seed < 0) return ErrorAt(random.at, "\"random\" without a seed would differ each time; add \"seed: 1\"");
    if (drawn.empty())
      return ErrorAt(random.at,
                     "\"random\" draws nothing; add a key, such as \"train.weight_decay: {uniform: [0, 1]}\"");
    Axis axis{"random", {}, std::vector<Settings>(draws)};
    for (const Node* item : drawn) {
      absl::StatusOr<FieldIndex> field = FindField(item->key, item->key_at);
      if (!field.ok()) return field.status();
      if (!swept_.insert(*field).second) {
        return ErrorAt(item->key_at, absl::StrCat(item->key, " is swept twice in this experiment; remove one of them"));
      }
      absl::StatusOr<Distribution> distribution = Distribution::Read(*field, *item);
      if (!distribution.ok()) return distribution.status();
      axis.keys.push_back(*field);
      for (int i = 0; i < draws; ++i) axis.values[i][*field] = {distribution->Draw(seed, i), item->at};
    }
    random_ = {std::move(axis)};
    JoinAxes();
    return absl::OkStatus();
  }

  // The grid's axes come first and the draws last, whichever the file writes first.
  void JoinAxes() {
    experiment_.axes = grid_;
    for (const std::vector<Axis>* axes : {&zip_, &random_}) {
      experiment_.axes.insert(experiment_.axes.end(), axes->begin(), axes->end());
    }
  }

  absl::Status ReadWhen(const Node& when) {
    if (absl::Status status = ExpectList(when, ""); !status.ok()) return status;
    if (when.items.size() > kMaxRules) return ErrorAt(when.at, absl::StrCat("more than ", kMaxRules, " rules"));
    for (const Node& rule : when.items) {
      if (!rule.IsMap()) return ErrorAt(rule.at, "a rule must be a map: {if: \"...\", set: {...}}");
      const Node* condition = nullptr;
      const Node* set = nullptr;
      for (const Node& item : rule.items) {
        if (item.key == "if")
          condition = &item;
        else if (item.key == "set")
          set = &item;
        else
          return ErrorAt(item.key_at,
                         absl::StrCat("unknown key ", Quoted(item.key), Suggestion(item.key, {"if", "set"})));
      }
      if (!condition || !set) return ErrorAt(rule.at, "a rule needs both \"if\" and \"set\"");
      absl::StatusOr<Expression> expression = Expression::ParseCondition(*condition);
      if (!expression.ok()) return expression.status();
      if (absl::Status status = ExpectFilledMap(*set); !status.ok()) return status;
      WhenRule parsed{*std::move(expression), {}};
      if (absl::Status status = ReadDottedSettings(*set, &parsed.set); !status.ok()) return status;
      experiment_.when.push_back(std::move(parsed));
    }
    return absl::OkStatus();
  }

  absl::Status ReadDerive(const Node& derive) {
    if (absl::Status status = ExpectFilledMap(derive); !status.ok()) return status;
    for (const Node& item : derive.items) {
      absl::StatusOr<FieldIndex> field = FindField(item.key, item.key_at);
      if (!field.ok()) return field.status();
      const FieldType type = FieldAt(*field).type;
      if (type != FieldType::kInteger && type != FieldType::kNumber && type != FieldType::kOptionalNumber) {
        return ErrorAt(item.key_at, absl::StrCat(item.key, " is not a number, so it cannot be derived; use \"when\""));
      }
      absl::StatusOr<Expression> value = Expression::ParseNumber(item);
      if (!value.ok()) return value.status();
      experiment_.derive.push_back({*field, *std::move(value), item.at});
    }
    return absl::OkStatus();
  }

  absl::Status ReadExclude(const Node& exclude) {
    if (absl::Status status = ExpectList(exclude, ""); !status.ok()) return status;
    if (exclude.items.size() > kMaxRules) return ErrorAt(exclude.at, absl::StrCat("more than ", kMaxRules, " rules"));
    for (const Node& item : exclude.items) {
      absl::StatusOr<Expression> expression = Expression::ParseCondition(item);
      if (!expression.ok()) return expression.status();
      experiment_.exclude.push_back(*std::move(expression));
    }
    return absl::OkStatus();
  }

  absl::Status ReadInclude(const Node& include) {
    if (absl::Status status = ExpectList(include, ""); !status.ok()) return status;
    std::set<std::string> labels;
    for (const Node& entry : include.items) {
      if (!entry.IsMap())
        return ErrorAt(entry.at, "an included point must be a map: {label: name, train.seed: 1, ...}");
      IncludedPoint point{"", {}, entry.at};
      Node overrides = entry;
      overrides.items.clear();
      for (const Node& item : entry.items) {
        if (item.key != "label") {
          overrides.items.push_back(item);
          continue;
        }
        if (absl::Status status = ExpectName(item, "a label"); !status.ok()) return status;
        if (!labels.insert(item.text).second)
          return ErrorAt(item.at, absl::StrCat("label ", Quoted(item.text), " is used twice"));
        point.label = item.text;
      }
      if (point.label.empty()) return ErrorAt(entry.at, "an included point without a label; add \"label: ...\"");
      if (absl::Status status = ReadDottedSettings(overrides, &point.set); !status.ok()) return status;
      experiment_.include.push_back(std::move(point));
    }
    return absl::OkStatus();
  }

  // {source: text, measure: [number or null, one a point]}. Whether the lengths fit is known after expansion.
  absl::Status ReadPaper(const Node& paper) {
    if (absl::Status status = ExpectFilledMap(paper); !status.ok()) return status;
    experiment_.paper_at = paper.at;
    for (const Node& item : paper.items) {
      if (item.key == "source") {
        if (!item.IsScalar()) return ErrorAt(item.at, "\"source\" must be text");
        experiment_.paper["source"] = item.text;
        continue;
      }
      if (!IsSweepName(item.key)) return ErrorAt(item.key_at, absl::StrCat("a measure's name ", kSweepNameRule));
      if (absl::Status status = ExpectList(item, "; give one number (or null) a point"); !status.ok()) return status;
      nlohmann::json list = nlohmann::json::array();
      for (const Node& value : item.items) {
        absl::StatusOr<nlohmann::json> number = ReadPublishedNumber(value);
        if (!number.ok()) return number.status();
        list.push_back(*std::move(number));
      }
      experiment_.paper[item.key] = std::move(list);
    }
    return absl::OkStatus();
  }

  Experiment experiment_;
  std::vector<Axis> grid_, zip_, random_;
  std::set<FieldIndex> swept_;
};

}  // namespace

absl::StatusOr<Experiment> ReadExperiment(const Node& node) { return ExperimentReader().Read(node); }

}  // namespace sink::sweeps
