// Every shipped sweep with planted numbers: what its takeaways hold against each other differs in what they are about
// and in nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "coordinator/report/claims.h"
#include "coordinator/report/takeaways.h"
#include "sweeps/expand.h"
#include "tests/coordinator/report/studies.h"
#include "tests/sweeps/files.h"

namespace sink::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Three seeds of every point, with the settings that the sweep file gives them and one number for all.
Study Planted(const std::string& sweep, const std::vector<std::string>& profiles) {
  SweepInput input{"sweeps/" + sweep + ".yaml", {}, sink::testing::ReadFrom(sink::testing::SourceDir())};
  for (const std::string& profile : profiles) input.profiles.push_back("sweeps/profiles/" + profile + ".yaml");
  const absl::StatusOr<ExpandedSweep> expanded = ExpandSweep(input);
  EXPECT_TRUE(expanded.ok()) << expanded.status();
  Study study = testing::EmptyStudy("unused");
  study.experiments.clear();
  if (!expanded.ok()) return study;
  for (const ExpandedExperiment& experiment : expanded->experiments) {
    study.experiments.push_back({experiment.name, "", Json::parse(experiment.paper_json), {}});
    std::set<int> seen;
    for (const ExpandedJob& job : expanded->jobs) {
      if (job.experiment != experiment.name || !seen.insert(job.point).second) continue;
      testing::AddSeeds(&study, job.label, {},
                        {{"sink_rate/0.3/1", 0.5}, {"sink_rate/0.3/bias", 0.4}, {"sink_rate/0.3/2", 0.4}}, 0.01, 3);
      for (const std::string& id : study.experiments.back().points.back().runs)
        study.runs[id].settings = Json::parse(PrintEveryField(job.config));
    }
  }
  return study;
}

std::set<std::string> KeysOf(const Where& where) {
  std::set<std::string> keys;
  for (const auto& [key, value] : where) keys.insert(key);
  return keys;
}

// What settings that a claim compares may differ in.
struct AboutOf {
  using Keys = std::set<std::string>;
  Keys operator()(const Trend& claim) const {
    return claim.equal_steps ? Keys{claim.key, "train.max_steps"} : Keys{claim.key};
  }
  Keys operator()(const Earlier& claim) const { return {claim.key, "train.max_steps"}; }
  Keys operator()(const NoEffect& claim) const { return {claim.key}; }
  Keys operator()(const Increases& claim) const { return {claim.key}; }
  Keys operator()(const Removed& claim) const { return {claim.key}; }
  Keys operator()(const Present&) const { return {}; }
  Keys operator()(const SitsAt&) const { return {}; }
  Keys operator()(const Absent& claim) const {
    Keys keys = KeysOf(claim.where);
    keys.merge(KeysOf(claim.control));
    return keys;
  }
};

bool Compares(const Claim& claim) {
  return !std::holds_alternative<Present>(claim) && !std::holds_alternative<SitsAt>(claim);
}

// Every judged claim of the sweep: how many were held against a control.
int CheckSweep(const std::string& sweep, const std::vector<std::string>& profiles) {
  const Study study = Planted(sweep, profiles);
  int compared = 0;
  for (const Experiment& experiment : study.experiments)
    for (const Takeaway& takeaway : Takeaways()) {
      if (!std::count(takeaway.experiments.begin(), takeaway.experiments.end(), experiment.name)) continue;
      if (!Concerns(study, experiment, takeaway.claim)) continue;  // the 1B model was not trained with ELU
      const Judgement judgement = Judge(study, experiment, takeaway.claim);
      const std::set<std::string> about = std::visit(AboutOf(), takeaway.claim);
      for (const Contrast& contrast : judgement.against) {
        const std::vector<std::string> keys = DifferingKeys(study.run(contrast.setting), study.run(contrast.control));
        EXPECT_FALSE(keys.empty()) << sweep << ": " << takeaway.statement;
        for (const std::string& key : keys)
          EXPECT_TRUE(about.contains(key)) << sweep << ": " << takeaway.statement << " differs in " << key;
      }
      if (!Compares(takeaway.claim)) continue;
      EXPECT_FALSE(judgement.against.empty()) << sweep << ": " << takeaway.statement << ": " << judgement.comparison;
      EXPECT_THAT(judgement.comparison, Not(HasSubstr("no control"))) << sweep << ": " << takeaway.statement;
      compared += !judgement.against.empty();
    }
  return compared;
}

TEST(ShippedControls, DifferInWhatTheClaimIsAboutAlone) {
  std::map<std::string, int> compared;
  for (const auto& entry : std::filesystem::directory_iterator(sink::testing::SourceDir() + "/sweeps")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string sweep = entry.path().stem().string();
    compared[sweep] = CheckSweep(sweep, {});
    for (const char* profile : {"laptop", "minutes"})
      EXPECT_EQ(CheckSweep(sweep, {profile}), compared[sweep]) << sweep << " " << profile;
  }
  EXPECT_EQ(compared["optimization"], 6);
  EXPECT_EQ(compared["loss_function"], 3);
  EXPECT_EQ(compared["data_distribution"], 1);
  EXPECT_EQ(compared["model_architecture"], 5);
  EXPECT_EQ(compared["scale"], 1);
  EXPECT_EQ(compared["open_model_inputs"], 1);
  EXPECT_EQ(compared["quickstart"], 3);
}

// The positions where a claim of a place wants the sink of a run: as claims.h says, in the settings' own words.
std::set<std::string> WantedPositions(const Run& run, SitsAt::Place place) {
  const auto number = [&run](const char* key) { return static_cast<int>(NumberOf(run, key)); };
  switch (place) {
    case SitsAt::Place::kFirst:
      return {"1"};
    case SitsAt::Place::kBias:
      return {"bias"};
    case SitsAt::Place::kPrefix:
      return {"1", std::to_string(number("model.variant.prefix_length"))};
    case SitsAt::Place::kFixedToken:
      return {std::to_string(number("data.fixed_token_position"))};
    case SitsAt::Place::kLastRandomToken:
      return {std::to_string(number("data.random_tokens_end"))};
  }
  return {};
}

// Every position that a run of ours measures has no sink, but for the wanted ones.
void PlantAt(Run* run, const std::set<std::string>& wanted) {
  run->curves.clear();
  std::set<std::string> positions = wanted;
  for (int p = 1; p <= static_cast<int>(NumberOf(*run, "eval.positions")); ++p) positions.insert(std::to_string(p));
  for (const std::string& position : positions)
    run->curves["sink_rate/0.3/" + position] = {{100, wanted.contains(position) ? 0.5 : 0.0, 1}};
}

TEST(ShippedControls, EveryClaimOfAPlaceCanHold) {
  int places = 0;
  for (const auto& entry : std::filesystem::directory_iterator(sink::testing::SourceDir() + "/sweeps")) {
    if (entry.path().extension() != ".yaml") continue;
    for (const std::vector<std::string>& profiles :
         std::vector<std::vector<std::string>>{{}, {"laptop"}, {"minutes"}}) {
      Study study = Planted(entry.path().stem().string(), profiles);
      for (const Experiment& experiment : study.experiments)
        for (const Takeaway& takeaway : Takeaways()) {
          if (!std::count(takeaway.experiments.begin(), takeaway.experiments.end(), experiment.name)) continue;
          const auto* const claim = std::get_if<SitsAt>(&takeaway.claim);
          if (!claim || !Concerns(study, experiment, takeaway.claim)) continue;
          for (const Point& point : experiment.points)
            for (const std::string& id : point.runs)
              PlantAt(&study.runs[id], WantedPositions(study.runs[id], claim->place));
          const Judgement judgement = Judge(study, experiment, takeaway.claim);
          EXPECT_EQ(judgement.verdict, Verdict::kHolds)
              << study.sweep << ": " << takeaway.statement << ": " << judgement.comparison;
          ++places;
        }
    }
  }
  EXPECT_GT(places, 15);
}

// Quickstart trains two architectures: its sigmoid is held against the softmax of its own.
TEST(ShippedControls, QuickstartsSigmoidIsHeldAgainstItsTwin) {
  const Study study = Planted("quickstart", {});
  const Experiment& experiment = study.experiments.back();
  ASSERT_EQ(experiment.name, "attention_sink");
  for (const Takeaway& takeaway : Takeaways()) {
    if (!std::holds_alternative<Absent>(takeaway.claim)) continue;
    if (!std::count(takeaway.experiments.begin(), takeaway.experiments.end(), experiment.name)) continue;
    const Judgement judgement = Judge(study, experiment, takeaway.claim);
    ASSERT_EQ(judgement.against.size(), 1u);
    EXPECT_EQ(judgement.against[0].control, experiment.points[0].runs[0]);
    EXPECT_EQ(judgement.against[0].setting, experiment.points[1].runs[0]);
  }
}

}  // namespace
}  // namespace sink::report
