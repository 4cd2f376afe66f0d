// Paths within the commands that messages tell people to type. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace sink::files {

// `text` as a POSIX shell reads it back as one word: as it is where nothing in it means anything to a shell, else
// within single quotes.
std::string ShellWord(std::string_view text);

}  // namespace sink::files
