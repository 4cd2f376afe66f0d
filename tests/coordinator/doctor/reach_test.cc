// Who listens where a coordinator should: each case is named and given a fix.
#include "coordinator/doctor/reach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "tests/testing/temp_dir.h"

namespace sink::doctor {
namespace {

using ::testing::HasSubstr;

constexpr char kAddress[] = "127.0.0.1:7070", kMetrics[] = "127.0.0.1:7071", kPage[] = "127.0.0.1:7072";

void ExpectFault(const Finding& finding, const std::string& what, const std::string& fix) {
  EXPECT_EQ(finding.level, Level::kFault) << finding.what;
  EXPECT_THAT(finding.what, HasSubstr(what));
  EXPECT_THAT(finding.fix, HasSubstr(fix));
}

TEST(Refusal, IsToldByWhoListens) {
  const absl::Status away = absl::UnavailableError("no answer");
  ExpectFault(ExamineRefusal(kAddress, Peer::kNobody, away), "nobody answers at 127.0.0.1:7070",
              "start sink-coordinator, let its port through the firewall");
  ExpectFault(ExamineRefusal(kAddress, Peer::kOther, away), "does not answer as a coordinator",
              "DATA/coordinator.addr");
  ExpectFault(ExamineRefusal(kAddress, Peer::kCoordinator, away), "but the call failed: no answer",
              "sinkctl login FILE");
  ExpectFault(ExamineRefusal(kAddress, Peer::kCoordinator, absl::PermissionDeniedError("user/eve is revoked")),
              "refuses us: user/eve is revoked", "sinkctl user add NAME --role viewer");
}

class Ports : public ::testing::Test {
 protected:
  Ports() {
    std::ofstream(data_ / "coordinator.addr") << kAddress << "\n";
    std::ofstream(data_ / "metrics.addr") << kMetrics << "\n";
    std::ofstream(data_ / "page.addr") << kPage << "\n";
  }
  std::vector<Finding> Examine() {
    return ExaminePorts(data_.path(), [this](const std::string& address) { return peers_.at(address); });
  }

  testing::TempDir data_;
  std::map<std::string, Peer> peers_ = {
      {kAddress, Peer::kCoordinator}, {kMetrics, Peer::kOther}, {kPage, Peer::kOther}};
};

TEST_F(Ports, ThatAnswerAreGood) {
  ASSERT_EQ(Examine().size(), 1u);
  EXPECT_EQ(Examine()[0].level, Level::kGood);
}

TEST_F(Ports, OfAFolderThatWasNeverUsedAreNoMatter) {
  const testing::TempDir empty;
  EXPECT_TRUE(ExaminePorts(empty.path(), [](const std::string&) { return Peer::kOther; }).empty());
}

TEST_F(Ports, OfACoordinatorThatDoesNotRunAreAHint) {
  peers_[kAddress] = Peer::kNobody;
  const std::vector<Finding> findings = Examine();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].level, Level::kHint);
  EXPECT_THAT(findings[0].what, HasSubstr("it is not running"));
  EXPECT_THAT(findings[0].fix, HasSubstr("sink-coordinator --data "));
}

TEST_F(Ports, ThatAnotherProgramHasAreAFault) {
  peers_[kAddress] = Peer::kOther;
  const std::vector<Finding> findings = Examine();
  ASSERT_EQ(findings.size(), 1u);
  ExpectFault(findings[0], "what listens at 127.0.0.1:7070 does not answer as a coordinator", "another --listen");
}

TEST_F(Ports, OfMetricsAndThePageMayBeClosedWhileTheCoordinatorAnswers) {
  peers_[kMetrics] = peers_[kPage] = Peer::kNobody;
  const std::vector<Finding> findings = Examine();
  ASSERT_EQ(findings.size(), 3u);
  ExpectFault(findings[1], "127.0.0.1:7071, where /metrics should be", "--metrics-listen");
  ExpectFault(findings[2], "127.0.0.1:7072, where the page should be", "--page-listen");
}

}  // namespace
}  // namespace sink::doctor
