#include "coordinator/cli/print/table.h"

#include <algorithm>
#include <numeric>

#include "coordinator/cli/print/terminal_text.h"

namespace sink::cli {
namespace {

constexpr int kGap = 2;

const char* Code(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kBold:
      return "\x1b[1m";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kGreen:
      return "\x1b[32m";
    case Style::kYellow:
      return "\x1b[33m";
    case Style::kRed:
      return "\x1b[31m";
    case Style::kBlue:
      return "\x1b[36m";
  }
  return "";
}

// Width of each column, 0 for those left out.
std::vector<int> FitColumns(const std::vector<TableColumn>& columns, const std::vector<int>& natural, int width) {
  std::vector<bool> kept(columns.size(), true);
  for (;;) {
    std::vector<int> widths(columns.size(), 0);
    int total = -kGap, least = -kGap;
    for (size_t i = 0; i < columns.size(); ++i) {
      if (!kept[i]) continue;
      widths[i] = natural[i];
      total += natural[i] + kGap;
      least += (columns[i].min_width > 0 ? std::min(columns[i].min_width, natural[i]) : natural[i]) + kGap;
    }
    if (least > width) {
      size_t victim = columns.size();
      for (size_t i = 0; i < columns.size(); ++i)
        if (kept[i] && columns[i].drop > 0 && (victim == columns.size() || columns[i].drop > columns[victim].drop))
          victim = i;
      if (victim < columns.size()) {
        kept[victim] = false;
        continue;
      }
    }
    // Take from the widest flexible column until it fits.
    for (; total > width; --total) {
      size_t widest = columns.size();
      for (size_t i = 0; i < columns.size(); ++i)
        if (columns[i].min_width > 0 && widths[i] > columns[i].min_width &&
            (widest == columns.size() || widths[i] > widths[widest]))
          widest = i;
      if (widest == columns.size()) break;
      --widths[widest];
    }
    return widths;
  }
}

std::string Row(const std::vector<Cell>& cells, const std::vector<TableColumn>& columns, const std::vector<int>& widths,
                bool color) {
  std::string line;
  int pending = 0;  // spaces owed before the next text
  for (size_t i = 0; i < columns.size(); ++i) {
    if (widths[i] == 0) continue;
    const std::string text = Ellipsize(cells[i].text, widths[i]);
    const int padding = widths[i] - DisplayWidth(text);
    if (columns[i].align == Align::kRight) pending += padding;
    if (!text.empty()) {
      line.append(pending, ' ');
      line += Paint(text, cells[i].style, color);
      pending = 0;
    }
    pending += kGap + (columns[i].align == Align::kLeft ? padding : 0);
  }
  return line;
}

}  // namespace

std::string Paint(const std::string& text, Style style, bool color) {
  if (!color || style == Style::kPlain || text.empty()) return text;
  return Code(style) + text + "\x1b[0m";
}

std::vector<std::string> LayOutTable(const std::vector<TableColumn>& columns,
                                     const std::vector<std::vector<Cell>>& rows, int width, bool color) {
  std::vector<int> natural(columns.size(), 1);
  std::vector<Cell> titles;
  for (size_t i = 0; i < columns.size(); ++i) {
    titles.push_back({columns[i].title, Style::kBold});
    natural[i] = std::max(1, DisplayWidth(columns[i].title));
  }
  std::vector<std::vector<Cell>> clean = rows;
  for (auto& row : clean) {
    row.resize(columns.size());
    for (size_t i = 0; i < columns.size(); ++i) {
      row[i].text = Clean(row[i].text);
      if (row[i].text.empty()) row[i] = {"-", Style::kDim};
      natural[i] = std::max(natural[i], DisplayWidth(row[i].text));
    }
  }
  const std::vector<int> widths = FitColumns(columns, natural, width);
  std::vector<std::string> lines = {Row(titles, columns, widths, color)};
  for (const auto& row : clean) lines.push_back(Row(row, columns, widths, color));
  return lines;
}

}  // namespace sink::cli
