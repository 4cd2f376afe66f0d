// The command lines of all programs: options and commands are declared through these handles, and command_line.cc alone
// includes CLI11, whose header takes longer to compile than most of our files. Used by the main thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace sink::args {

// An option ("--out"), a flag ("--json") or a positional argument ("SWEEP"): a handle, valid while its CommandLine
// lives. What shapes it returns it, to be chained.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option Required();
  // The help names the value's default: what the variable holds now.
  Option ShowDefault();
  // What the help calls the value, e.g. "HOST:PORT".
  Option ValueText(const std::string& text);
  // Of a list: one value each time the option is written, so that positional arguments may follow it.
  Option OneValueEach();
  // Of a list: a value is cut at this character.
  Option CutAt(char delimiter);
  // Taken from this environment variable where the command line has none.
  Option OrEnvironment(const std::string& variable);
  Option Needs(Option other);
  Option Excludes(Option other);

  // What a value may be; the program is not run with another.
  Option Within(int64_t least, int64_t most);
  Option Fraction();  // from 0 to 1
  Option Positive();
  Option NotNegative();
  Option OneOf(const std::vector<std::string>& names);
  Option OneOf(const std::vector<std::string>& names, const std::vector<std::string>& or_these);
  // `check` returns what is wrong with a value, or nothing.
  Option Check(std::function<std::string(const std::string&)> check);

  // For completion in a shell, and manual pages.
  std::string name() const;                     // "--out"
  std::vector<std::string> names() const;       // "-f", "--follow"; of a positional argument its one name
  std::string description() const;              // its line of the help
  std::string value_text() const;               // as ValueText
  std::string value_name() const;               // the same, else its type, with what it may be
  std::string default_text() const;             // as ShowDefault; empty: the help names none
  std::string environment() const;              // as OrEnvironment
  std::vector<std::string> long_names() const;  // without dashes; empty for a positional argument
  bool takes_value() const;
  bool positional() const;
  bool required() const;
  bool Is(const std::string& name) const;  // does this name it, e.g. "-f" or "--follow"?

 private:
  CLI::Option* option_;
};

// A program or one of its commands: a handle, as Option. The variables that its options fill outlive the parse; an
// option that is not given leaves its variable alone. A name is "--long", "-s,--long" or, for a positional argument,
// "NAME".
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  Option AddOption(const std::string& name, std::string& value, const std::string& help);
  Option AddOption(const std::string& name, std::filesystem::path& value, const std::string& help);
  Option AddOption(const std::string& name, int& value, const std::string& help);
  Option AddOption(const std::string& name, int64_t& value, const std::string& help);
  Option AddOption(const std::string& name, uint64_t& value, const std::string& help);
  Option AddOption(const std::string& name, double& value, const std::string& help);
  Option AddOption(const std::string& name, std::optional<int64_t>& value, const std::string& help);
  Option AddOption(const std::string& name, std::vector<std::string>& values, const std::string& help);
  Option AddOption(const std::string& name, std::vector<double>& values, const std::string& help);
  // A name of `names`, in any case, or its number.
  template <typename Enum>
  Option AddOption(const std::string& name, Enum& value, const std::map<std::string, Enum>& names,
                   const std::string& help) {
    std::map<std::string, int> numbers;
    for (const auto& [word, number] : names) numbers[word] = static_cast<int>(number);
    return AddNamed(
        name, [&value](int number) { value = static_cast<Enum>(number); }, numbers, help);
  }
  // "!--no-loss" clears the variable instead of setting it.
  Option AddFlag(const std::string& name, bool& value, const std::string& help);

  Command AddCommand(const std::string& name, const std::string& description);
  // One of its commands must be, or may be, named.
  void RequireCommand();
  void AllowOneCommand();
  // Options of the program may follow its own.
  void TakeOptionsOfParent();
  // The end of the help, and of the help of commands that are added later.
  void SetFooter(const std::string& footer);
  // Called at the end of a parse without mistakes, before OnParsed: returns what is wrong with the options together, or
  // nothing.
  void CheckTogether(std::function<std::string()> check);
  // Called at the end of a parse that named this command; what it throws passes through Parse.
  void OnParsed(std::function<void()> run);

  const std::string& name() const;
  std::string description() const;
  std::string footer() const;
  std::optional<Command> parent() const;
  std::vector<Command> commands() const;
  std::optional<Command> FindCommand(const std::string& name) const;
  std::vector<Option> options() const;
  std::optional<Option> FindOption(const std::string& name) const;  // by any of its names, e.g. "-f"
  bool needs_command() const;                                       // RequireCommand, and none was named
  std::string path() const;                                         // as one types it: "sinkctl checkpoint get"
  std::string Help() const;

  friend bool operator==(const Command&, const Command&) = default;

 private:
  Option AddNamed(const std::string& name, std::function<void(int)> set, const std::map<std::string, int>& numbers,
                  const std::string& help);

  CLI::App* app_;
};

// How a command line was understood.
struct Parsed {
  enum class Kind { kRun, kHelp, kMistake };
  Kind kind = Kind::kRun;
  Command command;                      // the innermost that was named
  std::string mistake;                  // of kMistake: one sentence
  std::vector<std::string> unexpected;  // of kMistake: words that nothing takes
};

class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& program);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Command root() const { return Command(app_.get()); }
  // "--version" prints this and ends.
  void SetVersion(const std::string& version);
  // Instead of "Print this help message and exit"; before commands are added, as the next.
  void SetHelpText(const std::string& help);
  // The help names values by ValueText only, without their types and bounds.
  void HideTypes();

  // For a program that leaves help and mistakes to this: prints them and returns the exit status, `usage` for a
  // mistake. Nothing: go on. The one word "--man", which the help does not name, prints the manual page (man_page.h).
  std::optional<int> Parse(int argc, char** argv, int usage);
  // For one that prints them itself. `words` are without the program's name.
  Parsed Parse(std::vector<std::string> words);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace sink::args
