// Trainer events: what is written reads back the same, and what is malformed is refused with a reason.
#include "proto/pipe/events.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sink::pipe {
namespace {

template <typename T>
T RoundTrip(const T& record) {
  ParseResult result = Parse(Encode(record));
  EXPECT_TRUE(result.event.has_value()) << result.error;
  EXPECT_TRUE(result.event && std::holds_alternative<T>(*result.event));
  return std::get<T>(*result.event);
}

std::string ErrorOf(std::string_view line) {
  ParseResult result = Parse(line);
  EXPECT_FALSE(result.event.has_value()) << line;
  return result.error;
}

TEST(Events, HelloRoundTrips) {
  const Hello hello = RoundTrip(Hello{1, 4242, "cuda:1", 7, 20000, int64_t{1} << 40});
  EXPECT_EQ(hello.version, 1);
  EXPECT_EQ(hello.pid, 4242);
  EXPECT_EQ(hello.device, "cuda:1");
  EXPECT_EQ(hello.start_step, 7);
  EXPECT_EQ(hello.max_steps, 20000);
  EXPECT_EQ(hello.parameters, int64_t{1} << 40);
}

TEST(Events, MetricsRoundTripToTheLastBit) {
  const std::vector<std::pair<std::string, double>> values = {
      {"a", 0.1}, {"b", 1.0 / 3}, {"c", 5e-324}, {"d", 1.7976931348623157e308}, {"e", -0.0}, {"f", 9007199254740993.0}};
  const Metrics metrics = RoundTrip(Metrics{12, values});
  EXPECT_EQ(metrics.step, 12);
  ASSERT_EQ(metrics.values.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(metrics.values[i].first, values[i].first);
    EXPECT_EQ(metrics.values[i].second, values[i].second);
    EXPECT_EQ(std::signbit(metrics.values[i].second), std::signbit(values[i].second));
  }
}

TEST(Events, NonFiniteNumbersTravelAsStrings) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string line = Encode(Metrics{1, {{"a", std::nan("")}, {"b", infinity}, {"c", -infinity}}});
  EXPECT_EQ(line, R"({"step":1,"type":"metrics","values":{"a":"NaN","b":"Infinity","c":"-Infinity"}})");
  const Metrics metrics = RoundTrip(Metrics{1, {{"a", std::nan("")}, {"b", infinity}, {"c", -infinity}}});
  EXPECT_TRUE(std::isnan(metrics.values[0].second));
  EXPECT_EQ(metrics.values[1].second, infinity);
  EXPECT_EQ(metrics.values[2].second, -infinity);
}

TEST(Events, OtherRecordsRoundTrip) {
  EXPECT_EQ(RoundTrip(Progress{3, 6144, 8090.5}).tokens_per_second, 8090.5);
  const Heatmap heatmap = RoundTrip(Heatmap{500, "alpha/1", 2, 3, {1, 2, 3, 4, 5, 0.25}});
  EXPECT_EQ(heatmap.name, "alpha/1");
  EXPECT_EQ(heatmap.layers * 10 + heatmap.heads, 23);
  EXPECT_EQ(heatmap.values, (std::vector<double>{1, 2, 3, 4, 5, 0.25}));
  EXPECT_EQ(RoundTrip(Checkpoint{5, "/runs/a b/step-5", "00ff"}).path, "/runs/a b/step-5");
  EXPECT_EQ(RoundTrip(Log{"warning", "two\nlines \"quoted\" \xC3\xA9"}).message, "two\nlines \"quoted\" \xC3\xA9");
  EXPECT_EQ(RoundTrip(Finished{9}).step, 9);
  EXPECT_EQ(RoundTrip(Failed{FailureClass::kNan, "loss is NaN"}).failure_class, FailureClass::kNan);
}

TEST(Events, OneRecordIsOneLineOfBoundedLength) {
  for (const std::string& unit :
       {std::string("x"), std::string(1, '\x01'), std::string("\xC3\xA9"), std::string("\xFF")}) {
    std::string message;
    while (message.size() < 1024 * 1024) message += unit;
    const std::string line = Encode(Log{"info", message});
    EXPECT_LE(line.size(), kMaxLineBytes);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_TRUE(Parse(line).event.has_value()) << Parse(line).error;
  }
  const Log cut = RoundTrip(Log{"info", std::string(100000, 'x')});
  EXPECT_EQ(cut.message, std::string(64 * 1024, 'x'));
}

TEST(Events, MessagesAreCutBetweenCharacters) {
  std::string message = "x";
  while (message.size() < 70000) message += "\xE2\x82\xAC";  // three bytes each; 64 KiB falls inside one
  const std::string cut = RoundTrip(Failed{FailureClass::kUser, message}).message;
  EXPECT_EQ(cut.size() % 3, 1u);
  EXPECT_EQ(message.compare(0, cut.size(), cut), 0);
  EXPECT_GT(cut.size(), 65530u);
}

TEST(Events, UnknownFieldsAreIgnored) {
  EXPECT_TRUE(Parse(R"({"type":"finished","step":3,"mood":[{"x":null}]})").event.has_value());
}

// A plain record of metrics has a reader of its own; a field that it does not know brings the general one.
TEST(Events, PlainMetricsReadAsTheGeneralReaderReadsThem) {
  for (const std::string values : {R"({})",
                                   R"({"a":1})",
                                   R"({"b":1,"a":-2,"c":3.5})",
                                   R"({"a":1,"b":2,"a":3})",
                                   R"({"\u0061":-0.0})",
                                   R"({"a":18446744073709551615,"b":-9223372036854775808,"c":1e-320})",
                                   R"({"a":1,"b":"NaN"})",
                                   R"({"a":{"b":1}})",
                                   R"({"":1})",
                                   R"({"a":[1]})",
                                   R"({"a":null})",
                                   R"({"a":true})",
                                   R"([1])",
                                   R"({"a":1},"values":{"b":2})",
                                   R"({"a":1},"step":6)",
                                   R"({"a":1},"type":"finished")",
                                   R"({"a":1},"step":-1)",
                                   R"({"a":1},"step":281474976710657)",
                                   R"({"a":1}})",
                                   R"({"a":1)"}) {
    const ParseResult plain = Parse(R"({"step":5,"type":"metrics","values":)" + values + "}");
    const ParseResult general = Parse(R"({"new":0,"step":5,"type":"metrics","values":)" + values + "}");
    EXPECT_EQ(plain.error, general.error) << values;
    ASSERT_EQ(plain.event.has_value(), general.event.has_value()) << values;
    if (!plain.event) continue;
    EXPECT_EQ(Encode(*plain.event), Encode(*general.event)) << values;
  }
}

TEST(Events, FailureOfAnUnknownClassIsTheMachines) {
  const ParseResult result = Parse(R"({"type":"failed","class":"sunspots","message":"bit flip"})");
  ASSERT_TRUE(result.event.has_value()) << result.error;
  EXPECT_EQ(std::get<Failed>(*result.event).failure_class, FailureClass::kInfra);
}

TEST(Events, FailureClassesAreWrittenByName) {
  EXPECT_EQ(Encode(Failed{FailureClass::kOutOfMemory, "8 GiB"}),
            R"({"class":"out_of_memory","message":"8 GiB","type":"failed"})");
}

TEST(Events, MalformedLinesAreRefusedWithAReason) {
  EXPECT_EQ(ErrorOf(""), "not valid JSON");
  EXPECT_EQ(ErrorOf("{\"type\":\"finished\",\"step\":3"), "not valid JSON");
  EXPECT_EQ(ErrorOf("[1]"), "not a JSON object");
  EXPECT_EQ(ErrorOf("{}"), "field 'type' is missing");
  EXPECT_EQ(ErrorOf(R"({"type":"party"})"), "unknown type 'party'");
  EXPECT_EQ(ErrorOf(R"({"type":"finished"})"), "finished: field 'step' is missing");
  EXPECT_EQ(ErrorOf(R"({"type":"finished","step":-1})"), "finished: field 'step' must be a non-negative integer");
  EXPECT_EQ(ErrorOf(R"({"type":"finished","step":1.5})"), "finished: field 'step' must be a non-negative integer");
  EXPECT_EQ(ErrorOf(R"({"type":"finished","step":18446744073709551615})"), "finished: field 'step' is too large");
  EXPECT_EQ(ErrorOf(R"({"type":"metrics","step":1,"values":{"a":"high"}})"),
            "metrics: field 'values' must be an object of numbers");
  EXPECT_EQ(ErrorOf(R"({"type":"metrics","step":1,"values":{"a":1e999}})"), "not valid JSON");
}

TEST(Events, LimitsHold) {
  EXPECT_NE(ErrorOf(std::string(kMaxLineBytes + 1, ' ')).find("longer than"), std::string::npos);
  EXPECT_NE(ErrorOf(Encode(Metrics{1, {{std::string(129, 'n'), 1.0}}})).find("too long"), std::string::npos);
  EXPECT_NE(ErrorOf(Encode(Hello{1, 1, std::string(129, 'd'), 0, 0, 0})).find("too long"), std::string::npos);
  Metrics many{1, {}};
  for (int i = 0; i < 4097; ++i) many.values.emplace_back("n" + std::to_string(i), 0.0);
  EXPECT_NE(ErrorOf(Encode(many)).find("too many"), std::string::npos);
  many.values.pop_back();
  EXPECT_EQ(RoundTrip(many).values.size(), 4096u);
}

TEST(Events, StepsAreSmallEnoughToComputeWith) {
  for (const char* line : {R"({"type":"metrics","step":9223372036854775807,"values":{"a":1}})",
                           R"({"type":"progress","step":281474976710657,"tokens":1,"tokens_per_second":1})",
                           R"({"type":"hello","version":1,"pid":1,"device":"cpu","start_step":0,)"
                           R"("max_steps":9223372036854775807,"parameters":1})"}) {
    EXPECT_NE(Parse(line).error.find("is too large"), std::string::npos) << line;
  }
  EXPECT_TRUE(Parse(Encode(Finished{kMaxStep})).event.has_value());
}

TEST(Events, HeatmapMustFillItsShape) {
  EXPECT_NE(ErrorOf(Encode(Heatmap{1, "alpha/1", 2, 2, {1, 2, 3}})).find("layers x heads"), std::string::npos);
  EXPECT_NE(ErrorOf(Encode(Heatmap{1, "alpha/1", 0, 2, {}})).find("no cells"), std::string::npos);
  EXPECT_NE(ErrorOf(R"({"type":"heatmap","step":1,"name":"a","layers":2147483647,"heads":2147483647,"values":[]})")
                .find("too many"),
            std::string::npos);
}

TEST(Events, DeepNestingIsHarmless) {
  const std::string deep(200000, '[');
  EXPECT_EQ(ErrorOf(deep), "not valid JSON");
  EXPECT_TRUE(Parse(R"({"type":"finished","step":1,"x":)" + std::string(100000, '[') + std::string(100000, ']') + "}")
                  .event.has_value());
}

}  // namespace
}  // namespace sink::pipe
