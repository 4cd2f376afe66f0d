// Placing by hand-made cases: all or nothing, the reservation of the first that waits, and what may pass it.
#include "coordinator/core/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sink {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kNow = 1000;
constexpr size_t kNone = 99;

Node MakeNode(int devices, std::vector<Node::Running> running = {}, std::string kind = "gpu") {
  Node node{std::move(kind), devices, devices, std::move(running)};
  for (const Node::Running& job : node.running) node.free -= job.devices;
  return node;
}

TEST(Placer, OneGroupGoesWhereItIsAskedForElseToTheTightestNode) {
  Placer placer({MakeNode(8), MakeNode(4), MakeNode(2)}, kNow);
  EXPECT_THAT(placer.Place({2, 2}, 0), ElementsAre(Share{0, 2}));
  EXPECT_THAT(placer.Place({2, 2}, kNone), ElementsAre(Share{2, 2}));
  EXPECT_THAT(placer.Place({4, 4}, kNone), ElementsAre(Share{1, 4}));
}

TEST(Placer, OnlyNodesThatMayBeUsedAreTakenOrReserved) {
  Placer placer({MakeNode(4, {{4, 1500}}), MakeNode(4)}, kNow);
  EXPECT_THAT(placer.Place({.nodes = {true, false}}, 1), IsEmpty()) << "it waits for the first";
  EXPECT_THAT(placer.Place({4, 4}, 1), ElementsAre(Share{1, 4})) << "and keeps nothing of the second";
  EXPECT_THAT(placer.Place({.nodes = {true, true}}, 1), IsEmpty());
}

TEST(Placer, GangTakesFewNodesAndBeginsWhereItIsAskedFor) {
  Placer placer({MakeNode(4), MakeNode(8), MakeNode(4)}, kNow);
  EXPECT_THAT(placer.Place({8, 4}, 2), ElementsAre(Share{2, 4}, Share{1, 4}));
  EXPECT_THAT(placer.Place({8, 4}, kNone), ElementsAre(Share{0, 4}, Share{1, 4}));
}

TEST(Placer, AllDevicesOrNone) {
  Placer placer({MakeNode(4, {{2}}), MakeNode(4)}, kNow);
  EXPECT_THAT(placer.Place({8, 4}, 0), IsEmpty());
  EXPECT_THAT(placer.Place({4, 4}, 0), IsEmpty()) << "the second is kept for the gang";
}

TEST(Placer, GangStaysOnOneKindOfDevice) {
  Placer placer({MakeNode(4), MakeNode(4, {}, "cpu")}, kNow);
  EXPECT_THAT(placer.Place({8, 4}, 0), IsEmpty());
  EXPECT_THAT(placer.Place({4, 4}, 1), ElementsAre(Share{1, 4})) << "no machine could ever hold the one before";
}

TEST(Placer, BackfillMayEndBeforeTheReservedStart) {
  // The gang can start at 1500, when the first node's job has ended.
  Placer placer({MakeNode(4, {{4, 1500}}), MakeNode(4)}, kNow);
  EXPECT_THAT(placer.Place({8, 4}, 1), IsEmpty());
  EXPECT_THAT(placer.Place({1, 1, /*max_time_ms=*/501}, 1), IsEmpty());
  EXPECT_THAT(placer.Place({1, 1, /*max_time_ms=*/0}, 1), IsEmpty());
  EXPECT_THAT(placer.Place({1, 1, /*max_time_ms=*/500}, 1), ElementsAre(Share{1, 1}));
}

TEST(Placer, BackfillMayUseWhatTheReservedStartLeaves) {
  Placer placer({MakeNode(4, {{4}}), MakeNode(8, {{2}})}, kNow);
  EXPECT_THAT(placer.Place({8, 4}, 1),
              IsEmpty());  // as few nodes as possible: all of the second, when its job has ended
  EXPECT_THAT(placer.Place({1, 1}, 1), IsEmpty());
  Placer wide({MakeNode(4, {{4}}), MakeNode(8), MakeNode(2)}, kNow);
  EXPECT_THAT(wide.Place({12, 4}, 1), IsEmpty());
  EXPECT_THAT(wide.Place({1, 1}, 1), ElementsAre(Share{2, 1}));
}

TEST(Placer, WhatNoNodeCouldHoldKeepsNothingFromOthers) {
  Placer placer({MakeNode(4), MakeNode(4, {{4}})}, kNow);
  EXPECT_THAT(placer.Place({16, 8}, 0), IsEmpty());
  EXPECT_THAT(placer.Place({4, 4}, 0), ElementsAre(Share{0, 4}));
}

}  // namespace
}  // namespace sink
