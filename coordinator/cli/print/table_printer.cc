// Pages for readers: tables, wrapped lines and name-value lists, as wide as the terminal.
#include <algorithm>

#include "coordinator/cli/print/printer.h"
#include "coordinator/cli/print/terminal_text.h"

namespace sink::cli {
namespace {

constexpr int kIndent = 2;  // of continued lines

struct Renderer {
  const Json& document;
  int width;
  bool color;
  std::string out;

  void Line(const std::string& line) { out += line + "\n"; }

  void operator()(const TableBlock& block) {
    const Json& rows = document[block.rows];
    if (rows.empty()) return Line(Paint(block.when_empty, Style::kDim, color));
    std::vector<TableColumn> columns;
    for (const Column& column : block.columns) columns.push_back(column.layout);
    std::vector<std::vector<Cell>> cells;
    for (const Json& row : rows) {
      if (cells.size() == block.max_rows) break;
      std::vector<Cell>& line = cells.emplace_back();
      for (const Column& column : block.columns) line.push_back(column.show(row));
    }
    for (const std::string& line : LayOutTable(columns, cells, width, color)) Line(line);
    if (rows.size() > cells.size())
      Line(Paint("\u2026 " + std::to_string(rows.size() - cells.size()) + " more", Style::kDim, color));
  }

  void operator()(const TextBlock& block) {
    std::string line;
    int used = 0;
    for (const Cell& piece : block.pieces) {
      for (const std::string& part : Wrap(Clean(piece.text), width)) {
        const int part_width = DisplayWidth(part);
        if (used > 0 && used + 2 + part_width > width) {
          Line(line);
          line.assign(kIndent, ' ');
          used = kIndent;
        } else if (used > 0) {
          line += "  ";
          used += 2;
        }
        line += Paint(part, piece.style, color);
        used += part_width;
      }
    }
    Line(line);
  }

  void operator()(const FieldsBlock& block) {
    int names = 0;
    for (const auto& [name, value] : block.fields) names = std::max(names, DisplayWidth(name));
    for (const auto& [name, value] : block.fields) {
      std::string head = Paint(name, Style::kDim, color) + std::string(names - DisplayWidth(name) + 2, ' ');
      const std::string text = Clean(value.text);
      for (const std::string& part : Wrap(text.empty() ? "-" : text, width - names - 2)) {
        Line(head + Paint(part, value.style, color));
        head.assign(names + 2, ' ');
      }
    }
  }
};

class TablePrinter final : public Printer {
 public:
  TablePrinter(std::ostream& out, int width, bool color) : out_(out), width_(width), color_(color) {}

  void Print(const Page& page) override { out_ << RenderPage(page, width_, color_) << std::flush; }

  void PrintItem(const Json&, const std::vector<Cell>& line) override {
    std::string text;
    for (const Cell& cell : line) text += (text.empty() ? "" : "  ") + Paint(Clean(cell.text), cell.style, color_);
    out_ << text << "\n" << std::flush;
  }

 private:
  std::ostream& out_;
  const int width_;
  const bool color_;
};

}  // namespace

std::string RenderPage(const Page& page, int width, bool color) {
  Renderer renderer{page.document, width, color, ""};
  for (const Block& block : page.blocks) std::visit(renderer, block);
  return renderer.out;
}

std::unique_ptr<Printer> MakeTablePrinter(std::ostream& out, int width, bool color) {
  return std::make_unique<TablePrinter>(out, width, color);
}

}  // namespace sink::cli
