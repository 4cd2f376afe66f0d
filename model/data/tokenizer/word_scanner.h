// Hand-written equals of the two patterns by which nearly every byte-level BPE tokenizer cuts text into words; a
// regex engine does the same several times slower. Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace sink::data {

// GPT-2's way of cutting text into words, which ByteLevel means by use_regex, and LLaMA-3's.
inline constexpr char kGpt2Pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr char kLlama3Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";

// Where the word that begins at begin < text.size() ends; text has passed CheckUtf8. Both patterns match everywhere, so
// words follow one another without gaps.
using WordScanner = size_t (*)(std::string_view text, size_t begin);

// The scanner for exactly this pattern, or null.
WordScanner FindWordScanner(std::string_view pattern);

}  // namespace sink::data
