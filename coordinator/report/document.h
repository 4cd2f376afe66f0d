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
// Other documents, by addresses relative to this one; where there is none, the text alone.
struct Links {
  struct Item {
    std::string text, note;
    std::string markdown, html;  // where the document of each kind leads
  };
  std::vector<Item> items;
};
struct TableCell {
  std::string text;
  bool number = false;   // aligned right
  bool warning = false;  // a failed or unfinished run
  int color = -1;        // of the setting that the cell names; -1: none
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
    std::string experiment;
  };
  std::vector<Item> items;
};
// The same at a glance: a takeaway a row, with our effect drawn and the published one beside it.
struct Overview {
  std::vector<Verdicts::Item> items;
};
struct FigureBlock {
  Figure figure;
};

using DocumentBlock = std::variant<Heading, Paragraph, Facts, Links, DataTable, Overview, Verdicts, FigureBlock>;

struct Document {
  std::string title;
  std::vector<DocumentBlock> blocks;
};

// What an overview's columns say; "–" where there is nothing.
std::string OursText(const Judgement& judgement);
std::string PaperText(const Judgement& judgement);

// Figures are links to figures/NAME.svg.
std::string ToMarkdown(const Document& document);
// One file: its style and figures are inside, nothing is loaded, no script runs.
std::string ToHtml(const Document& document);

}  // namespace sink::report
