// A program's manual page in roff's `man` macros, made of the texts that its --help prints. Pure; any thread.
#pragma once

#include <string>

#include "proto/args/command_line.h"

namespace sink::args {

// Section 1. Every command of the program has a part of its own, with its options and what ends its help.
std::string ManPage(const Command& program);

// `text` so that roff prints it as it is: also where it begins with a dot, and with dashes that can be copied.
std::string EscapeRoff(const std::string& text);

}  // namespace sink::args
