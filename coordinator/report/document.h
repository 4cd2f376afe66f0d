// A report as blocks, and how Markdown and HTML show them. Pure; any thread.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/report/claims.h"
#include "coordinator/report/figures.h"

namespace sink::report {

struct Heading {
  int level = 1;
  std::string text;
};
struct Paragraph {
  std::string text;
};
// "name: value" lines.
struct Facts {
  std::vector<std::pair<std::string, std::string>> items;
};
struct TableCell {
  std::string text;
  bool number = false;   // aligned right
  bool warning = false;  // a failed or unfinished run
};
struct DataTable {
  std::vector<std::string> columns;
  std::vector<std::vector<TableCell>> rows;
};
struct Verdicts {
  struct Item {
    std::string statement;
    std::string source;
    Judgement judgement;
  };
  std::vector<Item> items;
};
struct FigureBlock {
  Figure figure;
};

using DocumentBlock = std::variant<Heading, Paragraph, Facts, DataTable, Verdicts, FigureBlock>;

struct Document {
  std::string title;
  std::vector<DocumentBlock> blocks;
};

// Figures are links to figures/NAME.svg.
std::string ToMarkdown(const Document& document);
// One file: its style and figures are inside, nothing is loaded, no script runs.
std::string ToHtml(const Document& document);

}  // namespace sink::report
