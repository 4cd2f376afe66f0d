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
      int seed = 42;
      for (const std::string& id : study.experiments.back().points.back().runs) {
        study.runs[id].settings = Json::parse(PrintEveryField(job.config));
        testing::Set(&study.runs[id].settings, "train.seed", seed++);
      }
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
  Keys operator()(const AfterTheLoss&) const { return {}; }
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
  return !std::holds_alternative<Present>(claim) && !std::holds_alternative<SitsAt>(claim) &&
         !std::holds_alternative<AfterTheLoss>(claim);
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
  EXPECT_EQ(compared["data_distribution"], 3);
  EXPECT_EQ(compared["model_architecture"], 8);
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

// Numbers for which a claim about an experiment holds. Seeds lie 0.1 points apart.
class Bearing {
 public:
  Bearing(const Study& study, const Experiment& experiment) : study_(study), experiment_(experiment) {}

  void operator()(const Trend& claim) {
    AtTheEnd(claim.position, claim.rising ? Rank(claim.key) : 1 - Rank(claim.key));
  }
  // Measured ten times, so that an onset may lie anywhere in a run: with the larger value it does early.
  void operator()(const Earlier& claim) {
    const double rank = Rank(claim.key);
    const auto every = static_cast<int64_t>(NumberOf(*run_, "eval.every"));
    Curve curve;
    for (int i = 0; i <= 10; ++i) curve.push_back({i * every, i >= 8 - 6 * rank ? 0.5 + off_ : 0.0, 1});
    run_->step = run_->max_steps = 10 * every;
    run_->curves["sink_rate/0.3/1"] = std::move(curve);
  }
  // The loss is half way down at the first measurement, the strongest head half way up at the fifth.
  void operator()(const AfterTheLoss&) {
    const auto every = static_cast<int64_t>(NumberOf(*run_, "eval.every"));
    Curve loss, alpha;
    for (int i = 0; i <= 10; ++i) {
      loss.push_back({i * every, i >= 1 ? 2.0 : 5.0, 1});
      alpha.push_back({i * every, i >= 5 ? 0.6 + off_ : 0.1, 1});
    }
    run_->step = run_->max_steps = 10 * every;
    run_->curves["validation_loss/all"] = std::move(loss);
    run_->curves["alpha_max/1"] = std::move(alpha);
  }
  void operator()(const NoEffect&) { AtTheEnd("1", 1); }
  void operator()(const Increases& claim) { AtTheEnd("1", Rank(claim.key) > 0 ? 1 : 0.5); }
  void operator()(const Removed& claim) { AtTheEnd("1", Rank(claim.key) == (claim.smallest ? 0 : 1) ? 0 : 1); }
  void operator()(const Present&) { AtTheEnd("1", 1); }
  void operator()(const Absent& claim) { AtTheEnd("1", Matches(*run_, claim.where) ? 0 : 1); }
  // Every position that a run measures has no sink, but for the wanted ones.
  void operator()(const SitsAt& claim) {
    for (int p = 1; p <= static_cast<int>(NumberOf(*run_, "eval.positions")); ++p) AtTheEnd(std::to_string(p), 0);
    for (const std::string& position : WantedPositions(*run_, claim.place)) AtTheEnd(position, 1);
  }

  void Plant(Run* run, int seed, const Claim& claim) {
    run_ = run;
    off_ = 0.001 * seed;
    run_->curves.clear();
    std::visit(*this, claim);
  }

 private:
  // A sink of 1 is in half of the heads, one of 0 in none.
  void AtTheEnd(const std::string& position, double sink) {
    run_->curves["sink_rate/0.3/" + position] = {{0, 0, 1}, {100, sink > 0 ? 0.5 * sink + off_ : 0, 1}};
  }

  // Where the run's value lies among those of its experiment: 0 the smallest, 1 the largest.
  double Rank(const std::string& key) const {
    std::set<double> values;
    for (const Point& point : experiment_.points) values.insert(NumberOf(study_.run(point.runs.front()), key));
    const auto below = std::distance(values.begin(), values.find(NumberOf(*run_, key)));
    return values.size() < 2 ? 0 : static_cast<double>(below) / static_cast<double>(values.size() - 1);
  }

  const Study& study_;
  const Experiment& experiment_;
  Run* run_ = nullptr;
  double off_ = 0;
};

// Else weeks of training would end with "not enough data", whatever they have measured.
TEST(ShippedControls, ForEveryTakeawayThereAreNumbersForWhichItHolds) {
  std::map<std::string, int> held;
  for (const auto& entry : std::filesystem::directory_iterator(sink::testing::SourceDir() + "/sweeps")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string sweep = entry.path().stem().string();
    for (const std::vector<std::string>& profiles :
         std::vector<std::vector<std::string>>{{}, {"laptop"}, {"minutes"}, {"one-gpu"}}) {
      Study study = Planted(sweep, profiles);
      for (const Experiment& experiment : study.experiments)
        for (const Takeaway& takeaway : Takeaways()) {
          if (!std::count(takeaway.experiments.begin(), takeaway.experiments.end(), experiment.name)) continue;
          if (!Concerns(study, experiment, takeaway.claim)) continue;
          Bearing bearing(study, experiment);
          for (const Experiment& any : study.experiments)  // a control may be of another
            for (const Point& point : any.points)
              for (size_t seed = 0; seed < point.runs.size(); ++seed)
                bearing.Plant(&study.runs[point.runs[seed]], static_cast<int>(seed), takeaway.claim);
          const Judgement judgement = Judge(study, experiment, takeaway.claim);
          // Of minutes' sequences of 64 tokens no two of the windows hide anything.
          if (profiles == std::vector<std::string>{"minutes"} && experiment.name == "window" &&
              std::holds_alternative<SitsAt>(takeaway.claim)) {
            EXPECT_EQ(judgement.remark, "no wide window is shorter than the sequences");
            continue;
          }
          EXPECT_EQ(judgement.verdict, Verdict::kHolds)
              << sweep << " " << (profiles.empty() ? "" : profiles[0]) << ", " << experiment.name << ": "
              << takeaway.statement << ": " << judgement.comparison;
          ++held[sweep];
        }
    }
  }
  EXPECT_EQ(held["optimization"], 4 * 7);
  EXPECT_EQ(held["loss_function"], 4 * 5 - 1);
  EXPECT_EQ(held["data_distribution"], 4 * 7);
  EXPECT_EQ(held["model_architecture"], 4 * 20);
  EXPECT_EQ(held["scale"], 4 * 2);
  EXPECT_EQ(held["quickstart"], 4 * 4);
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
