#include "proto/args/man_page.h"

#include <cctype>
#include <optional>
#include <sstream>
#include <vector>

namespace sink::args {
namespace {

constexpr char kParagraph[] = ".PP\n";

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string Bold(const std::string& text) { return "\\fB" + EscapeRoff(text) + "\\fR"; }
std::string Italic(const std::string& text) { return "\\fI" + EscapeRoff(text) + "\\fR"; }

// Filled text; an empty line begins a paragraph.
std::string Filled(const std::string& text) {
  std::string out;
  for (const std::string& line : Lines(text)) out += line.empty() ? kParagraph : EscapeRoff(line) + "\n";
  return out;
}

// Text whose lines and indentation stay: examples, tables of exit codes.
std::string AsItIs(const std::string& text) {
  std::string out = ".PP\n.nf\n";
  for (const std::string& line : Lines(text)) out += (line.empty() ? "\\&" : EscapeRoff(line)) + "\n";
  return out + ".fi\n";
}

// What a program does, in the words that `whatis` finds: the first line of its description.
std::string Summary(const Command& program) {
  const std::vector<std::string> lines = Lines(program.description());
  std::string first = lines.empty() ? "" : lines.front();
  if (const std::string prefix = program.name() + ": "; first.starts_with(prefix)) first.erase(0, prefix.size());
  if (first.ends_with(".")) first.pop_back();
  return first;
}

std::string Synopsis(const Command& command) {
  std::string out = Bold(command.path());
  if (!command.options().empty()) out += " [" + Italic("option") + "...]";
  for (const Option& option : command.options()) {
    if (!option.positional()) continue;
    const std::string name = Italic(option.name());
    out += option.required() ? " " + name : " [" + name + "]";
  }
  if (!command.commands().empty()) out += " " + Italic("command") + " ...";
  return out + "\n";
}

std::string Entry(const Option& option) {
  std::string names;
  for (const std::string& name : option.names()) {
    if (!names.empty()) names += ", ";
    names += option.positional() ? Italic(name) : Bold(name);
  }
  if (!option.positional() && option.takes_value()) names += " " + Italic(option.value_name());
  std::string text = option.description();
  const auto note = [&text](const std::string& more) { text += (text.empty() ? "" : "; ") + more; };
  if (option.required()) note("required");
  if (!option.default_text().empty()) note("default: " + option.default_text());
  if (!option.environment().empty()) note("else $" + option.environment());
  return ".TP\n" + names + "\n" + (text.empty() ? "\\&\n" : Filled(text));
}

// Positional arguments first. That every command has --help is told once, of the program.
std::string Entries(const Command& command) {
  std::string out;
  for (const bool positional : {true, false})
    for (const Option& option : command.options())
      if (option.positional() == positional && (!command.parent() || !option.Is("--help"))) out += Entry(option);
  return out;
}

// Of `command` and the commands in it. A footer that the program has as well is told once, at the end.
void AddCommand(const Command& command, const std::string& footer, std::string* out) {
  *out += ".SS " + EscapeRoff(command.path()) + "\n" + Synopsis(command) + kParagraph + Filled(command.description());
  *out += Entries(command);
  if (!command.footer().empty() && command.footer() != footer) *out += AsItIs(command.footer());
  for (const Command& inner : command.commands()) AddCommand(inner, footer, out);
}

}  // namespace

std::string EscapeRoff(const std::string& text) {
  std::string out;
  if (!text.empty() && (text[0] == '.' || text[0] == '\'')) out = "\\&";
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '\'':
        out += "\\(aq";
        break;
      case '`':
        out += "\\(ga";
        break;
      case '^':
        out += "\\(ha";
        break;
      case '~':
        out += "\\(ti";
        break;
      case '"':
        out += "\\(dq";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string ManPage(const Command& program) {
  std::string title = program.name();
  for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string out = ".TH " + EscapeRoff(title) + " 1 \"\" \"Sink " SINK_VERSION "\" \"Sink\"\n";
  out += ".ad l\n";  // lists of words have nowhere to be stretched
  out += ".SH NAME\n" + EscapeRoff(program.name()) + " \\- " + EscapeRoff(Summary(program)) + "\n";
  out += ".SH SYNOPSIS\n" + Synopsis(program);
  out += ".SH DESCRIPTION\n" + Filled(program.description());
  out += ".SH OPTIONS\n" + Entries(program);
  if (!program.commands().empty()) {
    out += ".SH COMMANDS\n";
    for (const Command& command : program.commands()) AddCommand(command, program.footer(), &out);
  }
  if (!program.footer().empty()) out += ".SH NOTES\n" + AsItIs(program.footer());
  return out;
}

}  // namespace sink::args
