// Small helpers of this folder's tests: whole files in and out, and the message of a DataError. Any thread.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "model/base/data_error.h"

namespace sink::data {

inline void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string ReadText(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

// What body throws as a DataError; empty when it does not.
template <typename Body>
std::string ErrorOf(Body body) {
  try {
    body();
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

}  // namespace sink::data
