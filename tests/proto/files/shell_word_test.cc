// What a shell makes of it is asked of a shell.
#include "proto/files/shell_word.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

namespace sink::files {
namespace {

// What a shell hands to a program for `word`.
std::string ReadBack(const std::string& word) {
  FILE* const shell = popen(("printf '%s|' " + word).c_str(), "r");
  if (shell == nullptr) return "no shell";
  std::array<char, 256> buffer;
  const size_t size = fread(buffer.data(), 1, buffer.size(), shell);
  pclose(shell);
  return std::string(buffer.data(), size);
}

TEST(ShellWordTest, AShellReadsEachBackAsOneWord) {
  for (const std::string text :
       {"/var/lib/sink", "", "/mnt/my disk/sink", "it's", "'", "a\"b", "$HOME `id` $(id)", "a;b&c|d", "~/sink", "*.bin",
        "line\nline", "back\\slash", "#1", "{a,b}", "!x", "über"}) {
    EXPECT_EQ(ReadBack(ShellWord(text)), text + "|") << ShellWord(text);
  }
}

TEST(ShellWordTest, WhatMeansNothingToAShellStaysAsItIs) {
  EXPECT_EQ(ShellWord("/var/lib/sink-1/tls.d/a_b"), "/var/lib/sink-1/tls.d/a_b");
  EXPECT_EQ(ShellWord("10.0.0.1:7070"), "10.0.0.1:7070");
}

}  // namespace
}  // namespace sink::files
