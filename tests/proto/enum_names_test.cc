// Closed sets: names and values are each other's, and nothing else is one of them.
#include "proto/base/enum_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "proto/config/choices.h"
#include "proto/pipe/failure_class.h"

namespace sink {

enum class Mood { kCalm = 2, kCross = 5 };
template <>
struct EnumNames<Mood> {
  static constexpr EnumName<Mood> kTable[] = {{Mood::kCalm, "calm"}, {Mood::kCross, "cross"}};
};

enum class OneNameTwice { kA, kB };
template <>
struct EnumNames<OneNameTwice> {
  static constexpr EnumName<OneNameTwice> kTable[] = {{OneNameTwice::kA, "a"}, {OneNameTwice::kB, "a"}};
};

enum class OneValueTwice { kA };
template <>
struct EnumNames<OneValueTwice> {
  static constexpr EnumName<OneValueTwice> kTable[] = {{OneValueTwice::kA, "a"}, {OneValueTwice::kA, "b"}};
};

namespace {

using ::testing::ElementsAre;

static_assert(NameOf(Mood::kCross) == "cross");
static_assert(ParseName<Mood>("calm") == Mood::kCalm);
static_assert(!IsTableSound<OneNameTwice>() && !IsTableSound<OneValueTwice>());
static_assert(NamedEnum<Mood> && !NamedEnum<int>);

TEST(EnumNames, WhatIsNoNameIsNoValue) {
  for (const char* text : {"", "Calm", "calm ", "cal", "calmer"}) EXPECT_FALSE(ParseName<Mood>(text)) << text;
}

TEST(EnumNames, NumberThatIsNoValueHasNoName) {
  EXPECT_EQ(NameOf(static_cast<Mood>(3)), "");
  EXPECT_EQ(NameOf(static_cast<Mood>(-1)), "");
}

TEST(EnumNames, AllAreListedInTheirOrder) { EXPECT_THAT(AllNames<Mood>(), ElementsAre("calm", "cross")); }

template <typename Enum>
void ExpectRoundTrip() {
  for (const EnumName<Enum>& entry : EnumNames<Enum>::kTable) {
    EXPECT_EQ(NameOf(entry.value), entry.name);
    EXPECT_EQ(ParseName<Enum>(entry.name), entry.value);
  }
}

TEST(EnumNames, EverySetOfAConfigurationRoundTrips) {
  const auto expect = []<typename... Enums>(std::tuple<Enums...>) { (ExpectRoundTrip<Enums>(), ...); };
  expect(std::tuple<JobKind, PositionEmbedding, Ffn, NormPlacement, SimilarityFunction, FeatureMap, KeyBias, ValueBias,
                    SinkLogit, AttentionGate, Precision, OptimizerKind, DivergencePolicy, InputKind,
                    pipe::FailureClass>());
}

TEST(EnumNames, NamesOfFailureClassesAreThoseOfSweepFiles) {
  EXPECT_THAT(AllNames<pipe::FailureClass>(), ElementsAre("infra", "out_of_memory", "nan", "user"));
}

}  // namespace
}  // namespace sink
