// GGUF: blocks of every type that is read against the format's own library, and headers that are not what they say.
#include "model/storage/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/base/model_error.h"
#include "model/storage/gguf_blocks.h"

namespace sink {
namespace {

using ::testing::HasSubstr;

std::filesystem::path Golden() { return std::filesystem::path(std::getenv("SINK_SOURCE_DIR")) / "tests/golden/gguf"; }

std::vector<std::byte> FromHex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

TEST(GgufBlocks, HaveTheValuesThatTheFormatsLibraryGives) {
  std::ifstream in(Golden() / "blocks.json");
  const nlohmann::json blocks = nlohmann::json::parse(in);
  for (const auto& [name, golden] : blocks.items()) {
    const GgufType* type = FindGgufType(std::string_view(name));
    ASSERT_TRUE(type != nullptr && type->read != nullptr) << name;
    const std::vector<std::byte> bytes = FromHex(golden["bytes"]);
    const std::vector<float> expected = golden["values"];
    ASSERT_EQ(bytes.size() / type->bytes * static_cast<size_t>(type->values), expected.size()) << name;
    std::vector<float> values(expected.size());
    ReadGgufValues(*type, bytes.data(), static_cast<int64_t>(values.size()), values.data());
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(values[i], expected[i], 1e-6 * (1 + std::abs(expected[i]))) << name << " " << i;
  }
}

// A file built by hand.
struct Builder {
  std::string bytes;

  template <typename T>
  Builder& Put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  Builder& Text(const std::string& text) {
    Put<uint64_t>(text.size());
    bytes += text;
    return *this;
  }
  Builder& Head(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    bytes += "GGUF";
    return Put(version).Put(tensors).Put(keys);
  }
  Builder& Tensor(const std::string& name, std::vector<uint64_t> sizes, uint32_t type, uint64_t offset) {
    Text(name).Put(static_cast<uint32_t>(sizes.size()));
    for (const uint64_t size : sizes) Put(size);
    return Put(type).Put(offset);
  }
  Builder& Data(size_t count) {
    bytes.resize((bytes.size() + 31) / 32 * 32);
    bytes.append(count, '\1');
    return *this;
  }
  std::string Error() const {
    try {
      ParseGguf(std::as_bytes(std::span(bytes)), "f.gguf");
    } catch (const ModelError& error) {
      return error.what();
    }
    return "";
  }
};

constexpr uint32_t kF32 = 0, kQ8_0 = 8, kText = 8, kList = 9, kU32 = 4;

TEST(Gguf, ReadsWhatIsWellFormed) {
  Builder file;
  file.Head(2, 3).Text("a").Put(kText).Text("b").Text("n").Put(kU32).Put<uint32_t>(7);
  file.Text("l").Put(kList).Put(kText).Put<uint64_t>(2).Text("x").Text("y");
  file.Tensor("w", {32, 3}, kQ8_0, 0).Tensor("v", {2}, kF32, 128).Data(136);
  const GgufContent content = ParseGguf(std::as_bytes(std::span(file.bytes)), "f.gguf");
  EXPECT_EQ(*content.Text("a"), "b");
  EXPECT_EQ(content.Integer("n"), 7);
  EXPECT_EQ(content.Number("n"), 7);
  EXPECT_EQ(content.Integer("a"), std::nullopt);
  EXPECT_EQ(*content.Texts("l"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(content.tensors.at("w").shape, (std::vector<int64_t>{3, 32}));
  EXPECT_EQ(content.tensors.at("w").dtype, "Q8_0");
  EXPECT_EQ(content.tensors.at("v").data.size(), 8u);
}

TEST(Gguf, RefusesHostileHeaders) {
  EXPECT_THAT(Builder{}.Error(), HasSubstr("f.gguf: not a GGUF file"));
  EXPECT_THAT(Builder{"GGUM0000"}.Error(), HasSubstr("not a GGUF file"));
  EXPECT_THAT(Builder{}.Head(0, 0, 1).Error(), HasSubstr("versions 2 and 3"));
  EXPECT_THAT(Builder{}.Head(0, 0, 3 << 24).Error(), HasSubstr("little-endian"));
  EXPECT_THAT(Builder{"GGUF"}.Put<uint32_t>(3).Error(), HasSubstr("ends inside its header"));
  EXPECT_THAT(Builder{}.Head(1 << 20, 0).Error(), HasSubstr("over 100,000 tensors"));
  EXPECT_THAT(Builder{}.Head(0, 1 << 20).Error(), HasSubstr("over 10,000 metadata keys"));
  EXPECT_THAT(Builder{}.Head(0, 1).Put<uint64_t>(-1).Error(), HasSubstr("ends inside its header"));
  EXPECT_THAT(Builder{}.Head(0, 1).Text("").Error(), HasSubstr("a name of no or over 256 bytes"));
  EXPECT_THAT(Builder{}.Head(0, 1).Text("k").Put<uint32_t>(13).Error(), HasSubstr("unknown type 13"));
  EXPECT_THAT(Builder{}.Head(0, 1).Text("k").Put(kList).Put(kList).Put<uint64_t>(1).Error(),
              HasSubstr("a list of lists"));
  EXPECT_THAT(Builder{}.Head(0, 1).Text("k").Put(kList).Put(kU32).Put<uint64_t>(1ULL << 60).Error(),
              HasSubstr("a list of over"));
  EXPECT_THAT(Builder{}.Head(0, 2).Text("k").Put(kU32).Put<uint32_t>(1).Text("k").Put(kU32).Put<uint32_t>(1).Error(),
              HasSubstr("\"k\" occurs twice"));
  EXPECT_THAT(Builder{}.Head(0, 1).Text("general.alignment").Put(kU32).Put<uint32_t>(3).Error(),
              HasSubstr("an impossible alignment"));
  const auto tensor = [](std::vector<uint64_t> sizes, uint32_t type, uint64_t offset, size_t data) {
    return Builder{}.Head(1, 0).Tensor("w", std::move(sizes), type, offset).Data(data).Error();
  };
  EXPECT_EQ(tensor({8}, kF32, 0, 32), "");
  EXPECT_THAT(tensor({}, kF32, 0, 4), HasSubstr("an impossible shape"));
  EXPECT_THAT(tensor({1, 1, 1, 1, 1}, kF32, 0, 4), HasSubstr("an impossible shape"));
  EXPECT_THAT(tensor({0}, kF32, 0, 4), HasSubstr("an impossible shape"));
  EXPECT_THAT(tensor({1ULL << 40, 1ULL << 40}, kF32, 0, 4), HasSubstr("an impossible shape"));
  EXPECT_THAT(tensor({31}, kQ8_0, 0, 34), HasSubstr("no whole blocks of Q8_0"));
  EXPECT_THAT(tensor({8}, 99, 0, 32), HasSubstr("unknown type 99"));
  EXPECT_THAT(tensor({8}, kF32, 0, 31), HasSubstr("lies outside the file"));
  EXPECT_THAT(tensor({8}, kF32, 1ULL << 63, 32), HasSubstr("lies outside the file"));
  EXPECT_THAT(tensor({8}, kF32, 1, 64), HasSubstr("overlaps another or is not aligned"));
  EXPECT_THAT(Builder{}.Head(2, 0).Tensor("a", {8}, kF32, 0).Tensor("b", {8}, kF32, 0).Data(64).Error(),
              HasSubstr("overlaps another"));
  EXPECT_THAT(Builder{}.Head(2, 0).Tensor("a", {8}, kF32, 0).Tensor("a", {8}, kF32, 32).Data(64).Error(),
              HasSubstr("\"a\" occurs twice"));
}

TEST(Gguf, IsReadFromAFileAndRefusedWhereThatIsCut) {
  const GgufFile file(Golden() / "tiny.gguf");
  EXPECT_EQ(*file.content().Text("general.architecture"), "llama");
  std::ifstream in(Golden() / "tiny.gguf", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  for (size_t size = 0; size < bytes.size(); size += 97) EXPECT_NE(Builder{bytes.substr(0, size)}.Error(), "") << size;
}

}  // namespace
}  // namespace sink
