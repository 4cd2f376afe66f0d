#include "sweeps/spec.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sweeps/policy.h"

namespace sink::sweeps {
namespace {

constexpr size_t kMaxFiles = 8;  // from a sweep or profile down its chain of bases
constexpr size_t kMaxPathBytes = 512;
constexpr int kMaxJobs = 10'000;  // what limits.max_jobs may be raised to: seconds of work for the coordinator

enum class FileKind { kSweep, kBase, kProfile };

// `base` as seen from the file that names it.
std::string Resolve(const std::string& file, const std::string& base) {
  return (std::filesystem::path(file).parent_path() / base).lexically_normal().generic_string();
}

class SpecReader {
 public:
  explicit SpecReader(const SweepInput& input) : input_(input) {}

  absl::StatusOr<SweepSpec> Read() {
    spec_.max_jobs_at = {input_.entry};
    std::vector<std::string> chain;
    Mistakes mistakes;
    mistakes.Add(ReadFile(input_.entry, FileKind::kSweep, nullptr, &chain));
    for (const std::string& profile : input_.profiles) {
      chain.clear();
      mistakes.Add(ReadFile(profile, FileKind::kProfile, nullptr, &chain));
    }
    if (absl::Status status = mistakes.status(); !status.ok()) return status;
    return std::move(spec_);
  }

 private:
  // Reads a file after the bases that it names, so that what is nearer to the entry replaces what is farther.
  absl::Status ReadFile(const std::string& path, FileKind kind, const Node* named_by, std::vector<std::string>* chain) {
    const Location place = named_by ? named_by->at : Location{path};
    const std::string name = named_by ? absl::StrCat("base ", Quoted(path)) : "the file";
    if (std::find(chain->begin(), chain->end(), path) != chain->end()) {
      return ErrorAt(place, absl::StrCat("a cycle of bases: ", absl::StrJoin(*chain, " -> "), " -> ", path));
    }
    if (chain->size() >= kMaxFiles)
      return ErrorAt(place, absl::StrCat("more than ", kMaxFiles, " files in a chain of bases"));
    chain->push_back(path);
    absl::StatusOr<std::string> text = input_.read(path);
    if (!text.ok()) {
      return ErrorAt(place, absl::StrCat("cannot read ", name, ": ", text.status().message(),
                                         named_by ? "; a base is relative to the file that names it" : ""));
    }
    absl::StatusOr<Node> root = ReadYaml(path, *text);
    if (!root.ok()) return root.status();
    if (!root->IsMap()) return ErrorAt({path}, absl::StrCat("the file must be a map of keys, not ", KindName(*root)));
    Mistakes mistakes;
    for (const Node& item : root->items) {
      if (item.key != "base") continue;
      if (!item.IsScalar() || item.text.empty() || item.text[0] == '/' || item.text.size() > kMaxPathBytes) {
        mistakes.Add(ErrorAt(item.at, "\"base\" must be a relative path of at most 512 bytes"));
        continue;
      }
      const FileKind base_kind = kind == FileKind::kProfile ? FileKind::kProfile : FileKind::kBase;
      mistakes.Add(ReadFile(Resolve(path, item.text), base_kind, &item, chain));
    }
    for (const Node& item : root->items) mistakes.Add(ReadKey(item, kind));
    absl::Status status = mistakes.status();  // what is missing may be what is misspelt
    return status.ok() && kind == FileKind::kSweep ? CheckComplete(*root) : status;
  }

  absl::Status ReadKey(const Node& item, FileKind kind) {
    if (item.key == "base") return absl::OkStatus();
    if (const auto& names = SectionNames(); std::find(names.begin(), names.end(), item.key) != names.end()) {
      return ReadSection(item, kind == FileKind::kProfile ? &spec_.profile : &spec_.settings);
    }
    std::vector<std::string> known = {"base"};
    if (kind != FileKind::kBase) {
      if (item.key == "resources") return ReadResources(item);
      if (item.key == "retry") return ReadRetry(item);
      if (item.key == "limits") return ReadLimits(item);
      known.insert(known.end(), {"resources", "retry", "limits"});
    }
    if (kind == FileKind::kProfile) {
      if (item.key == "proportional") return ReadProportional(item);
      if (item.key == "replicas") return Take(ReadInt(item, 1, 1000), &spec_.profile_replicas);
      known.insert(known.end(), {"proportional", "replicas", "name", "priority"});
    }
    if (kind != FileKind::kBase) {
      if (item.key == "name") return ReadName(item);
      if (item.key == "priority") return Take(ReadInt(item, -1000, 1000), &spec_.header.priority);
    }
    if (kind == FileKind::kSweep) {
      if (item.key == "schema") return ReadSchema(item);
      if (item.key == "experiments") return ReadExperiments(item);
      if (item.key == "replicas") return Take(ReadInt(item, 1, 1000), &spec_.replicas);
      if (item.key == "early_stop") return Take(ReadEarlyStop(item), &spec_.header.early_stop);
      if (item.key == "on_failure") return Take(ReadFailurePolicy(item), &spec_.header.on_failure);
      if (item.key == "stall") return Take(ReadStall(item), &spec_.header.stall);
      known.insert(known.end(),
                   {"schema", "name", "experiments", "replicas", "priority", "early_stop", "on_failure", "stall"});
    }
    known.insert(known.end(), SectionNames().begin(), SectionNames().end());
    return UnknownKey(item, known);
  }

  template <typename T>
  static absl::Status Take(absl::StatusOr<T> value, T* out) {
    if (value.ok()) *out = *std::move(value);
    return value.status();
  }

  absl::Status ReadSchema(const Node& node) {
    if (node.IsScalar() && node.text == "sink/v1") return absl::OkStatus();
    return ErrorAt(node.at, "this program reads \"schema: sink/v1\" only");
  }

  absl::Status ReadName(const Node& node) {
    if (!node.IsScalar() || !IsSweepName(node.text)) {
      return ErrorAt(node.at, absl::StrCat("a sweep's name ", kSweepNameRule));
    }
    spec_.header.name = node.text;
    return absl::OkStatus();
  }

  absl::Status ReadExperiments(const Node& node) {
    if (!node.IsList()) return ErrorAt(node.at, absl::StrCat("\"experiments\" must be a list, not ", KindName(node)));
    if (node.items.empty()) return ErrorAt(node.at, "\"experiments\" is an empty list; a sweep needs at least one");
    std::set<std::string> names;
    Mistakes mistakes;
    for (const Node& item : node.items) {
      absl::StatusOr<Experiment> experiment = ReadExperiment(item);
      if (!experiment.ok()) {
        mistakes.Add(experiment.status());
      } else if (!names.insert(experiment->name).second) {
        mistakes.Add(ErrorAt(item.at, absl::StrCat("a second experiment named ", Quoted(experiment->name))));
      } else {
        spec_.experiments.push_back(*std::move(experiment));
      }
    }
    return mistakes.status();
  }

  absl::Status ReadResources(const Node& node) {
    if (absl::Status status = ExpectMap(node, node.key); !status.ok()) return status;
    int& devices = spec_.header.devices;
    int& group = spec_.header.per_worker;
    for (const Node& item : node.items) {
      if (item.key == "devices") group = 0;  // a profile's devices do not come in the sweep's groups
    }
    Mistakes mistakes;
    for (const Node& item : node.items) {
      if (item.key == "devices")
        mistakes.Add(Take(ReadInt(item, 1, 1024), &devices));
      else if (item.key == "per_worker")
        mistakes.Add(Take(ReadInt(item, 1, 1024), &group));
      else if (item.key == "max_time")
        mistakes.Add(Take(ReadDuration(item), &spec_.header.max_time));
      else
        mistakes.Add(UnknownKey(item, {"devices", "per_worker", "max_time"}));
    }
    if (absl::Status status = mistakes.status(); !status.ok()) return status;
    if (group > 0 && devices % group != 0) {
      return ErrorAt(node.at, absl::StrCat("resources.per_worker ", group, " must divide resources.devices ", devices));
    }
    return absl::OkStatus();
  }

  absl::Status ReadRetry(const Node& node) {
    if (absl::Status status = ExpectMap(node, node.key); !status.ok()) return status;
    RetryBudget& retry = spec_.header.retry;
    Mistakes mistakes;
    for (const Node& item : node.items) {
      const std::optional<pipe::FailureClass> failure = ParseName<pipe::FailureClass>(item.key);
      mistakes.Add(failure ? Take(ReadInt(item, 0, 1000), &retry.of(*failure))
                           : UnknownKey(item, AllNames<pipe::FailureClass>()));
    }
    return mistakes.status();
  }

  absl::Status ReadLimits(const Node& node) {
    if (absl::Status status = ExpectMap(node, node.key); !status.ok()) return status;
    Mistakes mistakes;
    for (const Node& item : node.items) {
      if (item.key == "max_jobs") {
        mistakes.Add(Take(ReadInt(item, 1, kMaxJobs), &spec_.header.max_jobs));
        spec_.max_jobs_at = item.at;
      } else if (item.key == "max_parallel") {
        mistakes.Add(Take(ReadInt(item, 0, kMaxJobs), &spec_.header.max_parallel));
      } else {
        mistakes.Add(UnknownKey(item, {"max_jobs", "max_parallel"}));
      }
    }
    return mistakes.status();
  }

  absl::Status ReadProportional(const Node& node) {
    if (!node.IsList())
      return ErrorAt(node.at, absl::StrCat("\"proportional\" must be a list of keys, not ", KindName(node)));
    for (const Node& item : node.items) {
      if (!item.IsScalar()) return ErrorAt(item.at, absl::StrCat("a key must be a word, not ", KindName(item)));
      absl::StatusOr<FieldIndex> field = FindField(item.text, item.at);
      if (!field.ok()) return field.status();
      const FieldType type = FieldAt(*field).type;
      if (type != FieldType::kInteger && type != FieldType::kNumber) {
        return ErrorAt(item.at, absl::StrCat(item.text, " is not a number, so it cannot be proportional"));
      }
      const bool known = std::any_of(spec_.proportional.begin(), spec_.proportional.end(),
                                     [&](const ProportionalKey& key) { return key.field == *field; });
      if (!known) spec_.proportional.push_back({*field, item.at});
    }
    return absl::OkStatus();
  }

  absl::Status CheckComplete(const Node& root) {
    const auto has = [&](absl::string_view key) {
      return std::any_of(root.items.begin(), root.items.end(), [&](const Node& item) { return item.key == key; });
    };
    for (const char* hint : {"schema: sink/v1", "name: ...", "experiments: [...]"}) {
      const absl::string_view key = absl::string_view(hint).substr(0, absl::string_view(hint).find(':'));
      if (!has(key)) return ErrorAt(root.at, absl::StrCat("no ", Quoted(key), "; add \"", hint, "\""));
    }
    return absl::OkStatus();
  }

  const SweepInput& input_;
  SweepSpec spec_;
};

}  // namespace

absl::StatusOr<SweepSpec> LoadSweep(const SweepInput& input) { return SpecReader(input).Read(); }

}  // namespace sink::sweeps
