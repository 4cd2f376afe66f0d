// What is read from a request and told in every answer.
#include "coordinator/web/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/web/json_text.h"
#include "coordinator/web/tar.h"

namespace sink::web {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(HttpTest, AQueryIsDecodedAndWhatIsMalformedStaysAsItIs) {
  EXPECT_THAT(ParseQuery("topic=curves/a%2fb&topic=x+y&flag&=z&bad=%zz%4"),
              ElementsAre(Pair("topic", "curves/a/b"), Pair("topic", "x y"), Pair("flag", ""), Pair("", "z"),
                          Pair("bad", "%zz%4")));
  EXPECT_THAT(ParseQuery(""), ElementsAre());
}

TEST(HttpTest, OnlyNamesOfThisMachineAreItsOwn) {
  for (const char* host : {"127.0.0.1", "127.0.0.1:7072", "127.1.2.3:1", "localhost:8080", "[::1]:7072", "[::1]"})
    EXPECT_TRUE(IsLoopbackHost(host)) << host;
  for (const char* host : {"", "evil.example", "127.0.0.1.evil.example:7072", "localhost.evil.example", "[::1].x",
                           "10.0.0.1", "127.1", "[", "127.0.0.1:x", "127.0.0.1:1;", "localhost:123456", "[::1]:7072:1"})
    EXPECT_FALSE(IsLoopbackHost(host)) << host;
}

TEST(HttpTest, EachPortHasACookieOfItsOwn) {
  EXPECT_EQ(CookieName("127.0.0.1:7072"), "sink_page_7072");
  EXPECT_EQ(CookieName("[::1]:7073"), "sink_page_7073");
  EXPECT_EQ(CookieName("localhost"), "sink_page_");
}

TEST(HttpTest, ACookieIsFoundByItsWholeName) {
  EXPECT_EQ(CookieValue("a=1; sink_page=secret; b=2", "sink_page"), "secret");
  EXPECT_EQ(CookieValue("xsink_page=1; sink_pages=2", "sink_page"), "");
  EXPECT_EQ(CookieValue("", "sink_page"), "");
}

TEST(HttpTest, EveryAnswerForbidsWhatComesFromElsewhere) {
  const std::string head = HeadOf({.status = 404, .headers = {{"Allow", "GET"}}}, 12);
  EXPECT_THAT(head, HasSubstr("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Security-Policy: default-src 'self';"));
  EXPECT_THAT(head, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(head, HasSubstr("Allow: GET\r\nContent-Length: 12\r\n\r\n"));
}

TEST(JsonTextTest, TextIsQuotedOnOneLineAndNumbersThatJsonLacksAreNull) {
  EXPECT_EQ(Quoted("a\"b\\c\n\x01\xff"), R"("a\"b\\c\u000a\u0001?")");
  std::string text;
  AppendNumber(NAN, &text);
  AppendNumber(0.25, &text);
  EXPECT_EQ(text, "null0.25");
}

TEST(TarTest, AHeaderIsABlockWithTheSumOfItsBytes) {
  const std::string block = TarHeader("model.safetensors", 600, 1'700'000'000);
  ASSERT_EQ(block.size(), kTarBlock);
  EXPECT_EQ(block.substr(0, 18), std::string("model.safetensors\0", 18));
  EXPECT_EQ(block.substr(124, 12), std::string("00000001130\0", 12));
  EXPECT_EQ(block.substr(257, 8), std::string("ustar\00000", 8));
  uint64_t sum = 0;
  for (size_t i = 0; i < block.size(); ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  EXPECT_EQ(std::stoull(block.substr(148, 6), nullptr, 8), sum);
  EXPECT_EQ(TarHeader("x", uint64_t{1} << 33, 0)[124], '\x80');
  EXPECT_EQ(TarPadding(600), 424u);
  EXPECT_EQ(TarPadding(1024), 0u);
}

}  // namespace
}  // namespace sink::web
