#include "proto/args/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <utility>

#include "proto/args/man_page.h"

namespace sink::args {
namespace {

// CLI11's help without its type system: "--tail N" instead of "--tail INT:INT in [1 - 1000000]".
class PlainFormatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_positional() || option->get_type_size() == 0 ? "" : " " + option->get_option_text();
  }
};

// CLI11's own checks of these name the largest double, in 309 digits, as the other bound.
std::string CheckNumber(const std::string& text, bool may_be_zero) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const bool is_number = !text.empty() && *end == '\0' && std::isfinite(number);
  if (is_number && (number > 0 || (may_be_zero && number == 0))) return "";
  return text + (may_be_zero ? " is not a number from 0 up" : " is not a number above 0");
}

CLI::App* Chosen(CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

}  // namespace

Option Option::Required() {
  option_->required();
  return *this;
}

Option Option::ShowDefault() {
  option_->capture_default_str();
  return *this;
}

Option Option::ValueText(const std::string& text) {
  option_->option_text(text);
  return *this;
}

Option Option::OneValueEach() {
  option_->allow_extra_args(false);
  return *this;
}

Option Option::CutAt(char delimiter) {
  option_->delimiter(delimiter);
  return *this;
}

Option Option::OrEnvironment(const std::string& variable) {
  option_->envname(variable);
  return *this;
}

Option Option::Needs(Option other) {
  option_->needs(other.option_);
  return *this;
}

Option Option::Excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}

Option Option::Within(int64_t least, int64_t most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Option Option::Fraction() {
  option_->check(CLI::Range(0.0, 1.0));
  return *this;
}

Option Option::Positive() {
  option_->check([](const std::string& text) { return CheckNumber(text, /*may_be_zero=*/false); }, "POSITIVE");
  return *this;
}

Option Option::NotNegative() {
  option_->check([](const std::string& text) { return CheckNumber(text, /*may_be_zero=*/true); }, "NONNEGATIVE");
  return *this;
}

Option Option::OneOf(const std::vector<std::string>& names) {
  option_->check(CLI::IsMember(names));
  return *this;
}

Option Option::OneOf(const std::vector<std::string>& names, const std::vector<std::string>& or_these) {
  option_->check(CLI::IsMember(names) | CLI::IsMember(or_these));
  return *this;
}

Option Option::Check(std::function<std::string(const std::string&)> check) {
  option_->check(std::move(check));
  return *this;
}

std::string Option::name() const { return option_->get_name(); }
std::string Option::description() const { return option_->get_description(); }
std::string Option::value_text() const { return option_->get_option_text(); }
std::vector<std::string> Option::long_names() const { return option_->get_lnames(); }
bool Option::takes_value() const { return option_->get_items_expected_min() > 0; }
bool Option::positional() const { return option_->get_positional(); }
bool Option::required() const { return option_->get_required(); }
std::string Option::default_text() const { return option_->get_default_str(); }
std::string Option::environment() const { return option_->get_envname(); }

std::vector<std::string> Option::names() const {
  if (positional()) return {option_->get_name()};
  std::vector<std::string> out;
  for (const std::string& letter : option_->get_snames()) out.push_back("-" + letter);
  for (const std::string& word : option_->get_lnames()) out.push_back("--" + word);
  return out;
}

std::string Option::value_name() const {
  return option_->get_option_text().empty() ? option_->get_type_name() : option_->get_option_text();
}

bool Option::Is(const std::string& name) const { return option_->check_name(name); }

Option Command::AddOption(const std::string& name, std::string& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::AddOption(const std::string& name, std::filesystem::path& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::AddOption(const std::string& name, int& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::AddOption(const std::string& name, int64_t& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::AddOption(const std::string& name, uint64_t& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::AddOption(const std::string& name, double& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::AddOption(const std::string& name, std::optional<int64_t>& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

Option Command::AddOption(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  return Option(app_->add_option(name, values, help));
}

Option Command::AddOption(const std::string& name, std::vector<double>& values, const std::string& help) {
  return Option(app_->add_option(name, values, help));
}

Option Command::AddNamed(const std::string& name, std::function<void(int)> set,
                         const std::map<std::string, int>& numbers, const std::string& help) {
  CLI::Option* option = app_->add_option_function<int>(
      name, [set = std::move(set)](const int& number) { set(number); }, help);
  option->type_name("ENUM")->transform(CLI::CheckedTransformer(numbers, CLI::ignore_case));
  return Option(option);
}

Option Command::AddFlag(const std::string& name, bool& value, const std::string& help) {
  return Option(app_->add_flag(name, value, help));
}

Command Command::AddCommand(const std::string& name, const std::string& description) {
  return Command(app_->add_subcommand(name, description));
}

void Command::RequireCommand() { app_->require_subcommand(1); }
void Command::AllowOneCommand() { app_->require_subcommand(0, 1); }
void Command::TakeOptionsOfParent() { app_->fallthrough(); }
void Command::SetFooter(const std::string& footer) { app_->footer(footer); }

void Command::CheckTogether(std::function<std::string()> check) {
  app_->parse_complete_callback([check = std::move(check)] {
    if (const std::string mistake = check(); !mistake.empty()) throw CLI::ValidationError(mistake);
  });
}

void Command::OnParsed(std::function<void()> run) { app_->final_callback(std::move(run)); }

const std::string& Command::name() const { return app_->get_name(); }
std::string Command::description() const { return app_->get_description(); }
std::string Command::footer() const { return app_->get_footer(); }

std::optional<Command> Command::parent() const {
  CLI::App* parent = app_->get_parent();
  return parent == nullptr ? std::nullopt : std::optional(Command(parent));
}

std::vector<Command> Command::commands() const {
  std::vector<Command> out;
  for (CLI::App* sub : app_->get_subcommands(std::function<bool(CLI::App*)>())) out.emplace_back(sub);
  return out;
}

std::optional<Command> Command::FindCommand(const std::string& name) const {
  for (const Command& command : commands())
    if (command.name() == name) return command;
  return std::nullopt;
}

std::vector<Option> Command::options() const {
  std::vector<Option> out;
  for (CLI::Option* option : app_->get_options(std::function<bool(CLI::Option*)>())) out.emplace_back(option);
  return out;
}

std::optional<Option> Command::FindOption(const std::string& name) const {
  CLI::Option* option = app_->get_option_no_throw(name);
  return option == nullptr ? std::nullopt : std::optional(Option(option));
}

bool Command::needs_command() const {
  return app_->get_require_subcommand_min() > 0 && app_->get_subcommands().empty();
}

std::string Command::path() const {
  const std::optional<Command> group = parent();
  return group ? group->path() + " " + name() : name();
}

std::string Command::Help() const {
  const std::optional<Command> group = parent();
  return app_->help(group ? group->path() : "", CLI::AppFormatMode::Normal);
}

CommandLine::CommandLine(const std::string& description, const std::string& program)
    : app_(std::make_unique<CLI::App>(description, program)) {}

CommandLine::~CommandLine() = default;

void CommandLine::SetVersion(const std::string& version) { app_->set_version_flag("--version", version); }
void CommandLine::SetHelpText(const std::string& help) { app_->set_help_flag("-h,--help", help); }
void CommandLine::HideTypes() { app_->formatter(std::make_shared<PlainFormatter>()); }

std::optional<int> CommandLine::Parse(int argc, char** argv, int usage) {
  if (argc == 2 && argv[1] == std::string_view("--man")) {
    std::cout << ManPage(root()) << std::flush;
    return std::cout ? 0 : usage;
  }
  try {
    app_->parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app_->exit(error) == 0 ? 0 : usage;
  }
}

Parsed CommandLine::Parse(std::vector<std::string> words) {
  Parsed parsed{.command = root()};
  try {
    std::reverse(words.begin(), words.end());
    app_->parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    parsed.kind = Parsed::Kind::kHelp;
  } catch (const CLI::ParseError& error) {
    parsed.kind = Parsed::Kind::kMistake;
    parsed.mistake = error.what();
    parsed.unexpected = app_->remaining(/*recurse=*/true);
  }
  parsed.command = Command(Chosen(app_.get()));
  return parsed;
}

}  // namespace sink::args
