#include "coordinator/cli/study/submission.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/cli/views/documents.h"
#include "coordinator/cli/views/views.h"
#include "coordinator/job/data_set.h"
#include "proto/base/counted.h"
#include "proto/files/random_id.h"

namespace sink::cli {
namespace {

constexpr size_t kShownDigits = 8;  // of a content

std::string Short(const std::string& content) { return content.substr(0, kShownDigits); }

using NameList = google::protobuf::RepeatedPtrField<std::string>;
using CopyList = google::protobuf::RepeatedPtrField<v1::IncompleteCopy>;

// "no connected worker has 2 models: a, b"
std::string Missing(const std::string& things, const NameList& names) {
  return absl::StrCat("no connected worker has ", things, ": ", absl::StrJoin(names, ", "));
}

Json NamesJson(const NameList& names) { return std::vector<std::string>(names.begin(), names.end()); }

// The copies that connected workers have of what is missing, and why none of them is used: an entry of the document and
// a block for each. `copies_of`: those of a worker.
Json AddIncomplete(const std::string& thing, const NameList& missing, const v1::ListWorkersResponse& workers,
                   const CopyList& (*copies_of)(const v1::Worker&), std::string (*mending)(CopyUse), Page* page) {
  Json incomplete = Json::array();
  for (const v1::Worker& worker : workers.workers()) {
    if (!IsConnected(ToJson(worker))) continue;
    for (const v1::IncompleteCopy& copy : copies_of(worker)) {
      const auto is_it = [&](const std::string& name) { return StandsFor(copy.name(), name); };
      if (std::none_of(missing.begin(), missing.end(), is_it)) continue;
      const auto use = static_cast<CopyUse>(copy.use());
      incomplete.push_back(
          {{"name", copy.name()}, {"worker", worker.name()}, {"gap", copy.gap()}, {"use", NameOf(use)}});
      page->blocks.push_back(
          TextBlock{{{absl::StrCat(thing, " ", copy.name(), " of ", worker.name(), " ", WhyUnused(copy.gap(), use)),
                      Style::kYellow},
                     {mending(use)}}});
    }
  }
  return incomplete;
}

TextBlock DifferingBlock(const v1::DifferingSet& set) {
  std::vector<std::string> copies;
  for (const v1::SetCopy& copy : set.copies())
    copies.push_back(absl::StrCat(Short(copy.content()), " on ", absl::StrJoin(copy.workers(), ", ")));
  return {{{absl::StrCat("data set ", set.name(), " is not the same everywhere: ", absl::StrJoin(copies, "; ")),
            Style::kYellow},
           {"jobs of this sweep may train on different data: copy one of them over the others"}}};
}

TextBlock ChangedBlock(const v1::ChangedSet& set) {
  return {
      {{absl::StrCat("data set ", set.name(), " has changed: ", Counted(set.jobs(), "job"), " stored already ran on ",
                     Short(set.content_then()), ", workers now have ", Short(set.content_now())),
        Style::kYellow},
       {"what is stored stays as it is; a job goes on only on the data it began with"}}};
}

}  // namespace

void AddChanges(args::Command command, SweepChanges* changes) {
  command
      .AddOption(
          "--set", changes->sets,
          "Change a key of the sweep, as a profile would: what an experiment sets or varies stays; may be repeated")
      .ValueText("KEY=VALUE")
      .OneValueEach();
  command.AddOption("--name", changes->name, "Store it under this name instead of the file's").ValueText("NAME");
  command.AddOption("--priority", changes->priority, "Instead of the file's; larger runs first (0)")
      .ValueText("N")
      .Within(-1000, 1000);
}

void AddChangesNothing(const SweepFiles& files, Page* page) {
  page->document["changes_nothing"] = files.changes_nothing;
  if (files.changes_nothing)
    page->blocks.push_back(TextBlock{{{"--set and the like change no job", Style::kYellow},
                                      {"experiments set or vary these keys themselves, or they have these values"}}});
}

void AddRepeats(const SweepFiles& files, Page* page) {
  std::map<std::string, std::map<std::string, int>> times;  // experiment -> job -> how often
  std::map<std::string, int> jobs;
  for (const ExpandedJob& job : files.sweep.jobs) {
    ++times[job.experiment][job.id];
    ++jobs[job.experiment];
  }
  page->document["repeats"] = Json::object();
  for (const ExpandedExperiment& experiment : files.sweep.experiments) {
    const int repeats = jobs[experiment.name] - static_cast<int>(times[experiment.name].size());
    if (repeats == 0) continue;
    page->document["repeats"][experiment.name] = repeats;
    page->blocks.push_back(TextBlock{
        {{absl::StrCat(experiment.name, ": ", repeats, " of its ", jobs[experiment.name], " jobs ",
                       repeats == 1 ? "repeats another" : "repeat others", " of it and will not be trained again"),
          Style::kYellow},
         {"draws of `random` that repeat: draw fewer, or from more values"}}});
  }
}

void AddAvailability(const v1::SubmitSweepResponse& response, const v1::ListWorkersResponse& workers, Page* page) {
  Json differing = Json::array(), changed = Json::array();
  if (response.missing_models_size() > 0) {
    page->blocks.push_back(TextBlock{
        {{Missing(Counted(response.missing_models_size(), "model"), response.missing_models()), Style::kYellow},
         {"their jobs will wait until one has them: download them into a worker's --models folder"}}});
  }
  if (response.missing_sets_size() > 0) {
    page->blocks.push_back(
        TextBlock{{{Missing(Counted(response.missing_sets_size(), "data set or file", "data sets or files"),
                            response.missing_sets()),
                    Style::kYellow},
                   {"their jobs will wait until one has them: put them into a worker's --data-root "
                    "(sink-data pack makes a set; a file of texts is put there as it is)"}}});
  }
  page->document["incomplete_models"] = AddIncomplete(
      "model", response.missing_models(), workers,
      [](const v1::Worker& worker) -> const CopyList& { return worker.incomplete_models(); }, MendingOfModel, page);
  page->document["incomplete_sets"] = AddIncomplete(
      "data set", response.missing_sets(), workers,
      [](const v1::Worker& worker) -> const CopyList& { return worker.incomplete_sets(); }, MendingOfSet, page);
  for (const v1::DifferingSet& set : response.differing_sets()) {
    Json copies = Json::array();
    for (const v1::SetCopy& copy : set.copies())
      copies.push_back({{"content", copy.content()}, {"workers", NamesJson(copy.workers())}});
    differing.push_back({{"name", set.name()}, {"copies", std::move(copies)}});
    page->blocks.push_back(DifferingBlock(set));
  }
  for (const v1::ChangedSet& set : response.changed_sets()) {
    changed.push_back({{"name", set.name()},
                       {"content_then", set.content_then()},
                       {"content_now", set.content_now()},
                       {"jobs", set.jobs()}});
    page->blocks.push_back(ChangedBlock(set));
  }
  page->document["missing_models"] = NamesJson(response.missing_models());
  page->document["missing_sets"] = NamesJson(response.missing_sets());
  page->document["differing_sets"] = std::move(differing);
  page->document["changed_sets"] = std::move(changed);
}

void AddNotChecked(const std::string& why, Page* page) {
  for (const char* field :
       {"missing_models", "missing_sets", "incomplete_models", "incomplete_sets", "differing_sets", "changed_sets"})
    page->document[field] = nullptr;
  page->blocks.push_back(
      TextBlock{{{"whether workers have the models and data sets was not checked: " + why, Style::kDim}}});
}

absl::StatusOr<v1::SubmitSweepResponse> Submit(Session& session, const SweepFiles& files, bool dry_run, bool replace) {
  v1::SubmitSweepRequest request;
  request.set_request_id(files::RandomId());  // lets the client repeat the call after a lost answer
  request.set_entry(files.entry);
  for (const std::string& profile : files.profiles) request.add_profiles(profile);
  for (const auto& [path, text] : files.texts) {
    v1::SourceFile* file = request.add_files();
    file->set_path(path);
    file->set_text(text);
  }
  request.set_dry_run(dry_run);
  request.set_replace(replace);
  return session.client().SubmitSweep(request);
}

}  // namespace sink::cli
