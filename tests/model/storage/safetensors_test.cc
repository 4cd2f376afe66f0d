// Safetensors: what is written is read back, and every kind of damage is refused by name.
#include "model/storage/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "model/base/model_error.h"
#include "tests/testing/temp_dir.h"

namespace sink {
namespace {

std::string Bytes(const std::string& header, size_t data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i));
  return bytes + header + std::string(data, '\0');
}

std::string ErrorOf(const std::string& bytes) {
  try {
    ParseSafetensors(std::as_bytes(std::span(bytes.data(), bytes.size())), "file");
  } catch (const ModelError& error) {
    return error.what();
  }
  return "";
}

std::string Tensor(const std::string& shape, const std::string& offsets, const std::string& dtype = "F32") {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const testing::TempDir folder;
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> b = {7};
  const std::map<std::string, SafetensorsView> tensors = {
      {"a", {"F32", {2, 3}, std::as_bytes(std::span(a))}},
      {"b", {"I64", {}, std::as_bytes(std::span(b))}},
      {"none", {"F32", {0, 4}, {}}},
  };
  WriteSafetensors(folder / "x.safetensors", tensors);
  WriteSafetensors(folder / "y.safetensors", tensors);
  const SafetensorsFile file(folder / "x.safetensors");
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.Get("a").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(file.Get("a").data.data(), a.data(), 24), 0);
  EXPECT_EQ(file.Get("b").dtype, "I64");
  EXPECT_THROW(file.Get("c"), ModelError);
  std::ifstream x(folder / "x.safetensors"), y(folder / "y.safetensors");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(x), {}), std::string(std::istreambuf_iterator<char>(y), {}));
}

TEST(Safetensors, AcceptsMetadataAndRefusesDamage) {
  EXPECT_EQ(ErrorOf(Bytes("{\"__metadata__\":{\"a\":\"b\"},\"x\":" + Tensor("[2]", "[0,8]") + "}", 8)), "");
  struct Case {
    std::string bytes, error;
  };
  const std::string x = "{\"x\":", nine = "9223372036854775807", too_long("\x01\x00\x00\x01\x00\x00\x00\x00", 8);
  const Case cases[] = {
      {"1234567", "too short"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8), "over 16 MiB"},
      {too_long + std::string(64, ' '), "over 16 MiB"},
      {std::string("\x40\0\0\0\0\0\0\0{}", 10), "ends inside its header"},
      {Bytes("", 0), "not a JSON object"},
      {Bytes("[]", 0), "not a JSON object"},
      {Bytes("{\"x\":\"\xff\"}", 0), "not a JSON object"},
      {Bytes("{\"x\":1}", 0), "needs dtype, shape"},
      {Bytes("{\"x\":{\"dtype\":[[[[]]]]}}", 0), "nested deeper"},
      {Bytes("{\"x\":" + Tensor("[1]", "[0,4]") + ",\"x\":" + Tensor("[1]", "[0,4]") + "}", 4), "occurs twice"},
      {Bytes(x + Tensor("[1]", "[0,4]", "F99") + "}", 4), "unknown type"},
      {Bytes(x + Tensor("[-1]", "[0,4]") + "}", 4), "impossible shape"},
      {Bytes(x + Tensor("[" + nine + "," + nine + "]", "[0,4]") + "}", 4), "impossible shape"},
      {Bytes(x + Tensor("[1]", "[4,0]") + "}", 4), "outside the file"},
      {Bytes(x + Tensor("[2]", "[0,8]") + "}", 4), "outside the file"},
      {Bytes(x + Tensor("[2]", "[0,4]") + "}", 4), "do not match"},
      {Bytes(x + Tensor("[1]", "[4,8]") + "}", 8), "overlap or leave a hole"},
      {Bytes("{\"x\":" + Tensor("[1]", "[0,4]") + ",\"y\":" + Tensor("[1]", "[0,4]") + "}", 4), "overlap"},
      {Bytes(x + Tensor("[1]", "[0,4]") + "}", 5), "after the last tensor"},
  };
  for (const Case& c : cases) {
    const std::string error = ErrorOf(c.bytes);
    EXPECT_NE(error.find(c.error), std::string::npos) << "expected \"" << c.error << "\", got \"" << error << "\"";
    EXPECT_EQ(error.rfind("file: ", 0), 0u) << error;
  }
}

TEST(Safetensors, NamesTheFileThatCannotBeOpenedOrWritten) {
  const testing::TempDir folder;
  try {
    SafetensorsFile file(folder / "absent.safetensors");
    FAIL();
  } catch (const ModelError& error) {
    EXPECT_NE(std::string(error.what()).find("absent.safetensors: cannot open"), std::string::npos) << error.what();
  }
  std::ofstream(folder / "empty.safetensors").flush();
  EXPECT_THROW(SafetensorsFile(folder / "empty.safetensors"), ModelError);
  EXPECT_THROW(SafetensorsFile(folder.path()), ModelError);
  const std::vector<float> a(1 << 16);
  EXPECT_THROW(WriteSafetensors("/dev/full", {{"a", {"F32", {1 << 16}, std::as_bytes(std::span(a))}}}), ModelError);
}

}  // namespace
}  // namespace sink
