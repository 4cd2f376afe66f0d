// Lays out a table for a terminal: as wide as its contents where there is room; where there is not, flexible columns
// shrink first, then the least important ones are left out. Pure; any thread may call it.
#pragma once

#include <string>
#include <vector>

namespace sink::cli {

enum class Style { kPlain, kBold, kDim, kGreen, kYellow, kRed, kBlue };

struct Cell {
  std::string text;
  Style style = Style::kPlain;
};

enum class Align { kLeft, kRight };

struct TableColumn {
  std::string title;
  Align align = Align::kLeft;
  int min_width = 0;  // may shrink down to this many columns; 0: never shrinks
  int drop = 0;       // left out when space is short, the largest number first; 0: never
};

// `text` between the terminal's codes for `style`; unchanged when `color` is off or the style is plain.
std::string Paint(const std::string& text, Style style, bool color);

// Lines without trailing spaces or line ends, the headings first. Cells are cleaned (see text.h); an empty cell shows
// as "-". No line is wider than `width`, as long as that has room for the columns that may not go.
std::vector<std::string> LayOutTable(const std::vector<TableColumn>& columns,
                                     const std::vector<std::vector<Cell>>& rows, int width, bool color);

}  // namespace sink::cli
