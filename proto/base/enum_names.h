// Closed sets of names. A set is an enumeration and one table of what its values are called in files, in messages and
// on the wire; text is parsed once, where it enters, and everything behind that switches over the enumeration. Neutral:
// standard library only, linked by both families. Constants and pure functions; any thread.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sink {

template <typename Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};

// The table of an enumeration, in its order. Specialised beside it:
//   template <>
//   struct EnumNames<Color> {
//     static constexpr EnumName<Color> kTable[] = {{Color::kRed, "red"}, {Color::kBlue, "blue"}};
//   };
template <typename Enum>
struct EnumNames;

template <typename Enum>
concept NamedEnum = requires {
  EnumNames<Enum>::kTable;
};

// Values ascend, and each has a name of its own.
template <NamedEnum Enum>
consteval bool IsTableSound() {
  const auto& table = EnumNames<Enum>::kTable;
  for (size_t i = 0; i < std::size(table); ++i) {
    if (table[i].name.empty() || (i > 0 && table[i].value <= table[i - 1].value)) return false;
    for (size_t k = 0; k < i; ++k)
      if (table[k].name == table[i].name) return false;
  }
  return true;
}

// Empty for a number that is no value of the enumeration.
template <NamedEnum Enum>
constexpr std::string_view NameOf(Enum value) {
  static_assert(IsTableSound<Enum>());
  for (const EnumName<Enum>& entry : EnumNames<Enum>::kTable)
    if (entry.value == value) return entry.name;
  return {};
}

template <NamedEnum Enum>
constexpr std::optional<Enum> ParseName(std::string_view name) {
  static_assert(IsTableSound<Enum>());
  for (const EnumName<Enum>& entry : EnumNames<Enum>::kTable)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

// Every name, in the order of the enumeration: what a message says may be written.
template <NamedEnum Enum>
std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  for (const EnumName<Enum>& entry : EnumNames<Enum>::kTable) names.emplace_back(entry.name);
  return names;
}

}  // namespace sink
