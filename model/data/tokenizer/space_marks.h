// What tokenizers over characters share: spaces are written as a mark and words are cut at them, and a byte can have a
// token of its own. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sink::data {

inline constexpr char kSpaceMark[] = "\u2581";

// Whether text has a mark after something else than marks. Where no token has, no merge reaches across the beginning of
// a run of marks.
bool HoldsInnerMark(std::string_view text, std::string_view mark);

// Appends the words of text: every mark begins one, or every run of marks. Concatenated they are text.
enum class Cut { kMarks, kRuns };
void CutAtMarks(std::string_view text, std::string_view mark, Cut cut, std::vector<std::string_view>* words);

// The token that stands for a byte, "<0x41>", and back; -1 when text is no such token.
std::string ByteTokenText(int byte);
int ParseByteToken(std::string_view text);

}  // namespace sink::data
